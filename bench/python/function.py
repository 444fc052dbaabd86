"""A custom resource as one writes it in Python: boto3 and crhelper. Create alone."""

import boto3
from crhelper import CfnResource

helper = CfnResource()
iot = boto3.client("iot")


@helper.create
def create(event, _):
    properties = event["ResourceProperties"]
    params = properties["ActionParams"]["AddThingsToThingGroupParams"]
    made = iot.create_mitigation_action(
        actionName=properties["ActionName"],
        roleArn=properties["RoleArn"],
        actionParams={
            "addThingsToThingGroupParams": {
                "thingGroupNames": params["ThingGroupNames"],
                "overrideDynamicGroups": params["OverrideDynamicGroups"] == "true",
            }
        },
        tags=properties["Tags"],
    )
    helper.Data.update(ActionArn=made["actionArn"], ActionId=made["actionId"])
    return properties["ActionName"]


@helper.update
@helper.delete
def other(_, __):
    raise NotImplementedError


def handler(event, context):
    helper(event, context)
    return {"Status": helper.Status}
