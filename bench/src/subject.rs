//! The functions measured, and the measurement: one CloudFormation Create over TLS, with the
//! services at one address and the bucket at another.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use stand_ins::{Aws, Function, REGION, lambda::Lambda, stack::merged, tls::Tls};

use crate::sample;

const CALLGRIND: [&str; 3] = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// The root certificates of the system, on Debian and Amazon Linux.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The libraries of the Python function.
const PYTHON_PACKAGE: &str = ".tools/bench/package";

/// A function that creates a mitigation action, or *hello*, which does nothing.
pub struct Subject {
    pub name: &'static str,
    /// The interpreter of a script; empty for a binary.
    runner: Vec<String>,
    binary: PathBuf,
    settings: Vec<(&'static str, String)>,
    /// The content of the package.
    ships: Vec<PathBuf>,
    creates_actions: bool,
    /// Whether it reads the root certificates of the system, as it would in Lambda.
    reads_roots: bool,
    /// The number of warm events counted.
    warm: u64,
}

/// Instructions up to the first poll, of the first event, and of a warm event.
pub struct Count {
    pub init: u64,
    pub first: u64,
    pub warm: u64,
}

/// The figures of one run.
#[derive(Clone, Copy)]
pub struct Time {
    /// Milliseconds of CPU from the start to the first response.
    pub cpu: f64,
    /// Milliseconds from the start to the first response.
    pub wall: f64,
    /// The peak of resident memory after the first response, in KiB.
    pub peak: u64,
    pub calls: u64,
    /// Connections to the services and to the bucket.
    pub connections: u64,
}

impl Subject {
    pub fn binary(name: &'static str, path: &str) -> Self {
        let binary = PathBuf::from(path);
        let creates_actions = !path.ends_with("/hello");
        Self {
            name,
            runner: vec![],
            ships: vec![binary.clone()],
            binary,
            settings: vec![],
            creates_actions,
            reads_roots: false,
            warm: 10,
        }
    }

