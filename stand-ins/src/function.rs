//! The real binary, run as Lambda runs it.

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

/// The credentials of every run: long enough to be looked for in what is printed.
pub const ACCESS_KEY: &str = "AKIAEXAMPLEACCESSKEY";
pub const SECRET_KEY: &str = "wJalrXUtnFEMIexampleSECRETkeyEXAMPLE12345";
pub const SESSION_TOKEN: &str = "IQoJb3JpZ2luexampleSESSIONtokenEXAMPLE67890";

/// A running instance of the function. It ends when this is dropped.
pub struct Function {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    printed: Arc<Notify>,
}

impl Function {
    /// Starts `binary` against `aws`; `settings` add to Lambda's own variables, an empty value takes one away.
    pub fn start(binary: &Path, aws: &Aws, settings: &[(&str, &str)]) -> Self {
        Self::start_under(&[], binary, aws, settings)
    }

    /// As [`Function::start`], with the binary run by another program.
    pub fn start_under(
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
        command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let own = [
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
        ];
        for (name, value) in own {
            command.env(name, value);
        }
        for (name, value) in settings {
            command.env(name, value);
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", binary.display()));
        let output = Arc::new(Mutex::new(Vec::new()));
        let printed = Arc::new(Notify::new());
        collect(child.stdout.take().unwrap(), output.clone(), printed.clone());
        collect(child.stderr.take().unwrap(), output.clone(), printed.clone());
        Self { child, output, printed }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the function runs")
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    /// Forgets what it has printed so far.
    pub fn forget(&self) {
        self.output.lock().unwrap().clear();
    }

    /// Gives `print` each line that it prints, until it ends or the process is interrupted.
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

    /// All that it printed, once it has ended by itself.
    pub async fn ended(mut self) -> String {
        self.child.wait().await.unwrap();
        while Arc::strong_count(&self.output) > 1 {
            tokio::task::yield_now().await;
        }
        self.output()
    }

    /// All that it printed, once it has ended.
    pub async fn end(mut self) -> String {
        self.child.kill().await.unwrap();
        // The pipes close with the process; the readers hold the only other references.
        while Arc::strong_count(&self.output) > 1 {
            tokio::task::yield_now().await;
        }
        self.output()
    }
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
