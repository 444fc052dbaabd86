// A mitigation action in a CDK stack: the function itself is the service token.
//
//     npm ci && node app.js        writes cdk.out/Fleet.template.json
//
// The construct is installed from this repository: build it first, with `npm ci && npm run build`
// in `cdk/`.
const { App, CfnOutput, Fn, Stack, Tags } = require("aws-cdk-lib");
const { Role } = require("aws-cdk-lib/aws-iam");
const { MitigationAction, MitigationParams } = require("mitigation-action-provider-cdk");

const app = new App({ outdir: process.env.CDK_OUTDIR ?? "cdk.out", analyticsReporting: false });
const stack = new Stack(app, "Fleet", { env: { account: "123456789012", region: "eu-west-1" } });

const role = Role.fromRoleName(stack, "Role", "mitigation-actions/quarantine-things");
const quarantine = new MitigationAction(stack, "Quarantine", {
  provider: Fn.importValue("mitigation-action-provider-ServiceToken"),
  actionName: "fleet-quarantine",
  roleArn: role.roleArn,
  params: MitigationParams.addThingsToThingGroup({
    thingGroupNames: ["quarantine"],
    overrideDynamicGroups: true,
  }),
  checkNames: ["DEVICE_CERTIFICATE_SHARED_CHECK"],
});
Tags.of(stack).add("team", "iot-security");

new CfnOutput(stack, "QuarantineArn", { value: quarantine.actionArn });
app.synth();
