import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import Ajv2020 from "ajv/dist/2020";
import {
  App,
  CfnOutput,
  CustomResource,
  Duration,
  Fn,
  RemovalPolicy,
  Stack,
  Tags,
} from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";

import { MitigationAction, MitigationActionProps, MitigationParams } from "./index";

const TYPE = "Custom::IoTMitigationAction";
const FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:mitigation-action-provider";
const ROLE = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things";
const TOPIC = "arn:aws:sns:eu-west-1:123456789012:security-findings";
const DEACTIVATE = MitigationParams.updateDeviceCertificate();

const KINDS = [
  MitigationParams.addThingsToThingGroup({ thingGroupNames: ["quarantine"] }),
  MitigationParams.enableIoTLogging({ logLevel: "WARN", roleArnForLogging: ROLE }),
  MitigationParams.publishFindingToSns({ topicArn: TOPIC }),
  MitigationParams.replaceDefaultPolicyVersion(),
  MitigationParams.updateCACertificate(),
  MitigationParams.updateDeviceCertificate(),
];

const schema = JSON.parse(readFileSync(join(__dirname, "../../schemas/properties.json"), "utf8"));
const ajv = new Ajv2020({ allowUnionTypes: true, strictTypes: false, strictRequired: false });
const conforms = ajv.compile(schema);

function stackOf(): Stack {
  return new Stack(new App({ analyticsReporting: false }), "Fleet");
}

/** An action with these properties and else the least; in a stack of its own. */
function action(props: Partial<MitigationActionProps> = {}, stack = stackOf()): MitigationAction {
  const least = { provider: FUNCTION, roleArn: ROLE, params: DEACTIVATE };
  return new MitigationAction(stack, "Action", { ...least, ...props });
}

/** What the template has of the only action in the stack. */
function resource(of: MitigationAction): any {
  const [found] = Object.values(Template.fromStack(Stack.of(of)).findResources(TYPE));
  return found;
}

/** The problems for which synthesis fails. */
function problems(of: MitigationAction): string[] {
  try {
    (of.node.root as App).synth();
    return [];
  } catch (error) {
    const [head, ...lines] = (error as Error).message.split("\n  [Fleet/Action] ");
    assert.match(head!, /^Validation failed/);
    return lines;
  }
}

function properties(of: MitigationAction): any {
  return resource(of).Properties;
}

test("an action is a custom resource with the least properties", () => {
  assert.deepEqual(properties(action()), {
    ServiceToken: FUNCTION,
    ServiceTimeout: "360",
    RoleArn: ROLE,
    ActionParams: { UpdateDeviceCertificateParams: { Action: "DEACTIVATE" } },
  });
});

test("each kind renders its own parameters", () => {
  const rendered = KINDS.map((params) => properties(action({ params })).ActionParams);
  assert.deepEqual(rendered, [
    { AddThingsToThingGroupParams: { ThingGroupNames: ["quarantine"] } },
    { EnableIoTLoggingParams: { LogLevel: "WARN", RoleArnForLogging: ROLE } },
    { PublishFindingToSnsParams: { TopicArn: TOPIC } },
    { ReplaceDefaultPolicyVersionParams: { TemplateName: "BLANK_POLICY" } },
    { UpdateCACertificateParams: { Action: "DEACTIVATE" } },
    { UpdateDeviceCertificateParams: { Action: "DEACTIVATE" } },
  ]);
});

test("the kinds are those of the schema", () => {
  const kinds = KINDS.map((params) => Object.keys(params.actionParams)[0]);
  assert.deepEqual(kinds.sort(), Object.keys(schema.$defs.actionParams.properties).sort());
});

test("all properties conform to the schema", () => {
  for (const params of KINDS) {
    const full = action({ params, actionName: "fleet", onConflict: "Adopt", checkNames: [] });
    Tags.of(full).add("team", "iot-security");
    assert.ok(conforms(properties(full)), ajv.errorsText(conforms.errors));
  }
});

