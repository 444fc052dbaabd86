//! The constraints of the service model.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ServiceError;

pub fn invalid(message: impl Into<String>) -> ServiceError {
    (400, "InvalidRequestException", message.into())
}

pub fn check_name(name: &str) -> Result<(), ServiceError> {
    let is_valid = (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_valid {
        Ok(())
    } else {
        Err(invalid(format!("1 validation error detected: actionName {name}")))
    }
}

pub fn check_role(value: &Value, member: &str) -> Result<String, ServiceError> {
    let role = value.as_str().ok_or_else(|| invalid(format!("{member} is required")))?;
    if !(20..=2048).contains(&role.chars().count()) {
        return Err(invalid(format!("1 validation error detected: {member}")));
    }
    Ok(role.to_owned())
}

fn check_members(value: &Value, known: &[&str]) -> Result<Map<String, Value>, ServiceError> {
    let map = value.as_object().ok_or_else(|| invalid("a structure is required"))?;
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(invalid(format!("unknown member {unknown}"))),
        None => Ok(map.clone()),
    }
}

fn check_enum(value: &Value, values: &[&str]) -> Result<(), ServiceError> {
    let is_valid = value.as_str().is_some_and(|value| values.contains(&value));
    if is_valid { Ok(()) } else { Err(invalid(format!("1 validation error detected: {value}"))) }
}

pub fn check_params(params: &Value) -> Result<Value, ServiceError> {
    let map = params.as_object().ok_or_else(|| invalid("actionParams is required"))?;
    if map.len() != 1 {
        return Err(invalid("exactly one type of parameters is required"));
    }
    let (kind, value) = map.iter().next().unwrap();
    let member = |name: &str| value.get(name).unwrap_or(&Value::Null);
    match kind.as_str() {
        "addThingsToThingGroupParams" => check_groups(value)?,
        "enableIoTLoggingParams" => {
            check_members(value, &["logLevel", "roleArnForLogging"])?;
            check_role(member("roleArnForLogging"), "roleArnForLogging")?;
            check_enum(member("logLevel"), &["DEBUG", "INFO", "ERROR", "WARN"])?;
        }
        "publishFindingToSnsParams" => {
            check_members(value, &["topicArn"])?;
            let topic = member("topicArn").as_str().ok_or_else(|| invalid("topicArn"))?;
            if topic.chars().count() > 350 {
                return Err(invalid("1 validation error detected: topicArn"));
            }
        }
        "replaceDefaultPolicyVersionParams" => {
            check_members(value, &["templateName"])?;
            check_enum(member("templateName"), &["BLANK_POLICY"])?;
        }
        "updateCACertificateParams" | "updateDeviceCertificateParams" => {
            check_members(value, &["action"])?;
            check_enum(member("action"), &["DEACTIVATE"])?;
        }
        other => return Err(invalid(format!("unknown member {other}"))),
    }
    Ok(params.clone())
}

fn check_groups(value: &Value) -> Result<(), ServiceError> {
    let members = check_members(value, &["thingGroupNames", "overrideDynamicGroups"])?;
    let names = members
        .get("thingGroupNames")
        .and_then(Value::as_array)
        .ok_or_else(|| invalid("thingGroupNames"))?;
    let is_valid = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        (1..=128).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_-".contains(&b))
    };
    if !(1..=10).contains(&names.len()) || !names.iter().all(is_valid) {
        return Err(invalid("1 validation error detected: thingGroupNames"));
    }
    if members.get("overrideDynamicGroups").is_some_and(|flag| !flag.is_boolean()) {
        let message = "overrideDynamicGroups is a boolean".to_owned();
        return Err((400, "SerializationException", message));
    }
    Ok(())
}

pub fn check_tags(tags: &Value) -> Result<BTreeMap<String, String>, ServiceError> {
    let mut checked = BTreeMap::new();
    for tag in tags.as_array().into_iter().flatten() {
        let members = check_members(tag, &["Key", "Value"])?;
        let key = members.get("Key").and_then(Value::as_str).unwrap_or_default();
        let value = members.get("Value").and_then(Value::as_str).unwrap_or_default();
        let is_valid = (1..=128).contains(&key.chars().count())
            && value.chars().count() <= 256
            && !key.to_lowercase().starts_with("aws:");
        if !is_valid || checked.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(invalid(format!("1 validation error detected: tag {key}")));
        }
    }
    Ok(checked)
}
