/**
 * AWS IoT Device Defender mitigation actions in CDK stacks, for mitigation-action-provider.
 */
import {
  Annotations,
  CustomResource,
  Duration,
  ITaggableV2,
  Lazy,
  RemovalPolicy,
  TagManager,
  TagType,
  Token,
} from "aws-cdk-lib";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";

import { Properties, invalid, problemsOf } from "./problems";

const RESOURCE_TYPE = "Custom::IoTMitigationAction";

/** A kind of mitigation action, by the API's `actionType`. */
export type MitigationActionType =
  | "ADD_THINGS_TO_THING_GROUP"
  | "ENABLE_IOT_LOGGING"
  | "PUBLISH_FINDING_TO_SNS"
  | "REPLACE_DEFAULT_POLICY_VERSION"
  | "UPDATE_CA_CERTIFICATE"
  | "UPDATE_DEVICE_CERTIFICATE";

/** Parameters of `ADD_THINGS_TO_THING_GROUP`. */
export interface AddThingsToThingGroupParams {
  /** The thing groups, 1 to 10. */
  readonly thingGroupNames: string[];
  /**
   * Whether things leave dynamic thing groups that have reached their limit.
   * @default false
   */
  readonly overrideDynamicGroups?: boolean;
}

/** How much AWS IoT logs. */
export type LogLevel = "DEBUG" | "INFO" | "WARN" | "ERROR";

/** Parameters of `ENABLE_IOT_LOGGING`. */
export interface EnableIoTLoggingParams {
  /** How much AWS IoT logs. */
  readonly logLevel: LogLevel;
  /** The ARN of the role that AWS IoT assumes to write its log. */
  readonly roleArnForLogging: string;
}

/** Parameters of `PUBLISH_FINDING_TO_SNS`. */
export interface PublishFindingToSnsParams {
  /** The ARN of the topic. */
  readonly topicArn: string;
}

/** What an action does: the parameters of one kind. */
export class MitigationParams {
  /** Moves things to thing groups, typically for quarantine. */
  static addThingsToThingGroup(params: AddThingsToThingGroupParams): MitigationParams {
    return new MitigationParams("ADD_THINGS_TO_THING_GROUP", {
      AddThingsToThingGroupParams: {
        ThingGroupNames: params.thingGroupNames,
        OverrideDynamicGroups: params.overrideDynamicGroups,
      },
    });
  }

  /** Turns AWS IoT logging on. */
  static enableIoTLogging(params: EnableIoTLoggingParams): MitigationParams {
    return new MitigationParams("ENABLE_IOT_LOGGING", {
      EnableIoTLoggingParams: {
        LogLevel: params.logLevel,
        RoleArnForLogging: params.roleArnForLogging,
      },
    });
  }

  /** Publishes the finding to an SNS topic. */
  static publishFindingToSns(params: PublishFindingToSnsParams): MitigationParams {
    return new MitigationParams("PUBLISH_FINDING_TO_SNS", {
      PublishFindingToSnsParams: { TopicArn: params.topicArn },
    });
  }

  /** Replaces the policy by a blank one. */
  static replaceDefaultPolicyVersion(): MitigationParams {
    return new MitigationParams("REPLACE_DEFAULT_POLICY_VERSION", {
      ReplaceDefaultPolicyVersionParams: { TemplateName: "BLANK_POLICY" },
    });
  }

  /** Deactivates the CA certificate. */
  static updateCACertificate(): MitigationParams {
    return new MitigationParams("UPDATE_CA_CERTIFICATE", {
      UpdateCACertificateParams: { Action: "DEACTIVATE" },
    });
  }

  /** Deactivates the device certificate. */
  static updateDeviceCertificate(): MitigationParams {
    return new MitigationParams("UPDATE_DEVICE_CERTIFICATE", {
      UpdateDeviceCertificateParams: { Action: "DEACTIVATE" },
    });
  }

