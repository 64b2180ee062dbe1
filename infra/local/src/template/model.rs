//! The template as the rest of the local cloud sees it: no intrinsic functions, no ARNs, no defaults to remember.

use std::{collections::BTreeMap, time::Duration};

use iam_rs::IAMPolicy;
use serde_json::Value;

/// Everything there is.
#[derive(Debug, Default)]
pub struct Template {
    /// By name.
    pub functions: Vec<Function>,
    /// By path, then by method.
    pub routes: Vec<Route>,
    /// The API's default authorizer, where it has one.
    pub authorizer: Option<Authorizer>,
    /// What pages of other origins may do with the API, where it says so.
    pub cors: Option<Cors>,
    /// How many requests the API takes.
    pub throttling: Throttling,
    /// The tables.
    pub tables: Vec<Table>,
    /// From streams to functions.
    pub mappings: Vec<StreamMapping>,
    /// The event buses, by name.
    pub buses: Vec<String>,
    /// The queues, by name.
    pub queues: Vec<String>,
    /// The secrets, by name.
    pub secrets: Vec<String>,
    /// What the holder of a role may do, by the role's ARN.
    pub roles: BTreeMap<String, Vec<IAMPolicy>>,
    /// What resources say about who may do what with them.
    pub resource_policies: Vec<IAMPolicy>,
    /// On all event buses.
    pub rules: Vec<Rule>,
    /// Functions that are invoked again and again.
    pub schedules: Vec<Schedule>,
}

/// A function and how it is run.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its own name, or its binary's.
    pub name: String,
    /// The binary, which is also the cargo package that it is built from.
    pub binary: String,
    /// For one invocation.
    pub timeout: Duration,
    /// Told to the function, not enforced.
    pub memory_mb: u32,
    /// `ReservedConcurrentExecutions`.
    pub concurrency: Option<u16>,
    /// The variables that the template gives it.
    pub environment: BTreeMap<String, String>,
    /// The ARN of the role that says what it may do; without one it may nothing.
    pub role: Option<String>,
    /// `LogFormat`, told to the function.
    pub log_format: Option<String>,
    /// `ApplicationLogLevel`, told to the function.
    pub log_level: Option<String>,
    /// What happens to an event that it fails on.
    pub async_invoke: AsyncInvoke,
}

/// What happens when an asynchronous invocation of a function fails.
#[derive(Debug, Clone)]
pub struct AsyncInvoke {
    /// After the first failure.
    pub retries: u32,
    /// How old an event may be when it is tried again.
    pub event_age: Duration,
    /// The queue for what failed for good; without one it is dropped, as AWS would.
    pub on_failure: Option<String>,
}

/// Whose tokens the HTTP API takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorizer {
    /// The `iss` of a token.
    pub issuer: String,
    /// Of which a token's `aud` must have one.
    pub audience: Vec<String>,
}

/// What pages of other origins may do with the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Whose pages may call; `*` is everybody's.
    pub origins: Vec<String>,
    /// With which methods.
    pub methods: Vec<String>,
    /// With which headers.
    pub headers: Vec<String>,
    /// Which headers of an answer they see.
    pub exposed: Vec<String>,
    /// For how long a browser need not ask again, in seconds.
    pub max_age_s: u64,
}

/// How many requests each route of the API takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Throttling {
    /// For routes that have no limit of their own.
    pub default: Option<Throttle>,
    /// By the key of the route.
    pub routes: BTreeMap<String, Throttle>,
}

/// The limit of a route.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests a second, in a steady state.
    pub rate: f64,
    /// Requests at once.
    pub burst: f64,
}

/// A route of the HTTP API.
#[derive(Debug, Clone)]
pub struct Route {
    /// What the template calls it.
    pub name: String,
    /// A method or `ANY`.
    pub method: String,
    /// A path with `{parameters}`, or `$default`.
    pub path: String,
    /// Who answers.
    pub function: String,
    /// Whether the authorizer must let a request pass.
    pub authorized: bool,
    /// Of which a token must have one; where there are none, any token will do.
    pub scopes: Vec<String>,
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
    /// The name that the engine knows it by.
    pub name: String,
    /// The `CreateTable` request that makes it.
    pub create: Value,
}

/// How often, or how long, something may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// No limit but that of the stream.
    Unlimited,
    /// So much is within the limit.
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
    /// Whose stream is read.
    pub table: String,
    /// Who gets the records.
    pub function: String,
    /// Where to begin.
    pub starting_position: StartingPosition,
    /// Records that go to the function together.
    pub batch_records_max: usize,
    /// Patterns, of which a record must match one; every record where there are none.
    pub filters: Vec<String>,
    /// What happens to a batch that it fails on.
    pub retry: BatchRetry,
    /// The queue for what is given up; without one it is dropped, as AWS would.
    pub on_failure: Option<String>,
}

impl StreamMapping {
    /// What tells it from every other one, in this run and in later ones.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} -> {}", self.table, self.function)
    }
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
    /// How often records that cannot be cut any more are tried again.
    pub retries: Limit,
    /// How old a record may be when it is handed over, in seconds.
    pub record_age_s: Limit,
}

/// A rule on an event bus.
#[derive(Debug, Clone)]
pub struct Rule {
    /// For messages.
    pub name: String,
    /// The bus that it listens to.
    pub bus: String,
    /// Which events it matches.
    pub pattern: Value,
    /// Where they go.
    pub targets: Vec<Target>,
}

/// Where a rule sends what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Invoked, by name.
    Function(String),
    /// Sent to, by name.
    Queue(String),
}

/// A function that is invoked again and again.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// For the event.
    pub name: String,
    /// Who is invoked.
    pub function: String,
    /// How often.
    pub every: Duration,
}
