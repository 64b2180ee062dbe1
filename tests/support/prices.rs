//! What AWS asks, in US dollars a million: list prices of us-east-1 on demand, as published in 2026. Look them up again
//! before you rely on them.

/// Requests to an HTTP API, of up to 512 KB.
pub const API_REQUEST: f64 = 1.00;
/// Invocations of functions.
pub const INVOCATION: f64 = 0.20;
/// Seconds of one GB of a function on arm64.
pub const GB_SECOND: f64 = 13.333_4;
/// Read units of DynamoDB: 4 KB, strongly consistent.
pub const READ_UNIT: f64 = 0.125;
/// Write units of DynamoDB: 1 KB.
pub const WRITE_UNIT: f64 = 0.625;
/// Events put on a bus of one's own, of up to 64 KB. Their delivery within the account costs nothing.
pub const BUS_EVENT: f64 = 1.00;
/// KB of logs taken in.
pub const LOG_KB: f64 = 0.5;
/// Traces taken in by X-Ray.
pub const TRACE: f64 = 5.0;
/// KB taken into the archive of a bus.
pub const ARCHIVED_KB: f64 = 0.1;
/// Reads of a table's stream by Lambda, which are free.
pub const STREAM_READ: f64 = 0.0;
