//! The real binary, started as Lambda starts it.

use std::{
    path::Path,
    process::{ExitCode, Stdio},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::Notify,
};

use crate::{Aws, FUNCTION, REGION};

/// The credentials of every run. Tests search the output for them.
pub const ACCESS_KEY: &str = "AKIAEXAMPLEACCESSKEY";
pub const SECRET_KEY: &str = "wJalrXUtnFEMIexampleSECRETkeyEXAMPLE12345";
pub const SESSION_TOKEN: &str = "IQoJb3JpZ2luexampleSESSIONtokenEXAMPLE67890";

/// A running instance of the function. Dropping it kills the process.
pub struct Function {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    printed: Arc<Notify>,
}

impl Function {
    /// Starts `binary` against `aws`. `settings` are environment variables in addition to Lambda's
    /// own; an empty value counts as unset.
    pub fn start(binary: &Path, aws: &Aws, settings: &[(&str, &str)]) -> Self {
        Self::start_with_runner(&[], binary, aws, settings)
    }

    /// As [`Function::start`], with another program running the binary.
    pub fn start_with_runner(
        runner: &[&str],
        binary: &Path,
        aws: &Aws,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = match runner {
            [] => Command::new(binary),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
        };
        command.env_clear().envs(environment(aws)).envs(settings.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
        let output = Arc::new(Mutex::new(Vec::new()));
        let printed = Arc::new(Notify::new());
        collect(child.stdout.take().unwrap(), output.clone(), printed.clone());
        collect(child.stderr.take().unwrap(), output.clone(), printed.clone());
        Self { child, output, printed }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the function runs")
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The output so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    /// Discards the output so far.
    pub fn clear_output(&self) {
        self.output.lock().unwrap().clear();
    }

    /// Passes each line of output to `print` until the function exits or Ctrl-C is pressed.
    pub async fn follow(mut self, print: impl Fn(&str)) -> ExitCode {
        loop {
            let lines = self.output.lock().unwrap().split_off(0);
            for line in &lines {
                print(line);
            }
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return ExitCode::SUCCESS,
                _ = self.child.wait() => return ExitCode::FAILURE,
                () = self.printed.notified() => {}
            }
        }
    }

    /// Waits until the process exits, and returns its output.
    pub async fn wait(mut self) -> String {
        self.child.wait().await.unwrap();
        self.whole_output().await
    }

    /// Kills the process and returns its output.
    pub async fn stop(mut self) -> String {
        self.child.kill().await.unwrap();
        self.whole_output().await
    }

    /// The output of a process that has exited.
    async fn whole_output(&self) -> String {
        // The pipes close with the process. Their readers hold the only other references.
        while Arc::strong_count(&self.output) > 1 {
            tokio::task::yield_now().await;
        }
        self.output()
    }
}

/// The environment variables that Lambda sets, and those that every test needs.
fn environment(aws: &Aws) -> [(&'static str, String); 11] {
    [
        ("AWS_LAMBDA_RUNTIME_API", aws.address.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ("AWS_SESSION_TOKEN", SESSION_TOKEN.to_owned()),
        ("AWS_ENDPOINT_URL", aws.url()),
        ("RESPONSE_URL_ALLOWED_HOSTS", "127.0.0.1".to_owned()),
        ("ROLE_PROPAGATION_SECONDS", "0".to_owned()),
    ]
}

fn collect(
    pipe: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    output: Arc<Mutex<Vec<String>>>,
    printed: Arc<Notify>,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            output.lock().unwrap().push(line);
            printed.notify_one();
        }
    });
}
