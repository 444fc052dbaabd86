//! Each rule at its limit, one inside and one outside; and whose URL is answered.

use mitigation_action_provider::{
    mitigation::{Code, Failure, Outcome, Task, Verdict},
    trigger::{
        Home, Payload, Trigger,
        cloudformation::{Ask, Envelope, ResponseUrl},
    },
};
use serde_json::{Value, json};
use stand_ins::stack::merged;

use crate::sample;

pub fn envelope(event: &Value) -> Envelope {
    let payload: Payload = serde_json::from_str(&event.to_string()).unwrap();
    match Trigger::recognise(&payload) {
        Ok(Trigger::CloudFormation(envelope)) => *envelope,
        _ => panic!("not a custom-resource request: {event}"),
    }
}

fn asked(event: &Value) -> Ask {
    envelope(event).ask(&Home::new("", "eu-west-1"))
}

/// What is wrong with a create that has these properties in place of its own.
fn problems(properties: &Value) -> Option<String> {
    let event = merged(
        sample("create-update-device-certificate.json"),
        &json!({ "ResourceProperties": properties }),
    );
    match asked(&event) {
        Ask::Work(_) => None,
        Ask::Settled(result) => Some(result.unwrap_err().message(usize::MAX)),
    }
}

#[track_caller]
fn legal(properties: &Value) {
    assert_eq!(problems(properties), None);
}

#[track_caller]
fn illegal(properties: &Value, path: &str) {
    let problems = problems(properties).unwrap_or_else(|| panic!("{path} is taken for legal"));
    assert!(problems.starts_with(&format!("{path}: ")), "{problems} is not about {path}");
}

fn params(kind: &str, value: &Value) -> Value {
    json!({ "ActionParams": { "UpdateDeviceCertificateParams": null, kind: value } })
}

fn groups(names: &Value) -> Value {
    params("AddThingsToThingGroupParams", &json!({ "ThingGroupNames": names }))
}

fn tags(tags: &Value) -> Value {
    json!({ "Tags": tags })
}

fn tag(key: &str, value: &str) -> Value {
    tags(&json!([{ "Key": key, "Value": value }]))
}

#[test]
fn action_names() {
    for name in ["a", "A-z_09", &"n".repeat(128)] {
        legal(&json!({ "ActionName": name }));
    }
    for name in [&"n".repeat(129), "a:b", "a b", "ä", "a/b", "a.b", " "] {
        illegal(&json!({ "ActionName": name }), "ActionName");
    }
    legal(&json!({ "ActionName": 42 }));
    illegal(&json!({ "ActionName": ["a"] }), "ActionName");
    legal(&json!({ "ActionName": "" }));
    legal(&json!({ "ActionName": null }));
}

#[test]
fn role_arns() {
    let kind = "EnableIoTLoggingParams";
    for (length, is_legal) in [(19, false), (20, true), (2048, true), (2049, false)] {
        for letter in ["r", "é"] {
            let role = letter.repeat(length);
            let check: fn(&Value, &str) = if is_legal { |value, _| legal(value) } else { illegal };
            check(&json!({ "RoleArn": role }), "RoleArn");
            let path = format!("ActionParams.{kind}.RoleArnForLogging");
            check(&params(kind, &json!({ "LogLevel": "INFO", "RoleArnForLogging": role })), &path);
        }
    }
    illegal(&json!({ "RoleArn": null }), "RoleArn");
    illegal(&json!({ "RoleArn": "" }), "RoleArn");
}

