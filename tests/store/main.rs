//! The event store on a DynamoDB engine, through AWS's own SDK and over HTTP.
#![allow(clippy::unwrap_used, reason = "tests")]

mod adapter_faults;
mod balances;
mod contract;
mod cost;
mod counters;
mod differential;
mod journal;
mod privacy;
mod read_tables;
mod sweep;
