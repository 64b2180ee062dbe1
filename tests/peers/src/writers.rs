//! Many writers on one account at once: what their callers see, what it costs, and whether what was acknowledged is there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aggregate::AggregateId;
use eventing::{Host as _, System as Machine};
use serde::Serialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    bank::Bank,
    system::{DEPOSIT, Refusal, System},
};

/// Writers at once.
pub const WRITERS: u64 = 20;
/// Deposits of each of them, one after the other.
pub const DEPOSITS: u64 = 20;
/// The waits of a caller who tries again grow from the first to the second of these, as Daybook's own do.
const BACKOFF_FIRST: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// What became of the deposits.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The system.
    pub system: &'static str,
    /// Whether callers try again after a conflict.
    pub caller_tries_again: bool,
    /// Deposits that were acknowledged.
    pub acknowledged: u64,
    /// Conflicts that callers saw.
    pub conflicts: u64,
    /// Other errors that callers saw.
    pub errors: u64,
    /// One of these errors.
    pub error: Option<String>,
    /// Requests in all.
    pub requests: u32,
    /// Deposits that are recorded in the end.
    pub recorded: u64,
    /// Whether the balance that the next command decides on is that of the recorded deposits.
    pub balance_is_right: bool,
    /// How long it took.
    pub seconds: f64,
}

#[derive(Default)]
struct Seen {
    acknowledged: u64,
    conflicts: u64,
    errors: u64,
    error: Option<String>,
}

/// The rows of all systems.
pub async fn measure(bank: &Bank) -> Vec<Row> {
    eprintln!("{WRITERS} writers on one account ...");
    let mut rows = Vec::new();
    for system in &bank.metered {
        for caller_tries_again in [false, true] {
            rows.push(row(bank, system, caller_tries_again).await);
        }
    }
    rows
}

async fn row(bank: &Bank, system: &Arc<dyn System>, caller_tries_again: bool) -> Row {
    let account = AggregateId(Uuid::now_v7());
    system.fill(account, 1).await;
    let _ = bank.engine.meter.take();
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(write(system.clone(), account, caller_tries_again));
    }
    let all = writers.join_all().await;
    let (seconds, spent) = (began.elapsed().as_secs_f64(), bank.engine.meter.take());
    let recorded = system.recorded(account).await;
    let deposits = recorded.events - 1;
    let sum = |part: fn(&Seen) -> u64| all.iter().map(part).sum::<u64>();
    Row {
        system: system.name(),
        caller_tries_again,
        acknowledged: sum(|seen| seen.acknowledged),
        conflicts: sum(|seen| seen.conflicts),
        errors: sum(|seen| seen.errors),
        error: all.iter().find_map(|seen| seen.error.clone()),
        requests: spent.requests,
        recorded: deposits,
        balance_is_right: recorded.balance == i64::try_from(deposits * DEPOSIT).unwrap(),
        seconds,
    }
}

/// One writer. An error that is no conflict is not tried again: whether the deposit is in is not known.
async fn write(system: Arc<dyn System>, account: AggregateId, tries_again: bool) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..DEPOSITS {
        let mut ceiling = BACKOFF_FIRST;
        loop {
            match system.deposit(account).await {
                Ok(()) => seen.acknowledged += 1,
                Err(Refusal::Conflict) => {
                    seen.conflicts += 1;
                    if tries_again {
                        Machine.sleep(Machine.jitter(ceiling)).await;
                        ceiling = BACKOFF_MAX.min(ceiling * 2);
                        continue;
                    }
                }
                Err(Refusal::Other(error)) => {
                    seen.errors += 1;
                    seen.error = Some(error);
                }
            }
            break;
        }
    }
    seen
}
