//! Logs: one flat JSON object a line, with the time that Lambda needs to keep the line's level. Never a payload, an amount,
//! a name or a text that a person wrote.

use std::fmt;

use eventing::{Host, System};
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

/// Begins logging, at the level that the function's logging configuration says.
pub fn init() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|_| "INFO".to_owned());
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_timer(Rfc3339)
        .with_env_filter(EnvFilter::new(level))
        .finish();
    // Already set only where a test has set one of its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Lambda takes a line without a valid RFC 3339 `timestamp` for level INFO (Lambda developer guide, "Log-level filtering").
struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", System.now())
    }
}
