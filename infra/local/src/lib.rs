//! The local cloud: everything that `template.yaml` declares, on this machine, with every function as a process of its own.
//! It knows no domain: tables, routes, rules and functions all come from the template. It is a library as well as a program
//! for the tests' sake, which want the template's tables.
#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "the inside of a program, documented where a name does not say it"
)]

pub mod bus;
pub mod console;
pub mod data;
pub mod durable;
pub mod engine;
pub mod gateway;
pub mod names;
pub mod options;
pub mod pool;
pub mod programs;
pub mod sandbox;
pub mod stream_table;
pub mod streams;
pub mod template;
