//! The properties of a mitigation action that CloudFormation's resource and the API's request
//! share: role, parameters, tags, the policy for conflicts and the audit checks.

use cloudformation_custom_resource::truncate;

use super::reader::{Members, Node, Reader, Syntax};
use crate::mitigation::{
    ActionName, AuditCheck, CertificateAction, Create, Definition, Expected, Flag, IfOwned, Kind,
    LogLevel, OnConflict, Params, Parse, PolicyTemplate, Problem, Property, RoleArn, Tags,
    ThingGroupName, ThingGroupNames, TopicArn,
};

impl Syntax {
    pub(super) fn on_conflict(self, word: &str) -> Option<OnConflict> {
        OnConflict::ALL.iter().copied().find(|policy| self.is_name(policy.as_str(), word))
    }
}

impl Reader {
    /// The parameters of a create: all properties but the name, which each trigger reads in its own
    /// way.
    pub fn create(
        &mut self,
        members: &Members<'_>,
        name: Option<ActionName>,
        if_owned: IfOwned,
    ) -> Option<Create> {
        let role_arn: Option<RoleArn> =
            self.text(&self.member(members, Property::RoleArn.as_str()));
        let params = self.params(&self.member(members, Property::ActionParams.as_str()));
        let tags = self.tags(&self.member(members, Property::Tags.as_str()));
        let on_conflict = self.on_conflict(&self.member(members, Property::OnConflict.as_str()));
        let kind = params.as_ref().map(Params::kind);
        self.check_names(&self.member(members, Property::CheckNames.as_str()), kind);
        let definition = Definition { role_arn: role_arn?, params: params? };
        Some(Create { name: name?, definition, tags, on_conflict: on_conflict?, if_owned })
    }

