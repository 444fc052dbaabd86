//! Properties in either spelling, CloudFormation's or the API's, into nouns; every problem is gathered on the way.
//!
//! The two differ in the case of the first letter and in what CloudFormation does to scalars: it turns each into a string.

use serde_json::{Map, Value};

use crate::mitigation::{
    CertificateAction, Flag, LogLevel, OnConflict, Params, PolicyTemplate, Problem, Problems,
    RoleArn, Tags, Text, ThingGroupName, ThingGroupNames, TopicArn,
};

/// How names are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `ActionParams.UpdateCACertificateParams`, and any scalar may be a string or not.
    CloudFormation,
    /// `actionParams.updateCACertificateParams`, and only booleans may be strings.
    Api,
}

impl Spelling {
    /// Whether `given` is the API's `name` in this spelling.
    fn is_name(self, name: &str, given: &str) -> bool {
        match (self, name.split_at_checked(1), given.split_at_checked(1)) {
            (Self::CloudFormation, Some((first, rest)), Some((given_first, given_rest))) => {
                rest == given_rest
                    && first.eq_ignore_ascii_case(given_first)
                    && given_first.bytes().all(|b| b.is_ascii_uppercase())
            }
            _ => name == given,
        }
    }

    /// The API's `name` in this spelling.
    fn name(self, name: &str) -> String {
        let mut letters = name.chars();
        match (self, letters.next()) {
            (Self::CloudFormation, Some(first)) => {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            }
            _ => name.to_owned(),
        }
    }
}

/// Reads values, and gathers what is wrong with them.
pub struct Reader {
    spelling: Spelling,
    problems: Problems,
}

/// A value at a path; absent is as good as null.
pub struct Node<'v> {
    path: String,
    value: Option<&'v Value>,
}

/// The members of an object at a path.
pub struct Members<'v> {
    path: String,
    map: Option<&'v Map<String, Value>>,
}

impl Reader {
    /// A reader of one request.
    #[must_use]
    pub fn new(spelling: Spelling) -> Self {
        Self { spelling, problems: Problems::new() }
    }

