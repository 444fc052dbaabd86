// A custom resource for Node: only Create, with the AWS SDK and a PUT as in cfn-response.
import https from "node:https";
import { CreateMitigationActionCommand, IoTClient } from "@aws-sdk/client-iot";

const iot = new IoTClient();

export async function handler(request) {
  const properties = request.ResourceProperties;
  const params = properties.ActionParams.AddThingsToThingGroupParams;
  const created = await iot.send(
    new CreateMitigationActionCommand({
      actionName: properties.ActionName,
      roleArn: properties.RoleArn,
      actionParams: {
        addThingsToThingGroupParams: {
          thingGroupNames: params.ThingGroupNames,
          overrideDynamicGroups: params.OverrideDynamicGroups === "true",
        },
      },
      tags: properties.Tags,
    }),
  );
  const response = {
    Status: "SUCCESS",
    PhysicalResourceId: properties.ActionName,
    StackId: request.StackId,
    RequestId: request.RequestId,
    LogicalResourceId: request.LogicalResourceId,
    Data: { ActionArn: created.actionArn, ActionId: created.actionId },
  };
  await put(request.ResponseURL, JSON.stringify(response));
  return response;
}

function put(url, body) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
    const request = https.request(url, { method: "PUT", headers }, (response) => {
      response.resume().on("end", resolve);
    });
    request.on("error", reject).end(body);
  });
}
