//! Logs: one flat JSON object a line, with the time that Lambda needs to keep the line's level. Never a payload, an amount,
//! a name or a text that a person wrote. And measures, as lines of the same log in a form that CloudWatch makes metrics of.

use std::{env, error::Error, fmt, io, sync::OnceLock};

use aggregate::Timestamp;
use eventing::{Host, System, causes, measures};
use futures_util::{FutureExt, future::Map};
use metrics::Unit;
use metrics_cloudwatch_embedded::{Builder, Collector};
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{format::Writer, time::FormatTime},
};

/// The namespace of all metrics; their one dimension is the function's name, which tells stages apart.
const NAMESPACE: &str = "Daybook";

static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();

/// Begins logging, at the level that the function's logging configuration says, and measuring.
pub fn init() {
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_timer(Rfc3339)
        .with_max_level(level(&env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default()))
        .finish();
    // Already set only where a test has set one of its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
    let function = env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    match Builder::new().cloudwatch_namespace(NAMESPACE).with_dimension("FunctionName", function).init() {
        Ok(collector) => drop(COLLECTOR.set(collector)),
        Err(error) => tracing::warn!(error = %causes(&*error), "nothing is measured"),
    }
    metrics::describe_histogram!(measures::PUBLISH_LAG, Unit::Milliseconds, "");
    metrics::describe_histogram!(measures::PROJECTION_LAG, Unit::Milliseconds, "");
}

/// An invocation that tells how it went.
type Reported<F, T, X> = Map<F, fn(Result<T, X>) -> Result<T, String>>;

/// `handler` as Lambda is to see it. An error has all its causes, in the log and in the letter about an event that is given up.
/// What was measured is written at the end of each invocation: a frozen function writes nothing.
pub fn reported<E, F, T, X>(handler: impl Fn(E) -> F) -> impl Fn(E) -> Reported<F, T, X>
where
    F: Future<Output = Result<T, X>>,
    X: Into<Box<dyn Error + Send + Sync>>,
{
    move |event| {
        handler(event).map(|outcome| {
            write_measures();
            outcome.map_err(|error| causes(&*error.into()))
        })
    }
}

/// Records under `name` how many milliseconds `since` are past.
pub fn measure_lag(name: &'static str, host: &impl Host, since: Timestamp) {
    metrics::histogram!(name).record(since.until(host.now()).as_secs_f64() * 1_000.0);
}

fn write_measures() {
    if let Some(Err(error)) = COLLECTOR.get().map(|collector| collector.flush(io::stdout())) {
        tracing::warn!(%error, "what was measured cannot be written");
    }
}

/// One of Lambda's six levels, in `tracing`'s five; INFO where none is said, as on Lambda.
fn level(configured: &str) -> LevelFilter {
    match configured {
        "FATAL" => LevelFilter::ERROR,
        // An empty text would be a level as well.
        "" => LevelFilter::INFO,
        other => other.parse().unwrap_or(LevelFilter::INFO),
    }
}

/// Lambda takes a line without a valid RFC 3339 `timestamp` for level INFO (Lambda developer guide, "Log-level filtering").
struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", System.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_of_lambda_is_known() {
        let levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "", "no level"].map(level);
        let [trace, debug, info, warn, error, fatal, unset, unknown] = levels;
        assert_eq!([trace, debug, info], [LevelFilter::TRACE, LevelFilter::DEBUG, LevelFilter::INFO]);
        assert_eq!([warn, error, fatal], [LevelFilter::WARN, LevelFilter::ERROR, LevelFilter::ERROR]);
        assert_eq!([unset, unknown], [LevelFilter::INFO; 2]);
    }
}
