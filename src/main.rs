//! The composition root: logs, settings, clients, run.

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use mitigation_action_provider::{
    handler::Handler, http::Http, logs, settings::Settings, trigger::Payload,
};

fn main() -> Result<(), Error> {
    logs::init();
    let settings = Settings::from_environment();
    if let Some(failure) = settings.failure() {
        tracing::error!(reason = failure.reason(4096), "every request will fail");
    }
    let handler = Handler::new(&settings, Http::new(settings.roots.clone())?);
    let service = service_fn(|event: LambdaEvent<Payload>| Box::pin(handler.handle(event)));
    // One thread: an instance serves one invocation at a time.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        handler.warm_up().await;
        Runtime::new(service).run().await
    })
}
