//! What is measured, and how: one CloudFormation Create over TLS, the services at one address and the bucket at another.

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

/// The system's root certificates, where Debian and Amazon Linux have them.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What Python imports.
const PYTHON_PACKAGE: &str = ".tools/bench/package";

/// A function that makes a mitigation action, or, as *hello*, nothing.
pub struct Subject {
    pub name: &'static str,
    /// What runs the binary; empty where it runs itself.
    runner: Vec<String>,
    binary: PathBuf,
    settings: Vec<(&'static str, String)>,
    /// What is uploaded to Lambda, beside the binary.
    ships: Vec<PathBuf>,
    makes_actions: bool,
    /// Whether it reads the system's root certificates, as it would in Lambda.
    reads_roots: bool,
    /// Warm events that are counted.
    warm: u64,
}

/// Instructions: to the first poll for an event, of the first event, of a warm one.
pub struct Count {
    pub init: u64,
    pub first: u64,
    pub warm: u64,
}

/// What one run took.
#[derive(Clone, Copy)]
pub struct Time {
    /// Milliseconds of CPU from the start to the first answer.
    pub cpu: f64,
    /// Milliseconds from the start to the first answer.
    pub wall: f64,
    /// KiB, the most that was resident, after the first answer.
    pub peak: u64,
    pub calls: usize,
    /// Connections to the services and to the bucket.
    pub connections: usize,
}

impl Subject {
    pub fn binary(name: &'static str, path: &str) -> Self {
        let binary = PathBuf::from(path);
        let makes_actions = !path.ends_with("/hello");
        Self {
            name,
            runner: vec![],
            ships: vec![binary.clone()],
            binary,
            settings: vec![],
            makes_actions,
            reads_roots: false,
            warm: 10,
        }
    }