test("overrideDynamicGroups is kept", () => {
  const groups = { thingGroupNames: ["a", "b"], overrideDynamicGroups: true };
  const params = MitigationParams.addThingsToThingGroup(groups);
  assert.deepEqual(properties(action({ params })).ActionParams, {
    AddThingsToThingGroupParams: { ThingGroupNames: ["a", "b"], OverrideDynamicGroups: true },
  });
});

test("the parameters are typed", () => {
  // @ts-expect-error: the service rejects DISABLED
  MitigationParams.enableIoTLogging({ logLevel: "DISABLED", roleArnForLogging: ROLE });
  // @ts-expect-error: a topic is needed
  MitigationParams.publishFindingToSns({});
  // @ts-expect-error: the words of the API are lower case
  action({ onConflict: "adopt" });
  // @ts-expect-error: only the kinds make parameters
  new MitigationParams("OTHER", {});
});

test("the provider may be a function", () => {
  const stack = stackOf();
  const provider = LambdaFunction.fromFunctionArn(stack, "Provider", FUNCTION);
  assert.equal(properties(action({ provider }, stack)).ServiceToken, FUNCTION);
});

test("the provider may be an import", () => {
  const name = "mitigation-action-provider-ServiceToken";
  const made = action({ provider: Fn.importValue(name) });
  assert.deepEqual(properties(made).ServiceToken, { "Fn::ImportValue": name });
});

test("the logical id is that of a custom resource with the same id", () => {
  const typed = Template.fromStack(Stack.of(action())).findResources(TYPE);
  const stack = stackOf();
  new CustomResource(stack, "Action", { resourceType: TYPE, serviceToken: FUNCTION });
  const plain = Template.fromStack(stack).findResources(TYPE);
  assert.deepEqual(Object.keys(typed), Object.keys(plain));
});

test("attributes are references", () => {
  const stack = stackOf();
  const made = action({}, stack);
  new CfnOutput(stack, "Arn", { value: made.actionArn });
  new CfnOutput(stack, "Id", { value: made.actionId });
  new CfnOutput(stack, "Name", { value: made.actionName });
  new CfnOutput(stack, "Type", { value: made.actionType });
  const template = Template.fromStack(stack);
  template.hasOutput("Arn", { Value: { "Fn::GetAtt": ["Action", "ActionArn"] } });
  template.hasOutput("Id", { Value: { "Fn::GetAtt": ["Action", "ActionId"] } });
  template.hasOutput("Name", { Value: { Ref: "Action" } });
  template.hasOutput("Type", { Value: { "Fn::GetAtt": ["Action", "ActionType"] } });
});

test("tags of the action and of its scopes become its Tags", () => {
  const stack = stackOf();
  const made = action({}, stack);
  Tags.of(stack).add("team", "iot-security");
  Tags.of(stack).add("stage", "test");
  Tags.of(made).add("stage", "production");
  assert.deepEqual(properties(made).Tags, [
    { Key: "stage", Value: "production" },
    { Key: "team", Value: "iot-security" },
  ]);
});

test("a removed tag and one for other resource types are left out", () => {
  const stack = stackOf();
  const made = action({}, stack);
  Tags.of(stack).add("team", "iot-security");
  Tags.of(stack).add("cost", "1", { excludeResourceTypes: [TYPE] });
  Tags.of(made).remove("team");
  assert.equal(properties(made).Tags, undefined);
});

test("an action is deleted with its stack by default", () => {
  assert.equal(resource(action()).DeletionPolicy, "Delete");
});

test("a retained action stays", () => {
  const kept = resource(action({ removalPolicy: RemovalPolicy.RETAIN }));
  assert.equal(kept.DeletionPolicy, "Retain");
  assert.equal(kept.UpdateReplacePolicy, "Retain");
});

test("the service timeout is in seconds", () => {
  const made = action({ serviceTimeout: Duration.minutes(5) });
  assert.equal(properties(made).ServiceTimeout, "300");
});

