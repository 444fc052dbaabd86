#!/usr/bin/env python3
"""Writes the schema of the properties in the style of CloudFormation's registry, with the type's
name and its attributes, from schemas/properties.json: run it after a change to that file."""

import json
import pathlib

SCHEMAS = pathlib.Path(__file__).resolve().parents[1] / "schemas"
REGISTRY = SCHEMAS / "registry" / "custom-iotmitigationaction.json"
# What `!GetAtt` returns besides `ActionName`, which is a property, too.
ATTRIBUTES = {
    "ActionArn": "The ARN of the action.",
    "ActionId": "The id of the action, which AWS IoT assigns.",
    "ActionType": "The kind of the action, by the API's actionType.",
    "MitigationActionArn": "As ActionArn, by the name of AWS::IoT::MitigationAction.",
    "MitigationActionId": "As ActionId, by the name of AWS::IoT::MitigationAction.",
}


def registry_schema():
    """Returns the schema: draft 7, as the registry's are, with `definitions`."""
    text = (SCHEMAS / "properties.json").read_text().replace("#/$defs/", "#/definitions/")
    schema = json.loads(text)
    del schema["$schema"], schema["$id"], schema["title"]
    definitions, properties = schema.pop("$defs"), schema.pop("properties")
    attributes = {
        name: {"description": description, "type": "string"}
        for name, description in ATTRIBUTES.items()
    }
    return {
        "typeName": "Custom::IoTMitigationAction",
        "description": "An AWS IoT Device Defender mitigation action, by "
        "mitigation-action-provider",
        "properties": {**properties, **attributes},
        "required": schema.pop("required"),
        "additionalProperties": schema.pop("additionalProperties"),
        "readOnlyProperties": [f"/properties/{name}" for name in ATTRIBUTES],
        "createOnlyProperties": ["/properties/ActionName"],
        "primaryIdentifier": ["/properties/ActionName"],
        "allOf": schema.pop("allOf"),
        "definitions": definitions,
    }


if __name__ == "__main__":
    REGISTRY.write_text(json.dumps(registry_schema(), indent=2, ensure_ascii=False) + "\n")
