// A mitigation action in a CDK stack: the function itself is the service token.
//
//     npm ci && node app.js        writes cdk.out/Fleet.template.json
//
// Do not put CDK's provider framework (`custom-resources.Provider`) in front: it answers CloudFormation on its own, and so
// does the function.
const { App, CfnOutput, CustomResource, Duration, Fn, Stack } = require("aws-cdk-lib");
const { Function: LambdaFunction } = require("aws-cdk-lib/aws-lambda");
const { Role } = require("aws-cdk-lib/aws-iam");

const app = new App({ outdir: process.env.CDK_OUTDIR ?? "cdk.out", analyticsReporting: false });
const stack = new Stack(app, "Fleet", { env: { account: "123456789012", region: "eu-west-1" } });

const provider = LambdaFunction.fromFunctionArn(stack, "Provider", Fn.importValue("mitigation-action-provider-ServiceToken"));
const role = Role.fromRoleName(stack, "Role", "quarantine-things");

const quarantine = new CustomResource(stack, "Quarantine", {
  resourceType: "Custom::IoTMitigationAction",
  serviceToken: provider.functionArn,
  serviceTimeout: Duration.minutes(1),
  properties: {
    ActionName: "fleet-quarantine",
    RoleArn: role.roleArn,
    ActionParams: {
      AddThingsToThingGroupParams: { ThingGroupNames: ["quarantine"], OverrideDynamicGroups: true },
    },
    Tags: [{ Key: "team", Value: "iot-security" }],
  },
});

new CfnOutput(stack, "QuarantineArn", { value: quarantine.getAttString("ActionArn") });
app.synth();