test("each check is accepted exactly where the schema accepts it", () => {
  const groups: { $ref: string }[] = schema.$defs.unknownCheck.not.anyOf;
  const checks = groups.flatMap(({ $ref }): string[] => schema.$defs[$ref.split("/")[2]!].enum);
  assert.equal(checks.length, 20);
  const base = { ServiceToken: FUNCTION, RoleArn: ROLE };
  for (const params of KINDS) {
    for (const check of checks) {
      const fits = conforms({ ...base, ActionParams: params.actionParams, CheckNames: [check] });
      const make = () => action({ params, checkNames: [check] });
      if (fits) {
        assert.deepEqual(properties(make()).CheckNames, [check]);
      } else {
        assert.match(problems(make())[0]!, /invalid value/, `${check} ${params.actionType}`);
      }
    }
  }
});

test("a check that does not fit is an error that names the kinds that do", () => {
  assert.deepEqual(problems(action({ checkNames: ["LOGGING_DISABLED_CHECK"] })), [
    'CheckNames[0]: invalid value "LOGGING_DISABLED_CHECK": expected a check to whose ' +
      "findings UPDATE_DEVICE_CERTIFICATE can be applied (to those of this check: " +
      "ENABLE_IOT_LOGGING or PUBLISH_FINDING_TO_SNS)",
  ]);
});

test("synthesis fails with every problem at once, in the words of the provider", () => {
  const topic = "arn:aws:sqs:eu-west-1:123456789012:findings";
  const made = action({
    provider: ROLE,
    actionName: "fleet quarantine",
    roleArn: "arn:aws:iam::123456789012:user/somebody",
    params: MitigationParams.publishFindingToSns({ topicArn: topic }),
    onConflict: "adopt" as "Adopt",
    checkNames: [""],
  });
  Tags.of(made).add("Aws:team", "v".repeat(257));
  assert.deepEqual(problems(made), [
    `ServiceToken: invalid value "${ROLE}": expected the ARN of the provider's function or topic`,
    'ActionName: invalid value "fleet quarantine": expected 1 to 128 characters of [a-zA-Z0-9_-]',
    'RoleArn: invalid value "arn:aws:iam::123456789012:user/somebody": expected the ARN of an ' +
      "IAM role, arn:<partition>:iam::<12 digits>:role/<name>, of 20 to 2048 characters",
    `ActionParams.PublishFindingToSnsParams.TopicArn: invalid value "${topic}": expected the ` +
      "ARN of an SNS topic, arn:<partition>:sns:<region>:<12 digits>:<name>, of at most 350 " +
      "characters",
    'CheckNames[0]: invalid value "": expected the name of an audit check',
    'OnConflict: invalid value "adopt": expected Fail, Adopt or Overwrite',
    'Tags[0].Key: invalid value "Aws:team": expected a key that does not begin with aws:, which ' +
      "AWS reserves",
    `Tags[0].Value: invalid value "${"v".repeat(79)}…: expected at most 256 characters`,
  ]);
});

test("the name of a role instead of its ARN earns a hint", () => {
  const [problem] = problems(action({ roleArn: "quarantine-things" }));
  assert.match(problem ?? "", /^RoleArn: invalid value "quarantine-things": .*roleArn\)$/);
});

test("the lists of thing groups and the logging roles are checked", () => {
  const groups = (...thingGroupNames: string[]) =>
    problems(action({ params: MitigationParams.addThingsToThingGroup({ thingGroupNames }) }));
  const path = "ActionParams.AddThingsToThingGroupParams.ThingGroupNames";
  assert.deepEqual(groups(), [`${path}: invalid length 0: expected a list of 1 to 10 names`]);
  assert.match(groups(...Array(11).fill("g")).join(), /invalid length 11/);
  assert.deepEqual(groups("a", "b c"), [
    `${path}[1]: invalid value "b c": expected 1 to 128 characters of [a-zA-Z0-9:_-]`,
  ]);
  const logLevel = "DISABLED" as "INFO";
  const logging = MitigationParams.enableIoTLogging({ logLevel, roleArnForLogging: "logs" });
  assert.deepEqual(
    problems(action({ params: logging })).map((problem) => problem.split(":")[0]),
    ["LogLevel", "RoleArnForLogging"].map((name) => `ActionParams.EnableIoTLoggingParams.${name}`),
  );
});

