//! What Daybook costs. Requests and capacity units are counted by the engine as DynamoDB bills them, so they are the same on
//! every machine; times and memory are this machine's. `--json` prints the same for machines. Without an argument everything is
//! measured, else only the parts that are named: `cargo run --release -p bench -- commands cost`.
//!
//! | part and file | what it measures |
//! |---|---|
//! | `commands` | a deposit on accounts of several lengths |
//! | `operations` | every command, query and projection, counted |
//! | `projection`, `rebuild` | events into read models, as the bus delivers them and as an operator rebuilds them |
//! | `cost` | what a million deposits cost on AWS |
//! | `cloud` | the local cloud |
//! | `peers` | other event stores, beside Daybook |
//! | `cold-start` | what a start of each function costs; only where it is asked for |
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

mod cloud;
mod cold_start;
mod commands;
mod cost;
mod operations;
mod peers;
mod projection;
mod rebuild;

use clap::{Parser, builder::PossibleValuesParser};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

/// A part: its name, how it is measured and how it is printed.
type Segment = (&'static str, fn(&Runtime) -> Value, fn(&Value));

const PARTS: [Segment; 6] = [
    ("commands", |runtime| runtime.block_on(commands::count()), commands::print),
    ("operations", |runtime| runtime.block_on(operations::count()), operations::print),
    ("projection", |runtime| runtime.block_on(projection::measure()), projection::print),
    ("rebuild", |runtime| runtime.block_on(rebuild::measure()), rebuild::print),
    ("cost", |runtime| runtime.block_on(cost::count()), cost::print),
    ("cloud", |_| cloud::measure(), cloud::print),
];
/// A program of its own, which prints its own tables.
const PEERS: &str = "peers";

/// What Daybook costs.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// Measures only these parts
    #[arg(value_parser = PossibleValuesParser::new(PARTS.map(|part| part.0).into_iter().chain([PEERS])))]
    parts: Vec<String>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    instead: Option<Instead>,
}

#[derive(Debug, clap::Subcommand)]
enum Instead {
    /// What a cold start costs: size, start and first answer of every function, against a function that does nothing
    ColdStart(cold_start::Options),
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Some(Instead::ColdStart(options)) = options.instead {
        return runtime.block_on(cold_start::measure(&options));
    }
    let wanted = |part: &str| options.parts.is_empty() || options.parts.iter().any(|name| name == part);
    let mut all = Map::new();
    for (part, measure, print) in PARTS.iter().filter(|(part, ..)| wanted(part)) {
        let measured = measure(&runtime);
        if !options.json {
            print(&measured);
        }
        all.insert((*part).to_owned(), measured);
    }
    match (wanted(PEERS), options.json) {
        (true, false) => peers::print(),
        (true, true) => drop(all.insert(PEERS.to_owned(), peers::measure())),
        (false, _) => {}
    }
    if options.json {
        println!("{}", Value::Object(all));
    }
}