    /// The same with an on-demand init.
    pub fn on_demand(name: &'static str, path: &str) -> Self {
        Self {
            settings: vec![("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned())],
            ..Self::binary(name, path)
        }
    }

    /// A script beside its `function`, and the folder of its libraries.
    fn script(name: &'static str, program: &str, script: &str, libraries: &str) -> Self {
        let paths = [script, &script.replace("bootstrap", "function"), libraries];
        Self {
            runner: vec![program.to_owned()],
            ships: paths.map(PathBuf::from).into(),
            ..Self::binary(name, script)
        }
    }

    /// All functions of the comparison.
    pub fn all(
        package: &str,
        hello: &str,
        straightforward: &str,
        python: &str,
        node: &str,
    ) -> [Self; 6] {
        let modules = "bench/node/node_modules";
        [
            Self::binary("package", package),
            Self::on_demand("package, on demand", package),
            Self::binary("hello", hello),
            Self { reads_roots: true, ..Self::binary("straightforward Rust", straightforward) },
            Self {
                reads_roots: true,
                warm: 2,
                ..Self::script("Python", python, "bench/python/bootstrap.py", PYTHON_PACKAGE)
            },
            // Node's just-in-time compilation varies from run to run: many events even it out.
            Self { warm: 50, ..Self::script("Node", node, "bench/node/bootstrap.mjs", modules) },
        ]
    }

    /// The size of the binary; zero for a script.
    pub fn bytes(&self) -> u64 {
        if self.runner.is_empty() { fs::metadata(&self.binary).unwrap().len() } else { 0 }
    }

    /// The size of the zipped package.
    pub fn zipped(&self) -> u64 {
        assert!(self.ships.iter().all(|path| path.exists()), "one of {:?} is missing", self.ships);
        let package = std::env::temp_dir().join(format!("package-{:016x}.zip", fastrand::u64(..)));
        let zipped = Command::new("python3")
            .args(["-m", "zipfile", "-c"])
            .arg(&package)
            .args(&self.ships)
            .status()
            .unwrap();
        assert!(zipped.success(), "python3 -m zipfile failed");
        let bytes = fs::metadata(&package).unwrap().len();
        fs::remove_file(package).unwrap();
        bytes
    }

    pub async fn count(&self) -> Count {
        let [init, first, warm] = [
            self.instructions(0).await,
            self.instructions(1).await,
            self.instructions(1 + self.warm).await,
        ];
        Count {
            init,
            first: first.saturating_sub(init),
            warm: warm.saturating_sub(first) / self.warm,
        }
    }

    /// The instructions of a run that handles `events` events and exits at the next poll.
    async fn instructions(&self, events: u64) -> u64 {
        let stage = Stage::start().await;
        stage.aws.lambda.disconnect_after(events);
        let function = self.start(&CALLGRIND, &stage);
        self.send(&stage, events).await;
        let output = function.wait().await;
        let collected = output
            .lines()
            .find_map(|line| line.split_once("Collected : "))
            .unwrap_or_else(|| panic!("{output}"));
        collected.1.trim().parse().unwrap()
    }

    /// Runs one event.
    pub async fn time(&self) -> Time {
        let stage = Stage::start().await;
        let began = Instant::now();
        let function = self.start(&[], &stage);
        self.send(&stage, 1).await;
        let wall = milliseconds(began);
        Time {
            cpu: cpu(function.id()),
            wall,
            peak: memory(function.id(), "VmHWM"),
            calls: stage.aws.iot.take_calls().len() as u64,
            connections: (stage.tls.services.connections() + stage.tls.bucket.connections()) as u64,
        }
    }

    /// Milliseconds of the first event with the CPU of a 128 MB function, which begins after the
    /// init; `None` if the quota cannot be set.
    pub async fn slow(&self) -> Option<f64> {
        let stage = Stage::start().await;
        let function = self.start(&[], &stage);
        stage.aws.lambda.ready().await;
        let quota = Quota::of(function.id())?;
        let began = Instant::now();
        self.send(&stage, 1).await;
        let took = milliseconds(began);
        drop(function.stop().await);
        drop(quota);
        Some(took)
    }

    fn start(&self, profiler: &[&str], stage: &Stage) -> Function {
        let runner: Vec<&str> =
            profiler.iter().copied().chain(self.runner.iter().map(String::as_str)).collect();
        let roots =
            if self.reads_roots { &stage.bundle } else { &stage.tls.roots }.to_str().unwrap();
        let mut settings = vec![
            ("AWS_ENDPOINT_URL", stage.tls.services.url.as_str()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_DEFAULT_REGION", REGION),
        ];
        // Python's SDK and Node read the last two.
        settings.extend(
            ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"].map(|name| (name, roots)),
        );
        let here = std::env::current_dir().unwrap();
        let [library, compiled] = [PYTHON_PACKAGE, "target/bench/pycache"]
            .map(|path| here.join(path).to_str().unwrap().to_owned());
        settings.extend([("PYTHONPATH", library.as_str()), ("PYTHONPYCACHEPREFIX", &compiled)]);
        settings.extend(self.settings.iter().map(|(name, value)| (*name, value.as_str())));
        Function::start_with_runner(&runner, &self.binary, &stage.aws, &settings)
    }

    /// Sends `events` Creates and checks their results.
    async fn send(&self, stage: &Stage, events: u64) {
        for number in 0..events {
            let url = format!("{}/response/{number}?X-Amz-Expires=7200", stage.tls.bucket.url);
            let event = json!({
                "ResponseURL": url, "LogicalResourceId": format!("R{number}"),
                "ResourceProperties": { "ActionName": format!("action-{number}") },
            });
            let event = merged(sample("create-add-things-to-thing-group.json"), &event)
                .to_string()
                .into_bytes();
            let returned =
                stage.aws.lambda.invoke(event, Duration::from_mins(5), &Lambda::arn()).await;
            assert!(
                returned.as_ref().is_ok_and(|response| response["Status"] == "SUCCESS"),
                "{}: {returned:?}",
                self.name
            );
            if self.creates_actions {
                assert!(
                    stage.aws.bucket.puts(&number.to_string()).iter().any(|put| put.accepted),
                    "{} sent no response",
                    self.name
                );
                assert!(
                    stage.aws.iot.action(&format!("action-{number}")).is_some(),
                    "{} created no action",
                    self.name
                );
            }
        }
    }
}

/// The stand-ins of one run.
pub struct Stage {
    pub aws: Aws,
    pub tls: Tls,
    /// A PEM file with the root certificates of the stand-ins and of the system.
    bundle: PathBuf,
}

impl Stage {
    pub async fn start() -> Self {
        let aws = Aws::start().await;
        let tls = Tls::serve(&aws).await;
        let bundle = tls.roots.with_extension("bundle");
        let system = fs::read(SYSTEM_ROOTS).unwrap_or_else(|error| {
            panic!("{SYSTEM_ROOTS}, which the other functions read: {error}")
        });
        fs::write(&bundle, [fs::read(&tls.roots).unwrap(), system].concat()).unwrap();
        Self { aws, tls, bundle }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.bundle));
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Milliseconds of CPU of the running threads of a process.
pub fn cpu(process: u32) -> f64 {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        // A thread may have exited since it was listed.
        let schedstat =
            fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        nanoseconds +=
            schedstat.split_whitespace().next().map_or(0, |time| time.parse::<u64>().unwrap());
    }
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1000.0
}

/// The resident memory of a process (`VmRSS`), or its peak (`VmHWM`), in KiB.
pub fn memory(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A control group with the CPU of a 128 MB function, 128 / 1769 of a CPU. Dropping it removes the
/// group.
///
/// See <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
struct Quota(PathBuf);

impl Quota {
    const PERIOD: u64 = 20_000;
    const QUOTA: u64 = Self::PERIOD * 128 / 1769;

    fn of(process: u32) -> Option<Self> {
        let name = format!("bench-{process}");
        let (first, second) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let quota = if first.join("cpu.cfs_quota_us").exists() {
            let quota = Self(first.join(name));
            fs::create_dir(&quota.0).ok()?;
            fs::write(quota.0.join("cpu.cfs_period_us"), Self::PERIOD.to_string()).ok()?;
            fs::write(quota.0.join("cpu.cfs_quota_us"), Self::QUOTA.to_string()).ok()?;
            quota
        } else {
            let quota = Self(second.join(name));
            fs::create_dir(&quota.0).ok()?;
            fs::write(quota.0.join("cpu.max"), format!("{} {}", Self::QUOTA, Self::PERIOD)).ok()?;
            quota
        };
        fs::write(quota.0.join("cgroup.procs"), process.to_string()).ok()?;
        Some(quota)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}
