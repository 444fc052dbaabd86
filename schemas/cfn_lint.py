"""A cfn-lint rule: the properties of `Custom::IoTMitigationAction` are as properties.json says.

    cfn-lint --append-rules schemas --template template.yaml

A registry schema cannot do this: cfn-lint treats every type that begins with `Custom::` as
AWS::CloudFormation::CustomResource before it looks for a schema. Intrinsic functions that cfn-lint
cannot resolve are not checked.
"""

import json
import pathlib
from collections import deque

from cfnlint.helpers import FUNCTIONS
from cfnlint.rules.jsonschema.CfnLintJsonSchema import CfnLintJsonSchema


class MitigationActionProperties(CfnLintJsonSchema):
    id = "E9001"
    shortdesc = "The properties of Custom::IoTMitigationAction are invalid"
    description = "Reports before a deployment what the provider would reject during it"
    tags = ["resources", "iot"]

    def __init__(self):
        super().__init__(keywords=["Resources/*"], all_matches=True)
        text = pathlib.Path(__file__).with_name("properties.json").read_text(encoding="utf-8")
        self._schema = json.loads(text)

    def validate(self, validator, keywords, instance, schema):
        if instance.get("Type") != "Custom::IoTMitigationAction":
            return
        path = validator.context.path.descend(path="Properties")
        context = validator.context.evolve(functions=list(FUNCTIONS), strict_types=False, path=path)
        properties = self.extend_validator(validator, self._schema, context)
        for error in self._iter_errors(properties, instance.get("Properties", {})):
            error.path = deque(["Properties", *error.path])
            yield error
