"""The template as CloudFormation sees it, after the SAM transform."""

import functools
import json

from support import TOOLS, run

TRANSFORM = """
import json
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
template = yaml_parse(open("template.yaml").read())
template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
class Policies:
    def load(self): return {}
values = {"ActionRoleArns": "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"}
print(json.dumps(transform(template, values, Policies())))
"""


@functools.cache
def transformed():
    return json.loads(run([TOOLS / "sam" / "bin" / "python", "-c", TRANSFORM]))


def alternatives(value):
    """Returns `value` with each Fn::If replaced by its value for a true condition."""
    if isinstance(value, list):
        return [alternatives(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value:
        return alternatives(value["Fn::If"][1])
    return {key: alternatives(item) for key, item in value.items()}
