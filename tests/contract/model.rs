//! Random histories against the real binary, with faults at every call: of stacks, as CloudFormation plays them, and of a
//! queue that redelivers.
//!
//! A history is data: a step's meaning depends on the state that it meets, so that whatever is left of a history can be
//! played. One that fails shrinks, and the least that still fails is kept in `histories/`; what is kept there is played
//! first at each run. `MODEL_HISTORIES` says how many random ones follow, `MODEL_SEED` the seed of the first, which alone is
//! played unless `MODEL_HISTORIES` says more.

mod order;
mod overlap;
mod queue;
mod stacks;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
    strategy::{LazyJust, ValueTree},
    test_runner::{RngAlgorithm, TestCaseError, TestCaseResult, TestRng, TestRunner},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use stand_ins::{
    Aws, OWNER_TAG,
    fault::{Fault, Faults},
    iot::Action,
};
use tokio::runtime::Runtime;

/// What plays histories: the stand-ins, instances of the function that serve one history after another, and what must hold.
trait Model: Sized {
    type Step: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    const NAME: &'static str;
    /// Histories that a run plays unless it is told otherwise, the most steps of one, and how many are played at once: most
    /// of the time is spent waiting.
    const HISTORIES: u64;
    const STEPS: usize;
    const LANES: usize;

    fn step() -> BoxedStrategy<Self::Step>;
    async fn start() -> Self;
    /// Plays a history from an empty account on, and fails where something does not hold.
    async fn play(&mut self, history: &[Self::Step]) -> TestCaseResult;
    /// What was asked and answered in the history that was played last.
    fn told(&self) -> String;
}

#[test]
fn after_any_history_the_account_holds_exactly_the_actions_of_the_stacks() {
    run::<stacks::Stacks>();
}

#[test]
fn after_any_overlap_the_account_holds_exactly_the_action_of_the_stack() {
    run::<overlap::Overlap>();
}

#[test]
fn nothing_overtakes_a_message_that_is_redelivered() {
    run::<order::Order>();
}

#[test]
fn whatever_a_queue_redelivers_each_message_is_executed_and_published() {
    run::<queue::Messages>();
}

/// A history that failed, and why.
struct Failed<S> {
    history: Vec<S>,
    why: String,
    told: String,
}

/// Plays one history after another.
struct Lane<M> {
    runtime: Runtime,
    model: Option<M>,
}

impl<M: Model> Lane<M> {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            model: None,
        }
    }

    /// What has failed may have harmed the instances: others take their place.
    fn play(&mut self, history: Vec<M::Step>) -> Result<(), Failed<M::Step>> {
        let Self { runtime, model } = self;
        let model = model.get_or_insert_with(|| runtime.block_on(M::start()));
        let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(model.play(&history))));
        let why = match played {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why.to_string(),
            Err(panic) => {
                panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned())
            }
        };
        let told = model.told();
        let _context = runtime.enter();
        self.model = None;
        Err(Failed { history, why, told })
    }

    /// The least of a history that fails, or what was found in a minute.
    fn shrunk(
        &mut self,
        mut tree: impl ValueTree<Value = Vec<M::Step>>,
        failed: Failed<M::Step>,
    ) -> Failed<M::Step> {
        const MOST_TRIES: u32 = 500;
        const LONGEST: Duration = Duration::from_mins(1);

        let began = Instant::now();
        let mut least = failed;
        let mut changed = tree.simplify();
        let mut tries = 0;
        while changed && tries < MOST_TRIES && began.elapsed() < LONGEST {
            tries += 1;
            changed = match self.play(tree.current()) {
                Ok(()) => tree.complicate(),
                Err(failed) => {
                    least = failed;
                    tree.simplify()
                }
            };
        }
        least
    }
}

fn run<M: Model>() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = number("MODEL_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    // Past what captures the output of a test that passes.
    std::io::stderr().write_all(format!("{}: MODEL_SEED={first}\n", M::NAME).as_bytes()).unwrap();
    let histories = number("MODEL_HISTORIES").unwrap_or(if number("MODEL_SEED").is_some() {
        1
    } else {
        M::HISTORIES
    });
    let kept = kept::<M>();
    let turns = kept.len() as u64 + histories;
    let run = Run::<M> {
        kept,
        first,
        turns,
        next: AtomicU64::default(),
        has_failed: AtomicBool::default(),
    };
    let failure = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..M::LANES).map(|_| scope.spawn(|| run.lane())).collect();
        lanes.into_iter().filter_map(|lane| lane.join().unwrap()).last()
    });
    if let Some((path, Failed { history, why, told })) = failure {
        let history = serde_json::to_string(&history).unwrap();
        panic!(
            "{why}\n\nthe history, which is kept as {}:\n{history}\n\nwhat was asked and answered:\n{told}\n\n\
             MODEL_SEED={first} MODEL_HISTORIES={histories} plays all of this run again",
            path.display()
        );
    }
}

