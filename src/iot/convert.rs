//! Conversion between the domain's types and the SDK's.

use aws_sdk_iot::{
    operation::describe_mitigation_action::DescribeMitigationActionOutput,
    primitives::{DateTime, DateTimeFormat},
    types::{self, MitigationActionParams, Tag},
};

use crate::{
    mitigation::{
        Action, ActionName, CertificateAction, Description, ErrorCode, Failure, Flag, Kind,
        LogLevel, Params, PolicyTemplate, RoleArn, Tags, ThingGroupNames, TopicArn,
    },
    sdk::CallError,
};

/// The action that a response names; `None` if it has no ARN or no id.
pub fn action(
    name: &ActionName,
    arn: Option<String>,
    id: Option<String>,
    action_type: Option<String>,
) -> Option<Action> {
    Some(Action { name: name.clone(), arn: arn?, id: Some(id?), action_type })
}

/// The action and its description that a response gives; `None` if it has no ARN or no id.
pub fn described(
    name: &ActionName,
    found: DescribeMitigationActionOutput,
) -> Option<(Action, Description)> {
    let params = found.action_params.and_then(|params| from_sdk(&params));
    let action_type = match found.action_type {
        Some(action_type) => Some(action_type.as_str().to_owned()),
        None => params.as_ref().map(|params| params.kind().to_string()),
    };
    let action = action(name, found.action_arn, found.action_id, action_type)?;
    let description = Description {
        role_arn: found.role_arn.map(RoleArn::from_service),
        params,
        tags: Tags::default(),
        created: found.creation_date.and_then(date),
        modified: found.last_modified_date.and_then(date),
    };
    Some((action, description))
}

/// The service gives milliseconds, as a fraction of a second that no binary number holds exactly.
fn date(date: DateTime) -> Option<String> {
    let milliseconds = format!("{:.0}", date.as_secs_f64() * 1000.0).parse().ok()?;
    DateTime::from_millis(milliseconds).fmt(DateTimeFormat::DateTime).ok()
}

/// A builder of the SDK's that misses a member, which none here does.
fn incomplete(error: impl std::error::Error) -> CallError {
    let text = format!("the request could not be built: {error}");
    CallError::Permanent(Failure::service(ErrorCode::InternalFailure, text))
}

pub fn to_sdk_tags(tags: &Tags) -> Result<Vec<Tag>, CallError> {
    let tag = |(key, value)| Tag::builder().key(key).value(value).build().map_err(incomplete);
    tags.iter().map(tag).collect()
}

pub fn to_sdk(params: &Params) -> Result<MitigationActionParams, CallError> {
    use types::{
        AddThingsToThingGroupParams as Things, EnableIoTLoggingParams as Logging,
        PublishFindingToSnsParams as Publish, ReplaceDefaultPolicyVersionParams as Replace,
        UpdateCaCertificateParams as Ca, UpdateDeviceCertificateParams as Device,
    };

    let sdk = MitigationActionParams::builder();
    let sdk = match params {
        Params::AddThingsToThingGroup { thing_group_names, override_dynamic_groups } => {
            let names = thing_group_names.iter().map(str::to_owned).collect();
            let things = Things::builder().set_thing_group_names(Some(names));
            let things = things.set_override_dynamic_groups(override_dynamic_groups.0);
            sdk.add_things_to_thing_group_params(things.build().map_err(incomplete)?)
        }
        Params::EnableIoTLogging { log_level, role_arn_for_logging } => {
            let logging = Logging::builder().log_level(log_level.as_str().into());
            let logging = logging.role_arn_for_logging(role_arn_for_logging.as_str());
            sdk.enable_io_t_logging_params(logging.build().map_err(incomplete)?)
        }
        Params::PublishFindingToSns { topic_arn } => {
            let publish = Publish::builder().topic_arn(topic_arn.as_str());
            sdk.publish_finding_to_sns_params(publish.build().map_err(incomplete)?)
        }
        Params::ReplaceDefaultPolicyVersion { template_name } => {
            let replace = Replace::builder().template_name(template_name.as_str().into());
            sdk.replace_default_policy_version_params(replace.build().map_err(incomplete)?)
        }
        Params::UpdateCaCertificate { action } => {
            let ca = Ca::builder().action(action.as_str().into());
            sdk.update_ca_certificate_params(ca.build().map_err(incomplete)?)
        }
        Params::UpdateDeviceCertificate { action } => {
            let device = Device::builder().action(action.as_str().into());
            sdk.update_device_certificate_params(device.build().map_err(incomplete)?)
        }
    };
    Ok(sdk.build())
}

/// The parameters that the service holds; `None` for a kind that came after this version.
fn from_sdk(params: &MitigationActionParams) -> Option<Params> {
    Kind::ALL.iter().find_map(|kind| params_of_kind(*kind, params))
}

fn params_of_kind(kind: Kind, params: &MitigationActionParams) -> Option<Params> {
    Some(match kind {
        Kind::AddThingsToThingGroup => {
            let found = params.add_things_to_thing_group_params.as_ref()?;
            Params::AddThingsToThingGroup {
                thing_group_names: ThingGroupNames::from_service(found.thing_group_names.clone()),
                override_dynamic_groups: Flag(found.override_dynamic_groups),
            }
        }
        Kind::EnableIoTLogging => {
            let found = params.enable_io_t_logging_params.as_ref()?;
            Params::EnableIoTLogging {
                log_level: LogLevel::from_service(found.log_level.as_str().to_owned()),
                role_arn_for_logging: RoleArn::from_service(found.role_arn_for_logging.clone()),
            }
        }
        Kind::PublishFindingToSns => {
            let found = params.publish_finding_to_sns_params.as_ref()?;
            Params::PublishFindingToSns {
                topic_arn: TopicArn::from_service(found.topic_arn.clone()),
            }
        }
        Kind::ReplaceDefaultPolicyVersion => {
            let found = params.replace_default_policy_version_params.as_ref()?;
            let template_name =
                PolicyTemplate::from_service(found.template_name.as_str().to_owned());
            Params::ReplaceDefaultPolicyVersion { template_name }
        }
        Kind::UpdateCaCertificate => {
            let found = params.update_ca_certificate_params.as_ref()?;
            let action = CertificateAction::from_service(found.action.as_str().to_owned());
            Params::UpdateCaCertificate { action }
        }
        Kind::UpdateDeviceCertificate => {
            let found = params.update_device_certificate_params.as_ref()?;
            let action = CertificateAction::from_service(found.action.as_str().to_owned());
            Params::UpdateDeviceCertificate { action }
        }
    })
}
