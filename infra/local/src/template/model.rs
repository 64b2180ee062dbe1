//! The template as the rest of the local cloud sees it: no intrinsic functions, no ARNs, no defaults to remember.

use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything there is.
#[derive(Debug, Default)]
pub struct Template {
    pub functions: Vec<Function>,
    /// By path, then by method.
    pub routes: Vec<Route>,
    /// The API's default authorizer, where it has one.
    pub authorizer: Option<String>,
    pub tables: Vec<Table>,
    pub mappings: Vec<StreamMapping>,
    pub buses: Vec<String>,
    pub rules: Vec<Rule>,
}

/// A function and how it is run.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    /// The binary, which is also the cargo package that it is built from.
    pub binary: String,
    pub timeout: Duration,
    pub memory_mb: u32,
    /// `ReservedConcurrentExecutions`.
    pub concurrency: Option<u16>,
    pub environment: BTreeMap<String, String>,
    pub log_format: Option<String>,
    pub log_level: Option<String>,
    pub async_invoke: AsyncInvoke,
}

/// What happens when an asynchronous invocation of a function fails.
#[derive(Debug, Clone)]
pub struct AsyncInvoke {
    pub retries: u32,
    pub event_age: Duration,
    /// The queue for what failed for good; without one it is dropped, as AWS would.
    pub on_failure: Option<String>,
}

/// A route of the HTTP API.
#[derive(Debug, Clone)]
pub struct Route {
    /// A method or `ANY`.
    pub method: String,
    /// A path with `{parameters}`, or `$default`.
    pub path: String,
    pub function: String,
    /// Whether the authorizer's claims are handed on.
    pub authorized: bool,
    /// A request body to try the route with.
    pub example: Option<Value>,
}

impl Route {
    /// The path that stands for every request that no other route takes.
    pub const DEFAULT: &str = "$default";

    /// As API Gateway writes it: `GET /things/{id}`, or `$default`.
    #[must_use]
    pub fn key(&self) -> String {
        if self.path == Self::DEFAULT { self.path.clone() } else { format!("{} {}", self.method, self.path) }
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    pub name: String,
    /// The `CreateTable` request that makes it.
    pub create: Value,
}

/// How often, or how long, something may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Unlimited,
    AtMost(u64),
}

impl Limit {
    /// Whether `value` is over the limit.
    #[must_use]
    pub fn is_exceeded_by(self, value: u64) -> bool {
        matches!(self, Self::AtMost(limit) if value > limit)
    }
}

/// The event source mapping from a table's stream to a function.
#[derive(Debug, Clone)]
pub struct StreamMapping {
    pub table: String,
    pub function: String,
    pub starting_position: StartingPosition,
    pub batch_records_max: usize,
    /// Patterns, of which a record must match one; every record where there are none.
    pub filters: Vec<String>,
    pub retry: BatchRetry,
    /// The queue for what is given up; without one it is dropped, as AWS would.
    pub on_failure: Option<String>,
}

/// Where a mapping without a checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StartingPosition {
    /// At the oldest record that the stream still has.
    TrimHorizon,
    /// After the newest one.
    Latest,
}

/// What happens to a batch of stream records that failed.
#[derive(Debug, Clone, Copy)]
pub struct BatchRetry {
    /// `ReportBatchItemFailures`: the function may say from which record on it failed.
    pub reports_item_failures: bool,
    /// `BisectBatchOnFunctionError`: a failed batch is retried in halves.
    pub bisects: bool,
    pub retries: Limit,
    pub record_age_s: Limit,
}

/// A rule on an event bus.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub bus: String,
    pub pattern: Value,
    pub targets: Vec<Target>,
}

/// Where a rule sends what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Function(String),
    Queue(String),
}