    /// `value`, or else all that was wrong: a value that could not be read has left a problem.
    ///
    /// # Errors
    /// The problems, where there are any.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.problems),
        }
    }

    /// Notes one more problem.
    pub fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The members of the object `value` at `path`, of which none may be other than `known` (in the API's spelling).
    pub fn object<'v>(
        &mut self,
        path: &str,
        value: Option<&'v Value>,
        known: &[&str],
    ) -> Members<'v> {
        let map = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => {
                self.problems.push(Problem::illegal(path, &other.to_string(), "an object"));
                None
            }
        };
        let spelling = self.spelling;
        let is_unknown = |name: &str| !known.iter().any(|known| spelling.is_name(known, name));
        for (name, value) in map.into_iter().flatten().filter(|(name, _)| is_unknown(name)) {
            let known: Vec<String> = known.iter().map(|name| spelling.name(name)).collect();
            self.problems.push(Problem::unknown(
                &join(path, name),
                name,
                &value.to_string(),
                &known,
            ));
        }
        Members { path: path.to_owned(), map }
    }

    /// The member of that name in the API's spelling.
    #[must_use]
    pub fn member<'v>(&self, members: &Members<'v>, name: &str) -> Node<'v> {
        let name = self.spelling.name(name);
        let value = members.map.and_then(|map| map.get(&name)).filter(|value| !value.is_null());
        Node { path: join(&members.path, &name), value }
    }

    /// The text at `node`; where it is absent, that is a problem.
    pub fn text<T: Text>(&mut self, node: &Node<'_>) -> Option<T> {
        if node.value.is_none() {
            self.problems.push(Problem::missing(&node.path, T::LEGAL));
        }
        self.optional_text(node)
    }

    /// The text at `node`, if there is any.
    pub fn optional_text<T: Text>(&mut self, node: &Node<'_>) -> Option<T> {
        let value = node.value?;
        let text = text_of(value, self.spelling).and_then(|text| T::parse(&text));
        if text.is_none() {
            self.problems.push(Problem::illegal(&node.path, &value.to_string(), T::LEGAL));
        }
        text
    }

    fn flag(&mut self, node: &Node<'_>) -> Option<Flag> {
        let Some(value) = node.value else { return Some(Flag(None)) };
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        if flag.is_none() {
            self.problems.push(Problem::illegal(&node.path, &value.to_string(), "true or false"));
        }
        flag.map(|flag| Flag(Some(flag)))
    }

    fn list<'v>(&mut self, node: &Node<'v>, legal: &str) -> Option<Vec<Node<'v>>> {
        let Some(Value::Array(items)) = node.value else {
            if let Some(value) = node.value {
                self.problems.push(Problem::illegal(&node.path, &value.to_string(), legal));
            }
            return None;
        };
        let item =
            |(index, value)| Node { path: format!("{}[{index}]", node.path), value: Some(value) };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// `actionParams`: exactly one of six kinds.
    pub fn params(&mut self, node: &Node<'_>) -> Option<Params> {
        let spelling = self.spelling;
        let legal = || {
            format!("an object with one of {}", KINDS.map(|kind| spelling.name(kind)).join(", "))
        };
        let Some(value) = node.value else {
            self.problems.push(Problem::missing(&node.path, &legal()));
            return None;
        };
        let members = self.object(&node.path, Some(value), &KINDS);
        let before = self.problems.len();
        let given: Vec<(&str, Node<'_>)> =
            KINDS.iter().map(|kind| (*kind, self.member(&members, kind))).collect();
        let mut params: Vec<Option<Params>> = given
            .iter()
            .filter(|(_, node)| node.value.is_some())
            .map(|(kind, node)| self.params_of(kind, node))
            .collect();
        match params.len() {
            1 => params.pop().flatten(),
            0 if members.map.is_none_or(Map::is_empty)
                && before == self.problems.len()
                && value.is_object() =>
            {
                self.problems.push(Problem::missing(&node.path, &legal()));
                None
            }
            0 => None,
            _ => {
                let names: Vec<&str> =
                    members.map.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                self.problems.push(Problem::illegal(
                    &node.path,
                    &names.join(" and "),
                    "exactly one kind of parameters",
                ));
                None
            }
        }
    }

    fn params_of(&mut self, kind: &str, node: &Node<'_>) -> Option<Params> {
        if let Some(value) = node.value.filter(|value| !value.is_object()) {
            self.problems.push(Problem::illegal(&node.path, &value.to_string(), "an object"));
            return None;
        }
        match kind {
            "addThingsToThingGroupParams" => {
                let members = self.object(
                    &node.path,
                    node.value,
                    &["thingGroupNames", "overrideDynamicGroups"],
                );
                let thing_group_names =
                    self.thing_group_names(&self.member(&members, "thingGroupNames"));
                let override_dynamic_groups =
                    self.flag(&self.member(&members, "overrideDynamicGroups"))?;
                Some(Params::AddThingsToThingGroup {
                    thing_group_names: thing_group_names?,
                    override_dynamic_groups,
                })
            }
            "enableIoTLoggingParams" => {
                let members =
                    self.object(&node.path, node.value, &["logLevel", "roleArnForLogging"]);
                let log_level: Option<LogLevel> = self.text(&self.member(&members, "logLevel"));
                let role_arn_for_logging: Option<RoleArn> =
                    self.text(&self.member(&members, "roleArnForLogging"));
                Some(Params::EnableIoTLogging {
                    log_level: log_level?,
                    role_arn_for_logging: role_arn_for_logging?,
                })
            }
            "publishFindingToSnsParams" => {
                let topic_arn: Option<TopicArn> = self.only(node, "topicArn");
                Some(Params::PublishFindingToSns { topic_arn: topic_arn? })
            }
            "replaceDefaultPolicyVersionParams" => {
                let template_name: Option<PolicyTemplate> = self.only(node, "templateName");
                Some(Params::ReplaceDefaultPolicyVersion { template_name: template_name? })
            }
            _ => {
                let action: CertificateAction = self.only(node, "action")?;
                Some(match kind {
                    "updateCACertificateParams" => Params::UpdateCaCertificate { action },
                    _ => Params::UpdateDeviceCertificate { action },
                })
            }
        }
    }

    /// The only member that an object may have, and must.
    fn only<T: Text>(&mut self, node: &Node<'_>, name: &str) -> Option<T> {
        let members = self.object(&node.path, node.value, &[name]);
        self.text(&self.member(&members, name))
    }

    fn thing_group_names(&mut self, node: &Node<'_>) -> Option<ThingGroupNames> {
        if node.value.is_none() {
            self.problems.push(Problem::missing(&node.path, ThingGroupNames::LEGAL));
        }
        let items = self.list(node, ThingGroupNames::LEGAL)?;
        let count = items.len();
        let names: Vec<Option<ThingGroupName>> = items.iter().map(|item| self.text(item)).collect();
        let names = ThingGroupNames::new(names.into_iter().flatten().collect());
        if names.is_none() && !(1..=10).contains(&count) {
            let value = format!("a list of {count}");
            self.problems.push(Problem::illegal(&node.path, &value, ThingGroupNames::LEGAL));
        }
        names
    }

    /// `tags`: a list of keys and values; absent is none. `CloudFormation`'s have both members, the API's may lack the value.
    pub fn tags(&mut self, node: &Node<'_>) -> Tags {
        let items = self.list(node, "a list of tags, each with Key and Value").unwrap_or_default();
        let mut tags = Tags::default();
        if items.len() > Tags::MOST {
            let value = format!("a list of {}", items.len());
            self.problems.push(Problem::illegal(
                &node.path,
                &value,
                "at most 49 tags, as one of the service's 50 is the provider's",
            ));
        }
        for item in &items {
            let members = self.object(&item.path, item.value, &["Key", "Value"]);
            if item.value.is_some_and(Value::is_null) {
                self.problems.push(Problem::illegal(
                    &item.path,
                    "null",
                    "an object with Key and Value",
                ));
            }
            let (key, value) = (self.member(&members, "Key"), self.member(&members, "Value"));
            let no_value = value.value.is_none() && self.spelling == Spelling::Api;
            let key_text =
                if members.map.is_some() { self.part_of_tag(&key, Tags::key_fault) } else { None };
            let value_text = match members.map {
                None => None,
                Some(_) if no_value => Some(String::new()),
                Some(_) => self.part_of_tag(&value, Tags::value_fault),
            };
            if let (Some(key_text), Some(value_text)) = (key_text, value_text)
                && !tags.set(key_text.as_str(), value_text)
            {
                self.problems.push(Problem::illegal(
                    &key.path,
                    &format!("{key_text:?}"),
                    "a key that no other tag has",
                ));
            }
        }
        tags
    }

    fn part_of_tag(
        &mut self,
        node: &Node<'_>,
        fault: fn(&str) -> Option<&'static str>,
    ) -> Option<String> {
        let Some(value) = node.value else {
            self.problems.push(Problem::missing(&node.path, "a string"));
            return None;
        };
        let text = text_of(value, self.spelling);
        match text.as_deref().map_or(Some("a string"), fault) {
            None => text,
            Some(legal) => {
                self.problems.push(Problem::illegal(&node.path, &value.to_string(), legal));
                None
            }
        }
    }

    /// `onConflict`; absent is to fail.
    pub fn on_conflict(&mut self, node: &Node<'_>) -> Option<OnConflict> {
        let Some(value) = node.value else { return Some(OnConflict::Fail) };
        let words = [
            ("fail", OnConflict::Fail),
            ("adopt", OnConflict::Adopt),
            ("overwrite", OnConflict::Overwrite),
        ];
        let spelled = words.map(|(word, on_conflict)| (self.spelling.name(word), on_conflict));
        let found = spelled
            .iter()
            .find(|(word, _)| value.as_str() == Some(word))
            .map(|(_, on_conflict)| *on_conflict);
        if found.is_none() {
            let [fail, adopt, overwrite] = spelled.map(|(word, _)| word);
            self.problems.push(Problem::illegal(
                &node.path,
                &value.to_string(),
                &format!("{fail}, {adopt} or {overwrite}"),
            ));
        }
        found
    }
}

impl Members<'_> {
    /// The path that a member of that name has.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        join(&self.path, name)
    }
}

impl<'v> Node<'v> {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&'v Value> {
        self.value
    }
}

/// The six kinds, in the API's spelling.
const KINDS: [&str; 6] = [
    "addThingsToThingGroupParams",
    "enableIoTLoggingParams",
    "publishFindingToSnsParams",
    "replaceDefaultPolicyVersionParams",
    "updateCACertificateParams",
    "updateDeviceCertificateParams",
];

/// The text that a scalar is; CloudFormation would have turned any into a string, so any is taken for one there.
pub fn text_of(value: &Value, spelling: Spelling) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) if spelling == Spelling::CloudFormation => {
            Some(value.to_string())
        }
        _ => None,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
