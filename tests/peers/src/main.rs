//! Daybook beside other event stores on DynamoDB: the same deposits on the same embedded engine in one run. Requests, units
//! and bytes are counted, so they are the same on every machine; times are only given as multiples of the floor's, which is
//! measured in turn with them. `--json` prints the same for machines, `--quick` leaves the longest histories out.
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]

mod adapter;
mod bank;
mod cqrs;
mod daybook;
mod deposits;
mod floor;
mod print;
mod proxy;
mod system;
mod untokened;
mod writers;

use serde_json::json;

use crate::bank::Bank;

/// Past events of the accounts.
const HISTORIES: [u64; 4] = [1, 100, 1_000, 10_000];

#[tokio::main]
async fn main() {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    let bank = Bank::start().await;
    let histories = if has("--quick") { &HISTORIES[..2] } else { &HISTORIES[..] };
    let mut deposits = Vec::new();
    for past_events in histories {
        deposits.extend(deposits::measure(&bank, *past_events).await);
    }
    let writers = writers::measure(&bank).await;
    if has("--json") {
        let remarks: Vec<_> =
            bank.plain.iter().map(|system| json!({ "system": system.name(), "remark": system.remark() })).collect();
        println!("{}", json!({ "deposits": deposits, "writers": writers, "remarks": remarks }));
    } else {
        print::all(&bank, &deposits, &writers);
    }
}
