/**
 * The problems of an action's properties that can be seen during synthesis, in the words of the
 * provider. What is only known at deployment is left to the provider.
 */
import { Token } from "aws-cdk-lib";

/** The most tags of an action: three of its 50 are the provider's. */
const MAX_TAGS = 47;

/** The most characters of a value that a problem repeats. */
const MAX_EXCERPT = 80;

/** A rule for a text, and what it expects. */
interface Rule {
  readonly expected: string;
  /** What the author of a text that breaks the rule may have overlooked. */
  readonly hint?: (text: string) => string | undefined;
  readonly accepts: (text: string) => boolean;
}

function matches(expression: RegExp, expected: string): Rule {
  return { expected, accepts: (text) => expression.test(text) };
}

function oneOf(words: string[], expected: string): Rule {
  return { expected, accepts: (text) => words.includes(text) };
}

const ACTION_NAME = matches(/^[a-zA-Z0-9_-]{0,128}$/, "1 to 128 characters of [a-zA-Z0-9_-]");
const GROUP_NAME = matches(/^[a-zA-Z0-9:_-]{1,128}$/, "1 to 128 characters of [a-zA-Z0-9:_-]");
const ROLE_ARN: Rule = {
  expected:
    "the ARN of an IAM role, arn:<partition>:iam::<12 digits>:role/<name>, of 20 to 2048 " +
    "characters",
  accepts: (text) =>
    text.length <= 2048 &&
    /^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role\/[!-~]*[!-.0-~]$/.test(text),
  hint: (text) => (text.startsWith("arn:") ? undefined : "a role has its ARN in roleArn"),
};
const TOPIC_ARN: Rule = {
  expected:
    "the ARN of an SNS topic, arn:<partition>:sns:<region>:<12 digits>:<name>, of at most 350 " +
    "characters",
  accepts: (text) =>
    text.length <= 350 &&
    /^arn:aws(-[a-z]+)*:sns:[a-zA-Z0-9._-]+:[0-9]{12}:[a-zA-Z0-9._-]+$/.test(text),
};
const SERVICE_TOKEN = matches(
  /^arn:aws(-[a-z]+)*:(lambda|sns):/,
  "the ARN of the provider's function or topic",
);
const LOG_LEVEL = oneOf(
  ["DEBUG", "INFO", "WARN", "ERROR"],
  "DEBUG, INFO, WARN or ERROR (the service rejects DISABLED)",
);
const ON_CONFLICT = oneOf(["Fail", "Adopt", "Overwrite"], "Fail, Adopt or Overwrite");
const CHECK_NAME: Rule = {
  expected: "the name of an audit check",
  accepts: (text) => text !== "",
};
const TAG_KEYS: Rule[] = [
  matches(
    /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u,
    "1 to 128 letters, digits, spaces and _.:/=+-@",
  ),
  matches(/^(?!\s*aws:)/i, "a key that does not begin with aws:, which AWS reserves"),
  matches(
    /^(?!\s*mitigation-action-provider:)/i,
    "a key that does not begin with mitigation-action-provider:, which the provider reserves",
  ),
];
const TAG_VALUE = matches(/^.{0,256}$/su, "at most 256 characters");

/** The properties of an action as its template has them. */
export interface Properties {
  readonly ServiceToken: string;
  readonly ActionName?: string;
  readonly RoleArn: string;
  readonly ActionParams: object;
  readonly CheckNames?: string[];
  readonly OnConflict?: string;
  readonly Tags: { readonly Key: string; readonly Value: string }[];
}

/** The parameters of any kind. */
interface Params {
  readonly ThingGroupNames?: string[];
  readonly LogLevel?: string;
  readonly RoleArnForLogging?: string;
  readonly TopicArn?: string;
}

/** Returns the problems of an action's properties, each with its path. */
export function problemsOf(properties: Properties): string[] {
  return [
    ...text("ServiceToken", properties.ServiceToken, SERVICE_TOKEN),
    ...text("ActionName", properties.ActionName, ACTION_NAME),
    ...text("RoleArn", properties.RoleArn, ROLE_ARN),
    ...Object.entries(properties.ActionParams).flatMap(([kind, params]) =>
      problemsOfParams(`ActionParams.${kind}`, params),
    ),
    ...texts("CheckNames", properties.CheckNames, CHECK_NAME),
    ...text("OnConflict", properties.OnConflict, ON_CONFLICT),
    ...problemsOfTags(properties.Tags),
  ];
}

function problemsOfParams(path: string, params: Params): string[] {
  const names = params.ThingGroupNames;
  return [
    ...length(`${path}.ThingGroupNames`, names, 1, 10, "a list of 1 to 10 names"),
    ...texts(`${path}.ThingGroupNames`, names, GROUP_NAME),
    ...text(`${path}.LogLevel`, params.LogLevel, LOG_LEVEL),
    ...text(`${path}.RoleArnForLogging`, params.RoleArnForLogging, ROLE_ARN),
    ...text(`${path}.TopicArn`, params.TopicArn, TOPIC_ARN),
  ];
}

function problemsOfTags(tags: Properties["Tags"]): string[] {
  const expected = `at most ${MAX_TAGS} tags: three of the 50 of an action are the provider's`;
  const problems = tags.flatMap(({ Key, Value }, index) => [
    ...text(`Tags[${index}].Key`, Key, ...TAG_KEYS),
    ...text(`Tags[${index}].Value`, Value, TAG_VALUE),
  ]);
  return [...problems, ...length("Tags", tags, 0, MAX_TAGS, expected)];
}

/** Returns the problem of a text by the first rule that it breaks, unless it has a token. */
function text(path: string, value: string | undefined, ...rules: Rule[]): string[] {
  if (value === undefined || Token.isUnresolved(value)) {
    return [];
  }
  const broken = rules.find((rule) => !rule.accepts(value));
  if (!broken) {
    return [];
  }
  const hint = broken.hint?.(value);
  return [invalid(path, value, hint ? `${broken.expected} (${hint})` : broken.expected)];
}

function texts(path: string, values: string[] | undefined, rule: Rule): string[] {
  if (values === undefined || Token.isUnresolved(values)) {
    return [];
  }
  return values.flatMap((value, index) => text(`${path}[${index}]`, value, rule));
}

function length(
  path: string,
  list: unknown[] | undefined,
  least: number,
  most: number,
  expected: string,
): string[] {
  if (list === undefined || Token.isUnresolved(list)) {
    return [];
  }
  const fits = list.length >= least && list.length <= most;
  return fits ? [] : [`${path}: invalid length ${list.length}: expected ${expected}`];
}

/** A problem of a value, in the words of the provider. */
export function invalid(path: string, value: string, expected: string): string {
  const characters = Array.from(JSON.stringify(value));
  const start = characters.slice(0, MAX_EXCERPT).join("");
  const excerpt = characters.length > MAX_EXCERPT ? `${start}…` : start;
  return `${path}: invalid value ${excerpt}: expected ${expected}`;
}