#[test]
fn thing_groups() {
    let path = "ActionParams.AddThingsToThingGroupParams.ThingGroupNames";
    legal(&groups(&json!(["a:b_c-9"])));
    legal(&groups(&json!(vec!["g"; 10])));
    legal(&groups(&json!(["g".repeat(128)])));
    illegal(&groups(&json!([])), path);
    illegal(&groups(&json!(vec!["g"; 11])), path);
    illegal(&groups(&json!("g")), path);
    illegal(&groups(&Value::Null), path);
    illegal(&groups(&json!(["g", "g".repeat(129)])), &format!("{path}[1]"));
    illegal(&groups(&json!([""])), &format!("{path}[0]"));
    illegal(&groups(&json!(["a/b"])), &format!("{path}[0]"));
    illegal(&groups(&json!([null])), &format!("{path}[0]"));
    for flag in
        [json!("true"), json!("True"), json!("FALSE"), json!(true), json!(false), Value::Null]
    {
        legal(&params(
            "AddThingsToThingGroupParams",
            &json!({ "ThingGroupNames": ["g"], "OverrideDynamicGroups": flag }),
        ));
    }
    for flag in [json!("yes"), json!(1), json!(""), json!([])] {
        let value = json!({ "ThingGroupNames": ["g"], "OverrideDynamicGroups": flag });
        illegal(
            &params("AddThingsToThingGroupParams", &value),
            "ActionParams.AddThingsToThingGroupParams.OverrideDynamicGroups",
        );
    }
}

#[test]
fn words() {
    let role = "arn:aws:iam::123456789012:role/logging";
    for level in ["DEBUG", "INFO", "ERROR", "WARN"] {
        legal(&params(
            "EnableIoTLoggingParams",
            &json!({ "LogLevel": level, "RoleArnForLogging": role }),
        ));
    }
    for level in ["DISABLED", "info", "", "TRACE"] {
        let value = json!({ "LogLevel": level, "RoleArnForLogging": role });
        illegal(
            &params("EnableIoTLoggingParams", &value),
            "ActionParams.EnableIoTLoggingParams.LogLevel",
        );
    }
    illegal(
        &params("EnableIoTLoggingParams", &json!({ "RoleArnForLogging": role })),
        "ActionParams.EnableIoTLoggingParams.LogLevel",
    );
    legal(&params("ReplaceDefaultPolicyVersionParams", &json!({ "TemplateName": "BLANK_POLICY" })));
    illegal(
        &params("ReplaceDefaultPolicyVersionParams", &json!({ "TemplateName": "BLANK" })),
        "ActionParams.ReplaceDefaultPolicyVersionParams.TemplateName",
    );
    for kind in ["UpdateCACertificateParams", "UpdateDeviceCertificateParams"] {
        legal(&params(kind, &json!({ "Action": "DEACTIVATE" })));
        illegal(
            &params(kind, &json!({ "Action": "ACTIVATE" })),
            &format!("ActionParams.{kind}.Action"),
        );
        illegal(&params(kind, &json!({ "Action": null })), &format!("ActionParams.{kind}.Action"));
        illegal(&params(kind, &json!("DEACTIVATE")), &format!("ActionParams.{kind}"));
    }
    for (length, is_legal) in [(1, true), (350, true), (351, false), (0, false)] {
        let check: fn(&Value, &str) = if is_legal { |value, _| legal(value) } else { illegal };
        check(
            &params("PublishFindingToSnsParams", &json!({ "TopicArn": "t".repeat(length) })),
            "ActionParams.PublishFindingToSnsParams.TopicArn",
        );
    }
    for on_conflict in ["Fail", "Adopt", "Overwrite"] {
        legal(&json!({ "OnConflict": on_conflict }));
    }
    for on_conflict in [json!("adopt"), json!(""), json!(1)] {
        illegal(&json!({ "OnConflict": on_conflict }), "OnConflict");
    }
}

#[test]
fn params_are_exactly_one_kind() {
    illegal(&json!({ "ActionParams": null }), "ActionParams");
    illegal(&json!({ "ActionParams": "x" }), "ActionParams");
    illegal(&params("UpdateDeviceCertificateParams", &Value::Null), "ActionParams");
    let two =
        json!({ "ActionParams": { "UpdateCACertificateParams": { "Action": "DEACTIVATE" } } });
    illegal(&two, "ActionParams");
    illegal(
        &params("UpdateCaCertificateParams", &json!({ "Action": "DEACTIVATE" })),
        "ActionParams.UpdateCaCertificateParams",
    );
}

