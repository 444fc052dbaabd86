"""A custom resource for Python: only Create, with boto3 and crhelper."""

import boto3
from crhelper import CfnResource

helper = CfnResource()
iot = boto3.client("iot")


@helper.create
def create(event, _):
    properties = event["ResourceProperties"]
    params = properties["ActionParams"]["AddThingsToThingGroupParams"]
    created = iot.create_mitigation_action(
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
    helper.Data.update(ActionArn=created["actionArn"], ActionId=created["actionId"])
    return properties["ActionName"]


@helper.update
@helper.delete
def other(_, __):
    raise NotImplementedError


def handler(event, context):
    helper(event, context)
    return {"Status": helper.Status}