test("at most 47 tags fit beside the provider's", () => {
  const problemsWith = (count: number) => {
    const made = action();
    for (let tag = 0; tag < count; tag += 1) {
      Tags.of(made).add(`tag-${tag}`, "v");
    }
    return problems(made);
  };
  assert.deepEqual(problemsWith(47), []);
  assert.match(problemsWith(48).join(), /^Tags: invalid length 48: expected at most 47 tags/);
});

test("what is only known at deployment is left to the provider", () => {
  const stack = stackOf();
  const token = Fn.importValue("anything");
  const made = action(
    {
      provider: token,
      actionName: `a b ${token}`,
      roleArn: token,
      params: MitigationParams.addThingsToThingGroup({ thingGroupNames: Fn.split(",", token) }),
      checkNames: [token],
    },
    stack,
  );
  Tags.of(made).add("team", token);
  assert.deepEqual(problems(made), []);
  Annotations.fromStack(stack).hasNoWarning("*", Match.anyValue());
});

test("the construct and the schema accept the same texts", () => {
  const texts = ["", "a", "a-_9", "a b", "a:b", "é", "a".repeat(128), "a".repeat(129), ROLE, TOPIC];
  texts.push("arn:aws-us-gov:iam::123456789012:role/~!", "arn:aws:iam::123456789012:role/a/");
  texts.push(`${ROLE}${"r".repeat(2048 - ROLE.length)}`, `${ROLE}${"r".repeat(2049)}`);
  texts.push("Fail", "Overwrite", "overwrite", "DISABLED", "ERROR", "arn:azure:sns:r:1:t");
  for (const text of texts) {
    const logging = { logLevel: text as "INFO", roleArnForLogging: text };
    const variants: Partial<MitigationActionProps>[] = [
      { actionName: text },
      { roleArn: text },
      { onConflict: text as "Fail" },
      { params: MitigationParams.addThingsToThingGroup({ thingGroupNames: [text] }) },
      { params: MitigationParams.publishFindingToSns({ topicArn: text }) },
      { params: MitigationParams.enableIoTLogging({ ...logging, roleArnForLogging: ROLE }) },
      { params: MitigationParams.enableIoTLogging({ ...logging, logLevel: "INFO" }) },
    ];
    for (const props of variants) {
      const { params, ...others } = { params: DEACTIVATE, roleArn: ROLE, ...props };
      const rendered = {
        ServiceToken: FUNCTION,
        RoleArn: others.roleArn,
        ...("actionName" in others && { ActionName: others.actionName }),
        ...("onConflict" in others && { OnConflict: others.onConflict }),
        ActionParams: params.actionParams,
      };
      const accepted = problems(action(props)).length === 0;
      assert.equal(accepted, conforms(rendered), JSON.stringify(props));
    }
  }
});

test("only a check that is not known is a warning", () => {
  const known = action({ checkNames: ["DEVICE_CERTIFICATE_SHARED_CHECK"] });
  Annotations.fromStack(Stack.of(known)).hasNoWarning("*", Match.anyValue());
  for (const name of ["A_CHECK_THAT_AWS_ADDS_LATER", "toString"]) {
    const made = action({ checkNames: [name] });
    const message = Match.stringLikeRegexp(`CheckNames: "${name}" is not a known audit check`);
    Annotations.fromStack(Stack.of(made)).hasWarning("/Fleet/Action", message);
    assert.deepEqual(properties(made).CheckNames, [name]);
  }
});

test("a check that is only known at deployment is left to the provider", () => {
  const check = Fn.importValue("check");
  assert.deepEqual(properties(action({ checkNames: [check] })).CheckNames, [
    { "Fn::ImportValue": "check" },
  ]);
});

test("the package holds the construct, its types, the readme and the licenses", () => {
  const packing = ["pack", "--dry-run", "--json", "--loglevel=error"];
  const output = execFileSync("npm", packing, { cwd: join(__dirname, ".."), encoding: "utf8" });
  const [packed] = JSON.parse(output.slice(output.indexOf("[")));
  assert.deepEqual(packed.files.map((file: { path: string }) => file.path).sort(), [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "lib/index.d.ts",
    "lib/index.js",
    "lib/problems.d.ts",
    "lib/problems.js",
    "package.json",
  ]);
});