  private constructor(
    /** The kind of the parameters. */
    readonly actionType: MitigationActionType,
    /** The `ActionParams` property. */
    readonly actionParams: object,
  ) {}
}

/**
 * Checks, in each spelling that AWS uses, and the kinds of action that can be applied to their
 * findings, besides `PUBLISH_FINDING_TO_SNS`, which can be applied to all.
 */
const CHECKS = {
  REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK: ["UPDATE_CA_CERTIFICATE"],
  REVOKED_CA_CERT_CHECK: ["UPDATE_CA_CERTIFICATE"],
  CA_CERTIFICATE_EXPIRING_CHECK: ["UPDATE_CA_CERTIFICATE"],
  CA_CERT_APPROACHING_EXPIRATION_CHECK: ["UPDATE_CA_CERTIFICATE"],
  CA_CERTIFICATE_KEY_QUALITY_CHECK: ["UPDATE_CA_CERTIFICATE"],
  INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK: [
    "UPDATE_DEVICE_CERTIFICATE",
    "ADD_THINGS_TO_THING_GROUP",
  ],
  DEVICE_CERTIFICATE_SHARED_CHECK: ["UPDATE_DEVICE_CERTIFICATE", "ADD_THINGS_TO_THING_GROUP"],
  DEVICE_CERTIFICATE_EXPIRING_CHECK: ["UPDATE_DEVICE_CERTIFICATE", "ADD_THINGS_TO_THING_GROUP"],
  DEVICE_CERT_APPROACHING_EXPIRATION_CHECK: [
    "UPDATE_DEVICE_CERTIFICATE",
    "ADD_THINGS_TO_THING_GROUP",
  ],
  REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK: [
    "UPDATE_DEVICE_CERTIFICATE",
    "ADD_THINGS_TO_THING_GROUP",
  ],
  REVOKED_DEVICE_CERT_CHECK: ["UPDATE_DEVICE_CERTIFICATE", "ADD_THINGS_TO_THING_GROUP"],
  DEVICE_CERTIFICATE_KEY_QUALITY_CHECK: ["UPDATE_DEVICE_CERTIFICATE", "ADD_THINGS_TO_THING_GROUP"],
  IOT_POLICY_OVERLY_PERMISSIVE_CHECK: ["REPLACE_DEFAULT_POLICY_VERSION"],
  IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK: ["REPLACE_DEFAULT_POLICY_VERSION"],
  LOGGING_DISABLED_CHECK: ["ENABLE_IOT_LOGGING"],
  UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK: [],
  AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK: [],
  CONFLICTING_CLIENT_IDS_CHECK: [],
  IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK: [],
  IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK: [],
} satisfies Record<string, MitigationActionType[]>;

/** The name of an audit check: a known one, or any other, because AWS adds checks. */
export type AuditCheckName = keyof typeof CHECKS | (string & {});

/**
 * What a Create does where the name is taken by an action that has no owner, or was created by an
 * event, a message or a direct invocation: fail, adopt an identical one unchanged (Delete keeps it),
 * or overwrite it (Delete deletes it).
 */
export type OnConflict = "Fail" | "Adopt" | "Overwrite";

/** Properties of a {@link MitigationAction}. */
export interface MitigationActionProps {
  /**
   * The provider: its function, or the ARN of its function or topic, such as
   * `Fn.importValue("mitigation-action-provider-ServiceToken")`. It must be in the stack's region.
   */
  readonly provider: IFunction | string;
  /** The ARN of the role that the action assumes. */
  readonly roleArn: string;
  /** What the action does. */
  readonly params: MitigationParams;
  /**
   * The name of the action. A new name is a replacement.
   * @default `<stack name>-<logical id>-<12 characters>`
   */
  readonly actionName?: string;
  /**
   * The audit checks that the action is meant for. A check whose findings this kind of action
   * cannot be applied to is an error.
   * @default any
   */
  readonly checkNames?: AuditCheckName[];
  /** @default "Fail" */
  readonly onConflict?: OnConflict;
  /**
   * What becomes of the action when its resource leaves the stack.
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;
  /**
   * How long CloudFormation waits for a response, at most an hour. Six minutes leave time for the
   * two retries of Lambda.
   * @default Duration.minutes(6)
   */
  readonly serviceTimeout?: Duration;
}

