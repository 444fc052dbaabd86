//! Plays the histories of a model at several lanes, and shrinks the first that fails.

use std::{
    fs,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use tokio::runtime::Runtime;

use super::{Model, Played};

/// At most one history of so many may fail for a reason that the contract excludes.
const MAX_EXCLUDED: u64 = 20;

/// A history that failed, why, and its requests and responses.
struct Failed<H> {
    history: H,
    why: String,
    transcript: String,
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

    /// A failure may leave the instances in any state, so the next history gets new ones.
    fn play(&mut self, history: M::History) -> Result<Played, Failed<M::History>> {
        let Self { runtime, model } = self;
        let model = model.get_or_insert_with(|| runtime.block_on(M::start()));
        let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(model.play(&history))));
        let why = match played {
            Ok(Ok(played)) => return Ok(played),
            Ok(Err(why)) => why.to_string(),
            Err(panic) => {
                panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned())
            }
        };
        let transcript = model.transcript();
        let _context = runtime.enter();
        self.model = None;
        Err(Failed { history, why, transcript })
    }

    /// The shortest history found in a minute that still fails.
    fn shrink(
        &mut self,
        mut tree: impl ValueTree<Value = M::History>,
        failed: Failed<M::History>,
    ) -> Failed<M::History> {
        const MAX_TRIES: u32 = 500;
        const MAX_TIME: Duration = Duration::from_mins(1);

        let began = Instant::now();
        let mut least = failed;
        let mut changed = tree.simplify();
        let mut tries = 0;
        while changed && tries < MAX_TRIES && began.elapsed() < MAX_TIME {
            tries += 1;
            changed = match self.play(tree.current()) {
                Ok(_) => tree.complicate(),
                Err(failed) => {
                    least = failed;
                    tree.simplify()
                }
            };
        }
        least
    }
}

/// Plays the saved histories of a model and then random ones, and panics if one fails.
pub(super) fn run<M: Model>() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("MODEL_SEED");
    let first = seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    print(&format!("{}: MODEL_SEED={first}", M::NAME));
    let default = if seed.is_some() { 1 } else { M::HISTORIES };
    let histories = number("MODEL_HISTORIES").unwrap_or(default);
    let saved = saved::<M>();
    let run = Run::<M> {
        turns: saved.len() as u64 + histories,
        saved,
        first,
        next: AtomicU64::default(),
        has_failed: AtomicBool::default(),
        excluded: AtomicU64::default(),
    };
    let failure = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..M::LANES).map(|_| scope.spawn(|| run.lane())).collect();
        lanes.into_iter().filter_map(|lane| lane.join().unwrap()).last()
    });
    if let Some((path, Failed { history, why, transcript })) = failure {
        let history = serde_json::to_string(&history).unwrap();
        panic!(
            "{why}\n\nthe history, saved as {}:\n{history}\n\nthe transcript:\n{transcript}\n\n\
             MODEL_SEED={first} MODEL_HISTORIES={histories} plays all of this run again",
            path.display()
        );
    }
    let excluded = run.excluded.into_inner();
    print(&format!(
        "{}: {excluded} of {} histories failed as the contract allows",
        M::NAME,
        run.turns
    ));
    assert!(excluded <= 2 + run.turns / MAX_EXCLUDED, "too many");
}

/// Prints a line that the test harness does not capture, so that a passing run shows it too.
fn print(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// What the lanes of a run share.
struct Run<M: Model> {
    saved: Vec<(PathBuf, M::History)>,
    first: u64,
    turns: u64,
    next: AtomicU64,
    has_failed: AtomicBool,
    excluded: AtomicU64,
}

impl<M: Model> Run<M> {
    /// Plays until no history is left or one has failed.
    fn lane(&self) -> Option<(PathBuf, Failed<M::History>)> {
        let mut lane = Lane::new();
        while !self.has_failed.load(Ordering::SeqCst) {
            let turn = self.next.fetch_add(1, Ordering::SeqCst);
            if turn >= self.turns {
                break;
            }
            let failure = match usize::try_from(turn).ok().and_then(|turn| self.saved.get(turn)) {
                Some((path, history)) => {
                    self.count(lane.play(history.clone())).map(|failed| (path.clone(), failed))
                }
                None => self.play(&mut lane, self.first + turn - self.saved.len() as u64),
            };
            if failure.is_some() {
                return failure;
            }
        }
        None
    }

    /// Plays the history of a seed. The first that fails is shrunk and saved.
    fn play(&self, lane: &mut Lane<M>, seed: u64) -> Option<(PathBuf, Failed<M::History>)> {
        let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        let tree = M::history().new_tree(&mut runner).unwrap();
        let failed = self.count(lane.play(tree.current()))?;
        let least = lane.shrink(tree, failed);
        let path = folder::<M>().join(format!("seed-{seed}.json"));
        fs::write(&path, serde_json::to_string_pretty(&least.history).unwrap() + "\n").unwrap();
        Some((path, least))
    }

    /// Counts what was excluded, and returns the first failure.
    fn count(&self, played: Result<Played, Failed<M::History>>) -> Option<Failed<M::History>> {
        if matches!(played, Ok(Played::Excluded)) {
            self.excluded.fetch_add(1, Ordering::SeqCst);
        }
        played.err().filter(|_| !self.has_failed.swap(true, Ordering::SeqCst))
    }
}

fn folder<M: Model>() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/histories").join(M::NAME)
}

/// The histories that failed once, in the order of their names.
fn saved<M: Model>() -> Vec<(PathBuf, M::History)> {
    let files = fs::read_dir(folder::<M>()).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let history = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, history)
    };
    let mut saved: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).map(read).collect();
    saved.sort_by(|(one, _), (other, _)| one.cmp(other));
    saved
}
