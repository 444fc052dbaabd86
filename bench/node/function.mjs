// A custom resource as one writes it for Node: the AWS SDK, and a PUT as in Lambda's own cfn-response. Create alone.
import https from "node:https";
import { CreateMitigationActionCommand, IoTClient } from "@aws-sdk/client-iot";

const iot = new IoTClient();

export async function handler(request) {
  const properties = request.ResourceProperties;
  const params = properties.ActionParams.AddThingsToThingGroupParams;
  const made = await iot.send(
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
  const answer = {
    Status: "SUCCESS",
    PhysicalResourceId: properties.ActionName,
    StackId: request.StackId,
    RequestId: request.RequestId,
    LogicalResourceId: request.LogicalResourceId,
    Data: { ActionArn: made.actionArn, ActionId: made.actionId },
  };
  await put(request.ResponseURL, JSON.stringify(answer));
  return answer;
}

function put(url, body) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "", "content-length": Buffer.byteLength(body) };
    const sent = https.request(url, { method: "PUT", headers }, (answer) => answer.resume().on("end", resolve));
    sent.on("error", reject).end(body);
  });
}