    /// The same, started for an event that waits.
    pub fn on_demand(name: &'static str, path: &str) -> Self {
        Self {
            settings: vec![("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned())],
            ..Self::binary(name, path)
        }
    }

    /// All that are compared.
    pub fn all(
        package: &str,
        hello: &str,
        straightforward: &str,
        python: &str,
        node: &str,
    ) -> [Self; 6] {
        let scripted =
            |name, program: &str, folder: &str, script: &str, ships: PathBuf, reads_roots, warm| {
                Self {
                    name,
                    runner: vec![program.to_owned()],
                    binary: Path::new(folder).join(script),
                    settings: vec![],
                    ships: vec![
                        Path::new(folder).join(script),
                        Path::new(folder).join(script.replace("bootstrap", "function")),
                        ships,
                    ],
                    makes_actions: true,
                    reads_roots,
                    warm,
                }
            };
        [
            Self::binary("package", package),
            Self::on_demand("package, on demand", package),
            Self::binary("hello", hello),
            Self { reads_roots: true, ..Self::binary("straightforward Rust", straightforward) },
            scripted(
                "Python",
                python,
                "bench/python",
                "bootstrap.py",
                PathBuf::from(PYTHON_PACKAGE),
                true,
                2,
            ),
            // What Node compiles on the side differs from run to run: many events tell more than that.
            scripted(
                "Node",
                node,
                "bench/node",
                "bootstrap.mjs",
                PathBuf::from("bench/node/node_modules"),
                false,
                50,
            ),
        ]
    }

    /// The size of the binary; none where an interpreter runs a script.
    pub fn bytes(&self) -> u64 {
        if self.runner.is_empty() { fs::metadata(&self.binary).unwrap().len() } else { 0 }
    }

    /// The size of the package that is uploaded to Lambda.
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

    /// The instructions of a run that works so many events and ends at the next poll.
    async fn instructions(&self, events: u64) -> u64 {
        let stage = Stage::set().await;
        stage.aws.lambda.disconnect_after(events);
        let function = self.start(&CALLGRIND, &stage);
        self.play(&stage, events).await;
        let output = function.wait().await;
        let collected = output
            .lines()
            .find_map(|line| line.split_once("Collected : "))
            .unwrap_or_else(|| panic!("{output}"));
        collected.1.trim().parse().unwrap()
    }

    /// A run of one event.
    pub async fn time(&self) -> Time {
        let stage = Stage::set().await;
        let began = Instant::now();
        let function = self.start(&[], &stage);
        self.play(&stage, 1).await;
        let wall = milliseconds(began);
        Time {
            cpu: cpu(function.id()),
            wall,
            peak: memory(function.id(), "VmHWM"),
            calls: stage.aws.iot.take_calls().len(),
            connections: stage.tls.services.connections() + stage.tls.bucket.connections(),
        }
    }

    /// Milliseconds of the first event where the function has, once it has started, the share of a CPU that Lambda gives
    /// it at 128 MB; `None` where no quota can be set.
    pub async fn slow(&self) -> Option<f64> {
        let stage = Stage::set().await;
        let function = self.start(&[], &stage);
        stage.aws.lambda.ready().await;
        let quota = Quota::of(function.id())?;
        let began = Instant::now();
        self.play(&stage, 1).await;
        let took = milliseconds(began);
        drop(function.stop().await);
        drop(quota);
        Some(took)
    }

    fn start(&self, under: &[&str], stage: &Stage) -> Function {
        let runner: Vec<&str> =
            under.iter().copied().chain(self.runner.iter().map(String::as_str)).collect();
        let roots =
            if self.reads_roots { &stage.bundle } else { &stage.tls.roots }.to_str().unwrap();
        let mut settings = vec![
            ("AWS_ENDPOINT_URL", stage.tls.services.url.as_str()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_DEFAULT_REGION", REGION),
        ];
        // The last two are what Python's SDK and Node read.
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

    async fn play(&self, stage: &Stage, events: u64) {
        for number in 0..events {
            let url = format!("{}/response/{number}?X-Amz-Expires=7200", stage.tls.bucket.url);
            let event = json!({
                "ResponseURL": url, "LogicalResourceId": format!("R{number}"),
                "ResourceProperties": { "ActionName": format!("action-{number}") },
            });
            let event = merged(sample("create-add-things-to-thing-group.json"), &event)
                .to_string()
                .into_bytes();
            let answer =
                stage.aws.lambda.invoke(event, Duration::from_mins(5), &Lambda::arn()).await;
            assert!(
                answer.as_ref().is_ok_and(|answer| answer["Status"] == "SUCCESS"),
                "{}: {answer:?}",
                self.name
            );
            if self.makes_actions {
                assert!(
                    stage.aws.bucket.puts(&number.to_string()).iter().any(|put| put.accepted),
                    "{} has not answered",
                    self.name
                );
                assert!(
                    stage.aws.iot.action(&format!("action-{number}")).is_some(),
                    "{} has made nothing",
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
    /// A PEM file with the stand-ins' root certificate and the system's.
    bundle: PathBuf,
}

impl Stage {
    pub async fn set() -> Self {
        let aws = Aws::start().await;
        let tls = Tls::serve(&aws).await;
        let bundle = tls.roots.with_extension("bundle");
        let system = fs::read(SYSTEM_ROOTS).unwrap_or_else(|error| {
            panic!("{SYSTEM_ROOTS}, which others read at each start: {error}")
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

/// Milliseconds of CPU that the threads of a process have had, save those that have ended.
pub fn cpu(process: u32) -> f64 {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        // A thread may have ended since it was listed.
        let schedstat =
            fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        nanoseconds +=
            schedstat.split_whitespace().next().map_or(0, |spent| spent.parse::<u64>().unwrap());
    }
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1000.0
}

/// KiB that a process has resident (`VmRSS`), or the most that it has had (`VmHWM`).
pub fn memory(process: u32, of: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(of)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A control group with the CPU of a 128 MB function: 128 / 1769 of one
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>). It ends when this is dropped.
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