/// What the lanes of a run share.
struct Run<M: Model> {
    kept: Vec<(PathBuf, Vec<M::Step>)>,
    first: u64,
    turns: u64,
    next: AtomicU64,
    has_failed: AtomicBool,
}

impl<M: Model> Run<M> {
    /// Plays until there is no more to play, or one has failed.
    fn lane(&self) -> Option<(PathBuf, Failed<M::Step>)> {
        let mut lane = Lane::new();
        while !self.has_failed.load(Ordering::SeqCst) {
            let turn = self.next.fetch_add(1, Ordering::SeqCst);
            if turn >= self.turns {
                break;
            }
            let failure = match usize::try_from(turn).ok().and_then(|turn| self.kept.get(turn)) {
                Some((path, history)) => lane
                    .play(history.clone())
                    .err()
                    .filter(|_| self.is_first())
                    .map(|failed| (path.clone(), failed)),
                None => self.play(&mut lane, self.first + turn - self.kept.len() as u64),
            };
            if failure.is_some() {
                return failure;
            }
        }
        None
    }

    /// Plays the history of a seed. The first that fails is shrunk and kept.
    fn play(&self, lane: &mut Lane<M>, seed: u64) -> Option<(PathBuf, Failed<M::Step>)> {
        let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        let tree = vec(M::step(), 1..=M::STEPS).new_tree(&mut runner).unwrap();
        let failed = lane.play(tree.current()).err().filter(|_| self.is_first())?;
        let least = lane.shrunk(tree, failed);
        let path = folder::<M>().join(format!("seed-{seed}.json"));
        fs::write(&path, serde_json::to_string_pretty(&least.history).unwrap() + "\n").unwrap();
        Some((path, least))
    }

    /// Whether nothing has failed so far; something has now.
    fn is_first(&self) -> bool {
        !self.has_failed.swap(true, Ordering::SeqCst)
    }
}

fn folder<M: Model>() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/histories").join(M::NAME)
}

fn kept<M: Model>() -> Vec<(PathBuf, Vec<M::Step>)> {
    let files = fs::read_dir(folder::<M>()).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let history = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, history)
    };
    let mut kept: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).map(read).collect();
    kept.sort_by(|(one, _), (other, _)| one.cmp(other));
    kept
}

/// What an action does, in the words of neither trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Definition {
    role: String,
    params: Params,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Params {
    Device,
    Ca,
    Groups,
}

impl Params {
    /// As the API has it.
    fn of_api(self) -> Value {
        match self {
            Self::Device => json!({ "updateDeviceCertificateParams": { "action": "DEACTIVATE" } }),
            Self::Ca => json!({ "updateCACertificateParams": { "action": "DEACTIVATE" } }),
            Self::Groups => {
                json!({ "addThingsToThingGroupParams": { "thingGroupNames": ["g"], "overrideDynamicGroups": true } })
            }
        }
    }

    fn any() -> impl Strategy<Value = Self> {
        select(vec![Self::Device, Self::Ca, Self::Groups])
    }
}

impl Definition {
    fn is_of(&self, action: &Action) -> bool {
        action.role_arn == role_arn(&self.role) && action.params == self.params.of_api()
    }

    fn any() -> impl Strategy<Value = Self> {
        (any_role(), Params::any()).prop_map(|(role, params)| Self { role, params })
    }
}

fn any_role() -> impl Strategy<Value = String> {
    select(vec!["role-0".to_owned(), "role-1".to_owned()])
}

fn role_arn(role: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{role}")
}

type Tags = BTreeMap<String, String>;

fn any_tags() -> impl Strategy<Value = Tags> {
    btree_map(
        select(vec!["x", "y", "z"]).prop_map(str::to_owned),
        select(vec!["0", "1"]).prop_map(str::to_owned),
        0..3,
    )
}