    /// `actionParams`: the parameters of exactly one kind.
    pub fn params(&mut self, node: &Node<'_>) -> Option<Params> {
        let members: Vec<&str> = Kind::ALL.iter().map(|kind| kind.params_member()).collect();
        let syntax = self.syntax();
        let names = || members.iter().map(|name| syntax.name(name)).collect::<Vec<_>>().join(", ");
        let missing = |node: &Node<'_>| {
            Problem::missing(node.path(), &format!("an object with one of {}", names()))
        };
        if node.value().is_none() {
            self.add(|| missing(node));
            return None;
        }
        let problems = self.problem_count();
        let object = self.object(node, &members)?;
        let is_sound = self.problem_count() == problems;
        let mut given = Vec::new();
        for kind in Kind::ALL {
            let node = self.member(&object, kind.params_member());
            if node.value().is_some() {
                given.push((syntax.name(kind.params_member()), self.params_of(*kind, &node)));
            }
        }
        match given.as_slice() {
            [] if is_sound => self.add(|| missing(node)),
            [] => {}
            [(_, params)] => return params.clone(),
            several => self.add(|| {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                let expected = "the parameters of exactly one kind";
                Problem::invalid(node.path(), &names.join(" and "), expected)
            }),
        }
        None
    }

    fn params_of(&mut self, kind: Kind, node: &Node<'_>) -> Option<Params> {
        match kind {
            Kind::AddThingsToThingGroup => self.add_things_to_thing_group(node),
            Kind::EnableIoTLogging => self.enable_iot_logging(node),
            Kind::PublishFindingToSns => {
                let topic_arn: TopicArn = self.only_member(node, "topicArn")?;
                Some(Params::PublishFindingToSns { topic_arn })
            }
            Kind::ReplaceDefaultPolicyVersion => {
                let template_name: PolicyTemplate = self.only_member(node, "templateName")?;
                Some(Params::ReplaceDefaultPolicyVersion { template_name })
            }
            Kind::UpdateCaCertificate => {
                let action: CertificateAction = self.only_member(node, "action")?;
                Some(Params::UpdateCaCertificate { action })
            }
            Kind::UpdateDeviceCertificate => {
                let action: CertificateAction = self.only_member(node, "action")?;
                Some(Params::UpdateDeviceCertificate { action })
            }
        }
    }

    fn add_things_to_thing_group(&mut self, node: &Node<'_>) -> Option<Params> {
        let members = self.object(node, &["thingGroupNames", "overrideDynamicGroups"])?;
        let names = self.thing_group_names(&self.member(&members, "thingGroupNames"));
        let override_dynamic_groups = self.flag(&self.member(&members, "overrideDynamicGroups"))?;
        let thing_group_names = names?;
        Some(Params::AddThingsToThingGroup { thing_group_names, override_dynamic_groups })
    }

    fn enable_iot_logging(&mut self, node: &Node<'_>) -> Option<Params> {
        let members = self.object(node, &["logLevel", "roleArnForLogging"])?;
        let log_level: Option<LogLevel> = self.text(&self.member(&members, "logLevel"));
        let role_arn: RoleArn = self.text(&self.member(&members, "roleArnForLogging"))?;
        Some(Params::EnableIoTLogging { log_level: log_level?, role_arn_for_logging: role_arn })
    }

    /// The only member of an object, which is required.
    fn only_member<T: Parse>(&mut self, node: &Node<'_>, name: &'static str) -> Option<T> {
        let members = self.object(node, &[name])?;
        self.text(&self.member(&members, name))
    }

    fn flag(&mut self, node: &Node<'_>) -> Option<Flag> {
        let Some(value) = node.value() else { return Some(Flag(None)) };
        let text = Syntax::CloudFormation.text(value).unwrap_or_default();
        if text.eq_ignore_ascii_case("true") {
            Some(Flag(Some(true)))
        } else if text.eq_ignore_ascii_case("false") {
            Some(Flag(Some(false)))
        } else {
            self.invalid(node, "true or false");
            None
        }
    }

    fn thing_group_names(&mut self, node: &Node<'_>) -> Option<ThingGroupNames> {
        if node.value().is_none() {
            self.missing(node, ThingGroupNames::EXPECTED);
        }
        let mut names: Vec<ThingGroupName> = Vec::new();
        let count = self.list(node, ThingGroupNames::EXPECTED, &mut |reader, item| {
            if let Some(name) = reader.text(item)
                && names.len() < ThingGroupNames::MAX
            {
                names.push(name);
            }
        })?;
        if (1..=ThingGroupNames::MAX).contains(&count) {
            return ThingGroupNames::new(names);
        }
        self.wrong_length(node, count, ThingGroupNames::EXPECTED);
        None
    }

    /// `tags`: a list of keys and values, optional. The value is optional in the API only.
    pub fn tags(&mut self, node: &Node<'_>) -> Tags {
        let mut tags = Tags::default();
        let expected = "a list of tags, each with Key and Value";
        let count = self.list(node, expected, &mut |reader, item| {
            let Some(members) = reader.object(item, &["Key", "Value"]) else { return };
            let (key, value) = (reader.member(&members, "Key"), reader.member(&members, "Value"));
            let key_text = reader.tag_text(&key, Tags::check_key);
            let value_text = match (value.value(), reader.syntax()) {
                (None, Syntax::Api) => Some(String::new()),
                (Some(_), Syntax::Api) | (_, Syntax::CloudFormation) => {
                    reader.tag_text(&value, Tags::check_value)
                }
            };
            let (Some(key_text), Some(value_text)) = (key_text, value_text) else { return };
            if tags.contains(&key_text) {
                reader.invalid(&key, "a key that no other tag has");
            } else if tags.len() < Tags::MAX_GIVEN {
                tags.set(key_text, value_text);
            }
        });
        if let Some(count) = count.filter(|count| *count > Tags::MAX_GIVEN) {
            let expected = "at most 47 tags: three of the 50 of an action are the provider's";
            self.wrong_length(node, count, expected);
        }
        tags
    }

    fn tag_text(
        &mut self,
        node: &Node<'_>,
        check: fn(&str) -> Result<(), Expected>,
    ) -> Option<String> {
        let Some(value) = node.value() else {
            self.missing(node, "a string");
            return None;
        };
        let text = self.syntax().text(value);
        match text.as_deref().map_or(Err(Expected("a string")), check) {
            Ok(()) => text.map(Into::into),
            Err(Expected(expected)) => {
                self.invalid(node, expected);
                None
            }
        }
    }

    fn wrong_length(&mut self, node: &Node<'_>, count: usize, expected: &str) {
        let text = format!("invalid length {count}: expected {expected}");
        self.add(|| Problem::other(node.path(), &text));
    }

    pub fn on_conflict(&mut self, node: &Node<'_>) -> Option<OnConflict> {
        let Some(value) = node.value() else { return Some(OnConflict::default()) };
        let syntax = self.syntax();
        let found = syntax.text(value).and_then(|word| syntax.on_conflict(&word));
        if found.is_none() {
            let name = |policy: &OnConflict| syntax.name(policy.as_str());
            let mut names: Vec<String> = OnConflict::ALL.iter().map(name).collect();
            let last = names.pop().unwrap_or_default();
            self.invalid(node, &format!("{} or {last}", names.join(", ")));
        }
        found
    }

    /// `checkNames`: the audit checks that the action is meant for. An unknown check is only a
    /// warning, because AWS adds checks.
    pub fn check_names(&mut self, node: &Node<'_>, kind: Option<Kind>) {
        self.list(node, "a list of names of audit checks", &mut |reader, item| {
            let text = item.value().and_then(|value| reader.syntax().text(value));
            let Some(name) = text.filter(|name| !name.is_empty()) else {
                return reader.invalid(item, "the name of an audit check");
            };
            let Some(check) = AuditCheck::named(&name) else {
                return reader.warn(|| {
                    let name = truncate(&name, 128);
                    format!("{}: {name:?} is not a known audit check", item.path())
                });
            };
            let Some(kinds) = check.kinds() else {
                return reader.warn(|| {
                    let path = item.path();
                    format!("{path}: AWS does not document which actions {name} takes")
                });
            };
            if let Some(kind) = kind.filter(|kind| !kinds.contains(kind)) {
                let fit: Vec<&str> = kinds.into_iter().map(Kind::as_str).collect();
                let fit = fit.join(" or ");
                let expected = format!(
                    "a check to whose findings {kind} can be applied (to those of this check: {fit})"
                );
                reader.invalid(item, &expected);
            }
        });
    }
}