#[test]
fn tags_obey_the_services_rules() {
    legal(&tags(&json!([])));
    legal(&tag("k", ""));
    legal(&tag(&"k".repeat(128), &"v".repeat(256)));
    legal(&tag("Größe 東京 ٣ a_b.c:d/e=f+g-h@i", "anything at all! #?"));
    for key in [
        "",
        &"k".repeat(129),
        "a#b",
        "a\tb",
        "a*b",
        "हि",
        "a\u{301}",
        "🔒",
        "aws:x",
        "AWS:x",
        "mitigation-action-provider:x",
    ] {
        illegal(&tag(key, "v"), "Tags[0].Key");
    }
    legal(&tag("awsx", "v"));
    illegal(&tag("k", &"v".repeat(257)), "Tags[0].Value");
    illegal(&tags(&json!([{ "Value": "v" }])), "Tags[0].Key");
    illegal(&tags(&json!([{ "Key": "k" }])), "Tags[0].Value");
    illegal(&tags(&json!([{ "Key": "k", "Value": "v", "Vlaue": "x" }])), "Tags[0].Vlaue");
    illegal(
        &tags(&json!([{ "Key": "k", "Value": "1" }, { "Key": "k", "Value": "2" }])),
        "Tags[1].Key",
    );
    legal(&tags(&json!([{ "Key": "k", "Value": "1" }, { "Key": "K", "Value": "2" }])));
    illegal(&tags(&json!({ "k": "v" })), "Tags");
    illegal(&tags(&json!(["k"])), "Tags[0]");
    illegal(&tags(&json!([null])), "Tags[0]");
    let many = |count: usize| {
        tags(&(0..count).map(|n| json!({ "Key": format!("k{n}"), "Value": "v" })).collect())
    };
    legal(&many(49));
    illegal(&many(50), "Tags");
}

#[test]
fn an_unknown_property_is_named_with_the_nearest_known_one() {
    for (given, nearest) in [
        ("actionName", "ActionName"),
        ("RoleARN", "RoleArn"),
        ("Tag", "Tags"),
        ("Params", "ActionParams"),
        ("On_Conflict", "OnConflict"),
    ] {
        let problems = problems(&json!({ given: "x" })).unwrap();
        assert!(problems.starts_with(&format!("{given}: unknown property")), "{problems}");
        assert!(problems.ends_with(&format!("the nearest known one is {nearest}")), "{problems}");
    }
    legal(&json!({ "ServiceTimeout": "60" }));
}

#[test]
fn the_same_boolean_in_any_spelling_is_the_same_definition() {
    let definition = |flag: Value| {
        let event = merged(
            sample("create-add-things-to-thing-group.json"),
            &json!({ "ResourceProperties": { "ActionParams": { "AddThingsToThingGroupParams": { "OverrideDynamicGroups": flag } } } }),
        );
        match asked(&event) {
            Ask::Work(request) => match request.task {
                Task::Create(create) => create.definition,
                other => panic!("{other:?}"),
            },
            Ask::Settled(result) => panic!("{result:?}"),
        }
    };
    assert_eq!(definition(json!("true")), definition(json!("True")));
    assert_eq!(definition(json!("true")), definition(json!(true)));
    assert_ne!(definition(json!("true")), definition(json!("false")));
}

#[test]
fn a_delete_without_a_stack_is_settled_without_work() {
    let delete = merged(sample("delete.json"), &json!({ "StackId": "nonsense" }));
    assert!(matches!(asked(&delete), Ask::Settled(Ok(Outcome { verdict: Verdict::Left, .. }))));
}