fn listed(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// `tags` with `more`, which win.
fn with(tags: &Tags, more: &Tags) -> Tags {
    tags.iter().chain(more).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn with_owner(tags: &Tags, owner: &str) -> Tags {
    with(tags, &Tags::from([(OWNER_TAG.to_owned(), owner.to_owned())]))
}

fn owner_of(tags: &Tags) -> Option<&str> {
    tags.get(OWNER_TAG).map(String::as_str)
}

/// The same, but for when it was changed.
fn is_same(one: &Action, other: &Action) -> bool {
    (&one.id, &one.role_arn, &one.params, &one.tags)
        == (&other.id, &other.role_arn, &other.params, &other.tags)
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum OnConflict {
    Fail,
    Adopt,
    Overwrite,
}

impl OnConflict {
    fn any() -> impl Strategy<Value = Self> {
        select(vec![Self::Fail, Self::Adopt, Self::Overwrite])
    }
}

/// An action that is there before anybody asks for one: of nobody, of a trigger of the provider's, of a stack elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stranger {
    name: String,
    owner: Option<String>,
    definition: Definition,
    tags: Tags,
}

impl Stranger {
    /// Appears where the name is free.
    fn appear(&self, aws: &Aws) {
        if aws.iot.action(&self.name).is_none() {
            let mut tags =
                with(&self.tags, &Tags::from([("theirs".to_owned(), "stays".to_owned())]));
            tags.extend(self.owner.clone().map(|owner| (OWNER_TAG.to_owned(), owner)));
            let tags: Vec<(&str, &str)> =
                tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            aws.iot.plant(
                &self.name,
                &role_arn(&self.definition.role),
                self.definition.params.of_api(),
                &tags,
            );
        }
    }

    fn any(names: Vec<&'static str>) -> impl Strategy<Value = Self> {
        let owners = vec![
            None,
            None,
            Some("event/elsewhere/1"),
            Some("stack/elsewhere/0/X"),
            Some("adopted/elsewhere/0/X"),
        ];
        (select(names), select(owners), Definition::any(), any_tags()).prop_map(
            |(name, owner, definition, tags)| Self {
                name: name.to_owned(),
                owner: owner.map(str::to_owned),
                definition,
                tags,
            },
        )
    }
}

/// What goes wrong with calls of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Disturbance {
    call: String,
    fault: Kind,
    times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Throttled,
    LostBefore,
    LostAfter,
    FailedBefore,
    FailedAfter,
    /// Done, and answered with what cannot be read.
    Garbled,
    Denied,
    AtLimit,
    /// To the deadline, whatever `times` says.
    Hung,
    HungAfter,
}

impl Disturbance {
    fn is_hang(&self) -> bool {
        matches!(self.fault, Kind::Hung | Kind::HungAfter)
    }

    fn set(&self, faults: &Faults) {
        let fault = match self.fault {
            Kind::Throttled => Fault::Throttle,
            Kind::LostBefore => Fault::LoseBefore,
            Kind::LostAfter => Fault::LoseAfter,
            Kind::FailedBefore => Fault::Refuse(500, "InternalFailureException"),
            Kind::FailedAfter => Fault::FailAfter,
            Kind::Garbled => Fault::Garbage,
            Kind::Denied => Fault::Refuse(403, "AccessDeniedException"),
            Kind::AtLimit => Fault::Refuse(410, "LimitExceededException"),
            Kind::Hung => Fault::Hang,
            Kind::HungAfter => Fault::HangAfter,
        };
        faults.set(&self.call, fault, if self.is_hang() { 1000 } else { self.times });
    }

    /// Mostly none, and a hang now and then: it takes a deadline's time.
    fn any_few(throttles: u32) -> impl Strategy<Value = Vec<Self>> {
        let passing = prop_oneof![
            throttles => Just(Kind::Throttled),
            5 => select(vec![Kind::LostBefore, Kind::LostAfter, Kind::FailedBefore, Kind::FailedAfter, Kind::Garbled]),
            2 => select(vec![Kind::Denied, Kind::Denied, Kind::AtLimit]),
        ];
        let of = |kind: BoxedStrategy<Kind>, times| {
            (select(CALLS.to_vec()), kind, times).prop_map(|(call, fault, times)| Self {
                call: call.to_owned(),
                fault,
                times,
            })
        };
        let some = vec(of(passing.boxed(), 1..=2_usize), 1..=3);
        let hang = of(select(vec![Kind::Hung, Kind::HungAfter]).boxed(), 1..=1_usize);
        let hang = (vec(of(Just(Kind::LostAfter).boxed(), 1..=1_usize), 0..=1), hang).prop_map(
            |(mut some, hang)| {
                some.push(hang);
                some
            },
        );
        prop_oneof![140 => LazyJust::new(Vec::new), 58 => some, 2 => hang]
    }
}

/// What is called most is named more often.
const CALLS: [&str; 10] = [
    "CreateMitigationAction",
    "CreateMitigationAction",
    "CreateMitigationAction",
    "UpdateMitigationAction",
    "DeleteMitigationAction",
    "ListTagsForResource",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
    "DescribeMitigationAction",
];

/// Fails with `why`, which is worth saying only then.
fn ensure(holds: bool, why: impl FnOnce() -> String) -> TestCaseResult {
    if holds { Ok(()) } else { Err(TestCaseError::fail(why())) }
}
