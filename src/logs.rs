//! Logs: lines on standard output, with only warnings and errors of libraries.
//!
//! At TRACE and DEBUG, the runtime logs the raw event, and the HTTP and SDK crates log their
//! requests, which include a signed URL and credentials. So the configured level applies only to
//! this crate, and libraries log at WARN at most.

use std::panic;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// The most bytes of a reason in the log.
pub const MAX_REASON: usize = 4096;

const THIS_CRATE: &str = env!("CARGO_CRATE_NAME");

/// Starts logging as the runtime would: at the level of `AWS_LAMBDA_LOG_LEVEL` or else of
/// `RUST_LOG`, INFO where neither is set, and as JSON where `AWS_LAMBDA_LOG_FORMAT` says so.
pub fn init() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let level = level(variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG")).as_deref());
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(THIS_CRATE, level)
        // It would repeat the handler's line.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF)
        // It logs an error at each 5xx of a connection that it cannot mark, which is harmless.
        .with_target("aws_smithy_runtime::client::http::connection_poisoning", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer();
    let registry = tracing_subscriber::registry().with(filter);
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        registry
            .with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false))
            .init();
    } else {
        registry.with(lines.with_ansi(false)).init();
    }
    // The message of a panic may hold what caused it; where it happened is enough to find it.
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string);
        tracing::error!(location, "panic");
    }));
}

/// The level that `directives` set for this crate: a level's name, or a list as `RUST_LOG` has it.
fn level(directives: Option<&str>) -> LevelFilter {
    let Some(directives) = directives else { return LevelFilter::INFO };
    if directives.eq_ignore_ascii_case("fatal") {
        return LevelFilter::ERROR;
    }
    let Ok(targets) = directives.parse::<Targets>() else { return LevelFilter::INFO };
    let ours = targets.iter().find(|(target, _)| *target == THIS_CRATE).map(|(_, level)| level);
    ours.or(targets.default_level()).unwrap_or(LevelFilter::INFO)
}