#[test]
fn what_an_answer_repeats_is_whole_for_as_long_as_it_fits() {
    const LONGEST: usize = 4096;
    const LEAST_REASON: usize = 128;
    const CODE: Code = Code::InternalFailure;

    let answer = |result: &Result<Outcome, Failure>, length: usize| {
        let event =
            merged(sample("delete.json"), &json!({ "PhysicalResourceId": "p".repeat(length) }));
        envelope(&event).answer(result)
    };
    let success = Ok(Outcome { verdict: Verdict::Absent, action: None, notice: None });
    let least = answer(&success, 1).len() - 1;
    let wordless =
        answer(&Err(Failure::new(CODE, "")), 1).len() - 1 - format!("{}: ", CODE.as_str()).len();
    let failure = Err(Failure::new(CODE, "why ".repeat(2000)));
    for (result, least) in [(success, least), (failure, wordless + LEAST_REASON)] {
        for length in LONGEST - least - 200..LONGEST - least + 200 {
            let text = answer(&result, length);
            assert!(text.len() <= LONGEST, "{} bytes", text.len());
            let document: Value = serde_json::from_str(&text).unwrap();
            let is_whole = document["PhysicalResourceId"].as_str().unwrap().len() == length;
            assert_eq!(is_whole, least + length <= LONGEST, "{length} of {result:?}");
        }
    }
}

#[test]
fn response_urls_of_cloudformation_are_answered() {
    for host in [
        "cloudformation-custom-resource-response-useast1.s3.amazonaws.com",
        "cloudformation-custom-resource-response-apsoutheast2.s3-ap-southeast-2.amazonaws.com",
        "cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com",
        "cloudformation-custom-resource-response-euwest1.s3.dualstack.eu-west-1.amazonaws.com",
        "cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn",
        "cloudformation-custom-resource-response-usgovwest1.s3-us-gov-west-1.amazonaws.com",
        "cloudformation-custom-resource-response-x.s3.us-iso-east-1.c2s.ic.gov",
        "cloudformation-custom-resource-response-x.s3.us-isob-east-1.sc2s.sgov.gov",
        "cloudformation-custom-resource-response-x.s3.eusc-de-east-1.amazonaws.eu",
        "CloudFormation-Custom-Resource-Response-USEast1.s3.amazonaws.com",
        "cloudformation-custom-resource-response-a-b-1.s3.amazonaws.com:443",
    ] {
        assert!(
            ResponseUrl::parse(&format!("https://{host}/arn%3Aaws?X-Amz-Date=1"), &[]).is_ok(),
            "{host}"
        );
    }
}

#[test]
fn response_urls_of_anybody_else_are_not() {
    let good = "cloudformation-custom-resource-response-useast1.s3.amazonaws.com";
    for url in [
        format!("http://{good}/x"),
        format!("https://{good}:8443/x"),
        format!("https://{good}:/x"),
        format!("https://user@{good}/x"),
        format!("https://user:password@{good}/x"),
        format!("https://{good}@evil.example/x"),
        format!("https://{good}.evil.example/x"),
        format!("https://{good}./x"),
        format!("https://evil.example/{good}"),
        format!("https://evil.example#{good}"),
        format!("https://evil.example?{good}"),
        format!("ftp://{good}/x"),
        format!("{good}/x"),
        format!("//{good}/x"),
        "https://s3.amazonaws.com/cloudformation-custom-resource-response-useast1/x".to_owned(),
        "https://cloudformation-custom-resource-response-.s3.amazonaws.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com.evil.example/x"
            .to_owned(),
        "https://cloudformation-custom-resource-response-a.b.s3.amazonaws.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-a_b.s3.amazonaws.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-a.evil.amazonaws.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-a.s3.evil.amazonaws.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-a.s3-website-us-east-1.amazonaws.com/x"
            .to_owned(),
        "https://cloudformation-custom-resource-response-a.s3-accelerate.amazonaws.com/x"
            .to_owned(),
        "https://cloudformation-custom-resource-response-a.s3.us-g0v-west-1.amazonaws.com/x"
            .to_owned(),
        "https://cloudformation-custom-resource-response-a.s3.us--1.amazonaws.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-a.s3.us-east-1.evil.com/x".to_owned(),
        "https://cloudformation-custom-resource-response-a.s3amazonaws.com/x".to_owned(),
        "https://xcloudformation-custom-resource-response-a.s3.amazonaws.com/x".to_owned(),
        "https://other-bucket.s3.amazonaws.com/x".to_owned(),
        "https://127.0.0.1/x".to_owned(),
        "https://[::1]/x".to_owned(),
        "https:///x".to_owned(),
        format!("https://{good}:+443/x"),
        format!("https://{good}:/x"),
        format!("https://[{good}]/x"),
        String::new(),
    ] {
        assert!(ResponseUrl::parse(&url, &[]).is_err(), "{url}");
    }
}

