//! What tests and benchmarks share: a bank to try things on, an engine, and the whole pipeline as processes.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "test support panics where a test must fail")]

mod bank;
mod cloud;
mod contract;
mod edge;
mod engine;
mod fakes;
mod meter;
mod other_engine;
pub mod prices;
mod schemas;
mod sick;
mod targets;
mod wire;

pub use bank::{check, command, commit, deposited, eur, leg, opened, owner, with_balance, withdrawn};
pub use cloud::{Answer, Cloud, build_everything, function_binary, repository};
pub use contract::{Contract, form};
pub use edge::{Edge, Paid, request};
pub use engine::{Engine, dynamodb, tables_without_streams, template_tables};
pub use fakes::{Fault, FaultyStore, MemoryTable, StillHost, envelopes};
pub use meter::{Meter, Spent};
pub use other_engine::engine_with;
pub use schemas::{EventSchemas, schema_id};
pub use sick::{OpenList, SickStore, Sickness};
pub use targets::{TARGETS, Target, target};
pub use wire::{Fault as WireFault, Reply, Wire};
