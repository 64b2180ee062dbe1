//! Lambda: functions as processes that ask for their invocations.
//!
//! `runtime_api` is the HTTP interface between a process and Lambda, `sandbox` one such process, `pool` all processes of one
//! function, `logs` what they write. Promises: a process handles one invocation at a time; an invocation is handed to one
//! process and never to a second one; no process outlives the local cloud.

mod logs;
mod pool;
mod runtime_api;
mod sandbox;

use std::fmt::{self, Display};

use axum::body::Bytes;
pub use logs::{Level, LogLine, LogSink};
pub use pool::{Pool, Pools};
pub use sandbox::{Endpoints, LAUNCH_COMMAND, launch};
use serde_json::{Value, json};

/// The largest event and the largest answer of a synchronous invocation (Lambda quota).
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// An event on its way into a function.
#[derive(Debug, Clone)]
pub struct Event {
    /// The id of the invocation, as the function sees it.
    pub request_id: String,
    /// The X-Ray trace that the invocation belongs to.
    pub trace_id: String,
    /// JSON.
    pub payload: Bytes,
}

impl Event {
    /// An event with an id and a trace of its own.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        let seconds = jiff::Timestamp::now().as_second();
        let (root, parent) = (uuid::Uuid::new_v4().simple().to_string(), fastrand::u64(..));
        Self {
            request_id: uuid::Uuid::new_v4().to_string(),
            trace_id: format!("Root=1-{seconds:08x}-{};Parent={parent:016x};Sampled=0", &root[..24]),
            payload: payload.into(),
        }
    }
}

/// A time as Lambda writes it into its records.
pub fn timestamp(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Every process was busy for too long. Nothing was run.
    Throttled,
    /// The local cloud stops. What was run is cut off, which is nobody's failure.
    Stopping,
    /// The function failed: it said so, it crashed, or it ran out of time.
    Function(FunctionError),
}

/// A function's error as Lambda reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// The whole of what the function said.
    pub payload: Value,
}

impl FunctionError {
    /// An error that Lambda reports in the function's stead.
    pub fn new(error_type: &str, message: impl Display) -> Self {
        Self { payload: json!({ "errorType": error_type, "errorMessage": message.to_string() }) }
    }

    /// The error that a function reported itself.
    pub fn reported(body: &[u8]) -> Self {
        let payload = serde_json::from_slice(body)
            .unwrap_or_else(|_| json!({ "errorType": "Unknown", "errorMessage": String::from_utf8_lossy(body) }));
        Self { payload }
    }
}

impl Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |key| self.payload.get(key).and_then(Value::as_str).unwrap_or_default();
        // A type's path in Rust is nothing for people.
        match (Some(text("errorType")).filter(|kind| !kind.contains("::")).unwrap_or_default(), text("errorMessage")) {
            ("", "") => write!(f, "{}", self.payload),
            ("", message) => f.write_str(message),
            (kind, message) => write!(f, "{kind}: {message}"),
        }
    }
}