#[test]
fn allowed_hosts_are_answered_on_any_port_and_over_http() {
    let allowed = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for url in [
        "http://localhost:9010/x",
        "https://LOCALHOST/x",
        "http://127.0.0.1:1/x?y",
        "http://[::1]:8080/x",
    ] {
        assert!(ResponseUrl::parse(url, &allowed).is_ok(), "{url}");
    }
    for url in [
        "http://localhost.evil.example/",
        "ftp://localhost/",
        "http://user@localhost/",
        "http://127.0.0.2/",
        "http://localhost:99999/",
        "http://localhost:+1/",
        "http://[localhost]/",
        "http://[127.0.0.1]/",
    ] {
        assert!(ResponseUrl::parse(url, &allowed).is_err(), "{url}");
    }
}

#[test]
fn the_date_of_a_url_is_read_as_aws_writes_it() {
    let at = |date: &str| {
        let url = format!("http://h/x?X-Amz-Date={date}");
        let signed = ResponseUrl::parse(&url, &["h".to_owned()]).unwrap().signed_at();
        signed.map(|at| at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
    };
    assert_eq!(at("19700101T000000Z"), Some(0));
    assert_eq!(at("20000229T235959Z"), Some(951_868_799));
    assert_eq!(at("20261122T101112Z"), Some(1_795_342_272));
    assert_eq!(at("20161231T235960Z"), Some(1_483_228_800), "a leap second");
    assert_eq!(at("99991231T235959Z"), Some(253_402_300_799));
    for date in [
        "",
        "20261122",
        "20261122T101112",
        "20261122T101112z",
        "20261122T101112ZZ",
        "2026112aT101112Z",
        "20261122X101112Z",
        "19691231T235959Z",
        "20260022T101112Z",
        "20261322T101112Z",
        "20261100T101112Z",
        "20261132T101112Z",
        "20261122T241112Z",
        "20261122T106012Z",
        "20261122T101161Z",
    ] {
        assert_eq!(at(date), None, "{date}");
    }
}

/// Text inside of text, `levels` deep, each of it an object by which `serde_json` marks JSON that it has left unread.
fn unread(levels: usize) -> String {
    (0..levels).fold("\"made-by-hand\"".to_owned(), |inner, _| {
        let text = inner.replace('\\', "\\u005c").replace('"', "\\u0022");
        format!(
            "{}{{\"$serde_json::private::RawValue\":\"{text}\"}}{}",
            "[".repeat(100),
            "]".repeat(100)
        )
    })
}

#[test]
fn json_in_a_string_is_a_string_however_deep_it_is() {
    let trigger = |text: &str| Trigger::recognise(&serde_json::from_str::<Payload>(text).unwrap());
    let member = unread(250);
    for text in [
        format!("{{\"actionName\":{member}}}"),
        format!(
            "{{\"detail-type\":\"Mitigation Action Requested\",\"source\":\"s\",\"id\":\"i\",\"detail\":{member}}}"
        ),
        format!(
            "{{\"ResponseURL\":\"https://x\",\"RequestType\":{member},\"ResourceProperties\":{{\"ActionName\":{member}}}}}"
        ),
    ] {
        assert!(trigger(&text).is_ok());
    }
    illegal(
        &json!({ "ActionName": { "$serde_json::private::RawValue": "\"made-by-hand\"" } }),
        "ActionName",
    );
}

#[test]
fn a_number_is_named_as_it_was_given() {
    for number in ["7", "-5", "1.5"] {
        let value: Value = serde_json::from_str(number).unwrap();
        let problems = problems(&json!({ "RoleArn": value })).unwrap();
        assert!(problems.starts_with(&format!("RoleArn: {number} is not legal")), "{problems}");
    }
}
