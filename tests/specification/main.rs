//! The bank and the mechanism, in memory: file and function names read as the specification.
#![allow(clippy::unwrap_used, reason = "tests")]

mod account;
mod arbitrary_input;
mod asyncapi;
mod bus_commands;
mod commands;
mod contract;
mod currencies;
mod event_schemas;
mod golden_commands;
mod golden_events;
mod http;
mod instants;
mod mechanism;
mod patterns;
mod privacy;
mod projections;
mod publishing;
mod queries;
mod read_models;
mod request_schemas;
mod runbook;
mod schema_evolution;
mod sweep;
mod transaction;
mod transaction_process;
mod webhook;
