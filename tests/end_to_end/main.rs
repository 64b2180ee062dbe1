//! The whole pipeline, every function a process of its own, over HTTP.
#![allow(clippy::unwrap_used, reason = "tests")]

mod authorization;
mod bad_input;
mod bank;
mod contract;
mod cors;
mod cursors;
mod faults;
mod guard;
mod history;
mod integrators;
mod invocations;
mod local_cloud;
mod logs;
mod operator;
mod permissions;
mod readme;
mod replay;
mod transactions;
mod whole_bank;
