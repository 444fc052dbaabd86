"""Rules for cfn-lint: the properties of `Custom::IoTMitigationAction` are as the schema says,
`!GetAtt` names one of its attributes, and a role is given by its ARN.

    cfn-lint --append-rules PATH/TO/schemas --template YOUR.yaml

The schema is in the style of CloudFormation's registry. cfn-lint loads it (`--registry-schemas`),
but checks every type that begins with `Custom::` as AWS::CloudFormation::CustomResource: hence
these rules. Intrinsic functions that cfn-lint cannot resolve are not checked.
"""

import json
import pathlib
import re
from collections import deque

from cfnlint.helpers import FUNCTIONS
from cfnlint.rules import CloudFormationLintRule, RuleMatch
from cfnlint.rules.jsonschema.CfnLintJsonSchema import CfnLintJsonSchema

REGISTRY = pathlib.Path(__file__).parent / "registry" / "custom-iotmitigationaction.json"
SCHEMA = json.loads(REGISTRY.read_text(encoding="utf-8"))
READ_ONLY = [pointer.rsplit("/", 1)[1] for pointer in SCHEMA["readOnlyProperties"]]
# A template can set what is not read-only.
PROPERTIES = {
    **SCHEMA,
    "properties": {k: v for k, v in SCHEMA["properties"].items() if k not in READ_ONLY},
}
ATTRIBUTES = sorted(["ActionName", *READ_ONLY])
ROLE = "AWS::IAM::Role"


class MitigationActionProperties(CfnLintJsonSchema):
    id = "E9001"
    shortdesc = "The properties of Custom::IoTMitigationAction are invalid"
    description = "Reports before a deployment what the provider would reject during it"
    tags = ["resources", "iot"]

    def __init__(self):
        super().__init__(keywords=["Resources/*"], all_matches=True)
        self._schema = PROPERTIES

    def validate(self, validator, keywords, instance, schema):
        if instance.get("Type") != SCHEMA["typeName"]:
            return
        path = validator.context.path.descend(path="Properties")
        context = validator.context.evolve(functions=list(FUNCTIONS), strict_types=False, path=path)
        properties = self.extend_validator(validator, self._schema, context)
        for error in self._iter_errors(properties, instance.get("Properties", {})):
            error.path = deque(["Properties", *error.path])
            yield error


class MitigationActionAttributes(CloudFormationLintRule):
    id = "E9002"
    shortdesc = "Custom::IoTMitigationAction has no such attribute"
    description = "A !GetAtt of an attribute that the provider does not return fails the stack"
    tags = ["resources", "iot"]

    def match(self, cfn):
        actions = cfn.get_resources([SCHEMA["typeName"]])
        for path, name, attribute in [*from_get_att(cfn), *from_sub(cfn)]:
            if name in actions and attribute not in ATTRIBUTES:
                expected = f"expected one of {', '.join(ATTRIBUTES)}"
                yield RuleMatch(path, f"{name}.{attribute}: unknown attribute: {expected}")


class MitigationActionRoles(CloudFormationLintRule):
    id = "E9003"
    shortdesc = "The name of a role is not its ARN"
    description = "A !Ref of a role is its name, which the provider rejects"
    tags = ["resources", "iot"]

    def match(self, cfn):
        actions, roles = (cfn.get_resources([name]) for name in (SCHEMA["typeName"], ROLE))
        for *path, name in cfn.search_deep_keys("Ref"):
            in_action = path[0] == "Resources" and path[1] in actions
            if in_action and path[-2] in ("RoleArn", "RoleArnForLogging") and name in roles:
                text = f"{path[-2]}: !Ref of a role is its name: expected !GetAtt {name}.Arn"
                yield RuleMatch(path, text)


def from_get_att(cfn):
    """Yields each use of an attribute, with its path, by Fn::GetAtt."""
    for *path, value in cfn.search_deep_keys("Fn::GetAtt"):
        name, attribute = value.split(".", 1) if isinstance(value, str) else value
        if isinstance(attribute, str):
            yield path, name, attribute


def from_sub(cfn):
    """Yields each use of an attribute, with its path, by Fn::Sub."""
    for *path, value in cfn.search_deep_keys("Fn::Sub"):
        text = value if isinstance(value, str) else value[0]
        for name, attribute in re.findall(r"\$\{(\w+)\.([\w.]+)\}", text):
            yield path, name, attribute
