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
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

mod cloud;
mod commands;
mod cost;
mod operations;
mod peers;
mod projection;
mod rebuild;

use serde_json::{Map, Value};
use tokio::runtime::Runtime;

/// A part: its name, how it is measured and how it is printed.
type Part = (&'static str, fn(&Runtime) -> Value, fn(&Value));

const PARTS: [Part; 6] = [
    ("commands", |runtime| runtime.block_on(commands::count()), commands::print),
    ("operations", |runtime| runtime.block_on(operations::count()), operations::print),
    ("projection", |runtime| runtime.block_on(projection::measure()), projection::print),
    ("rebuild", |runtime| runtime.block_on(rebuild::measure()), rebuild::print),
    ("cost", |runtime| runtime.block_on(cost::count()), cost::print),
    ("cloud", |_| cloud::measure(), cloud::print),
];

fn main() {
    let (options, named): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let for_machines = options.iter().any(|option| option == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut all = Map::new();
    for (part, measure, print) in PARTS.iter().filter(|(part, ..)| wanted(part)) {
        let measured = measure(&runtime);
        if !for_machines {
            print(&measured);
        }
        all.insert((*part).to_owned(), measured);
    }
    match (wanted("peers"), for_machines) {
        (true, false) => peers::print(),
        (true, true) => drop(all.insert("peers".to_owned(), peers::measure())),
        (false, _) => {}
    }
    if for_machines {
        println!("{}", Value::Object(all));
    }
}