/**
 * A mitigation action. `Tags.of()` tags it like any other resource. Its logical id is that of a
 * `CustomResource` with the same id, so one can take the other's place in a stack. Synthesis fails
 * with all problems of its properties that can be seen then, in the words of the provider.
 */
export class MitigationAction extends CustomResource implements ITaggableV2 {
  readonly cdkTagManager: TagManager;

  constructor(scope: Construct, id: string, props: MitigationActionProps) {
    const tags = new TagManager(TagType.STANDARD, RESOURCE_TYPE);
    const serviceToken =
      typeof props.provider === "string" ? props.provider : props.provider.functionArn;
    const properties = {
      ActionName: props.actionName,
      RoleArn: props.roleArn,
      ActionParams: props.params.actionParams,
      CheckNames: props.checkNames,
      OnConflict: props.onConflict,
    };
    super(scope, id, {
      resourceType: RESOURCE_TYPE,
      serviceToken,
      serviceTimeout: props.serviceTimeout ?? Duration.minutes(6),
      removalPolicy: props.removalPolicy,
      properties: {
        ...properties,
        Tags: Lazy.any({ produce: () => rendered(tags) }, { omitEmptyArray: true }),
      },
    });
    this.cdkTagManager = tags;
    const given = () => ({ ...properties, ServiceToken: serviceToken, Tags: rendered(tags) });
    this.node.addValidation({
      validate: () => [
        ...problemsOf(given()),
        ...problemsOfChecks(props.params.actionType, props.checkNames),
      ],
    });
    this.warnOfUnknownChecks(props.checkNames);
  }

  /** The ARN of the action. */
  get actionArn(): string {
    return this.getAttString("ActionArn");
  }

  /** The id of the action, which AWS IoT assigns. */
  get actionId(): string {
    return this.getAttString("ActionId");
  }

  /** The name of the action. */
  get actionName(): string {
    return this.ref;
  }

  /** The kind of the action, by the API's `actionType`. */
  get actionType(): string {
    return this.getAttString("ActionType");
  }

  private warnOfUnknownChecks(names: AuditCheckName[] | undefined): void {
    for (const name of resolved(names)) {
      if (name !== "" && !Token.isUnresolved(name) && kindsOf(name) === undefined) {
        const message = `CheckNames: "${name}" is not a known audit check`;
        Annotations.of(this).addWarningV2("mitigation-action-provider:unknownCheck", message);
      }
    }
  }
}

/** The problems of checks to whose findings this kind of action cannot be applied. */
function problemsOfChecks(
  actionType: MitigationActionType,
  names: AuditCheckName[] | undefined,
): string[] {
  return resolved(names).flatMap((name, index) => {
    const kinds = kindsOf(name);
    if (kinds === undefined || kinds.includes(actionType)) {
      return [];
    }
    const expected =
      `a check to whose findings ${actionType} can be applied ` +
      `(to those of this check: ${kinds.join(" or ")})`;
    return [invalid(`CheckNames[${index}]`, name, expected)];
  });
}

/** The names, unless they are only known at deployment. */
function resolved(names: AuditCheckName[] | undefined): AuditCheckName[] {
  return names === undefined || Token.isUnresolved(names) ? [] : names;
}

/** The kinds of action that can be applied to the findings of a known check. */
function kindsOf(check: string): MitigationActionType[] | undefined {
  const kinds = new Map<string, MitigationActionType[]>(Object.entries(CHECKS)).get(check);
  return kinds && [...kinds, "PUBLISH_FINDING_TO_SNS"];
}

function rendered(tags: TagManager): Properties["Tags"] {
  return Object.entries(tags.tagValues()).map(([Key, Value]) => ({ Key, Value }));
}
