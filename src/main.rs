//! The composition root: logs, settings, clients, run.

use std::{io::Write as _, process::ExitCode};

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use mitigation_action_provider::{
    handler::Handler, http::Http, logs, settings::Settings, trigger::Payload,
};

/// Printed when the binary is run outside Lambda.
const USAGE: &str = "\
This is the AWS Lambda function mitigation-action-provider. It polls Lambda's Runtime API at the
address in AWS_LAMBDA_RUNTIME_API, and takes no arguments.

To try it on this machine: make run, or stand-ins run PATH_OF_THIS_BINARY.
To deploy it: README.md.";

fn main() -> Result<ExitCode, Error> {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        writeln!(std::io::stderr(), "{USAGE}")?;
        return Ok(ExitCode::FAILURE);
    }
    logs::init();
    let settings = Settings::from_environment();
    if let Err(failure) = settings.check() {
        tracing::error!(reason = failure.reason(logs::MAX_REASON), "every request will fail");
    }
    let handler = Handler::new(&settings, Http::new(settings.roots.clone())?);
    let service = service_fn(|event: LambdaEvent<Payload>| Box::pin(handler.handle(event)));
    // One thread: an instance serves one invocation at a time.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        handler.warm_up().await;
        Runtime::new(service).run().await
    })?;
    Ok(ExitCode::SUCCESS)
}
