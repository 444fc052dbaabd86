//! The composition root: logs, settings, clients, run.

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use mitigation_action_provider::{
    handler::Handler, http::Http, settings::Settings, telemetry, trigger::Payload,
};

fn main() -> Result<(), Error> {
    telemetry::start();
    let settings = Settings::from_environment();
    if let Some(failure) = settings.failure() {
        tracing::error!(reason = failure.reason(4096), "every request will be answered as failed");
    }
    let handler = Handler::new(&settings, Http::new(settings.roots.clone())?);
    let service = service_fn(|event: LambdaEvent<Payload>| Box::pin(handler.handle(event)));
    // One thread: an instance works one invocation at a time.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        handler.ready().await;
        Runtime::new(service).run().await
    })
}
