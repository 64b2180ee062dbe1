//! One deposit after another on accounts of several lengths: what each costs, what goes over the wire, how long it takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use aggregate::AggregateId;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    bank::Bank,
    system::{DEPOSIT, Recorded, Refusal, System},
};

/// Deposits on one account, with the length in question in their middle: a whole round of what happens every 100 events.
const WINDOW: u64 = 100;
/// Accounts whose deposits are timed.
const TIMED_ACCOUNTS: u64 = 2;

/// What one deposit costs in the mean, and how long it takes.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The system.
    pub system: &'static str,
    /// Events that the account had.
    pub past_events: u64,
    /// Why there are no figures, where there are none.
    pub fails: Option<String>,
    /// Requests.
    pub requests: f64,
    /// Read capacity units.
    pub read_units: f64,
    /// Write capacity units.
    pub write_units: f64,
    /// Bytes sent, heads included.
    pub bytes_sent: f64,
    /// Bytes received, heads included.
    pub bytes_received: f64,
    /// Half of the deposits are faster.
    pub median_us: u64,
    /// One of a hundred is slower.
    pub p99_us: u64,
    /// The time of all deposits, shared out.
    pub mean_us: f64,
    /// Whether all deposits, and nothing else, are in the balance in the end.
    pub balance_is_right: bool,
}

/// Accounts of one length, and how many deposits each of them gets.
struct Plan {
    filled: u64,
    deposits: u64,
    timed_accounts: u64,
}

impl Plan {
    fn of(past_events: u64) -> Self {
        let samples = TIMED_ACCOUNTS * WINDOW;
        match past_events {
            1 => Self { filled: 1, deposits: 1, timed_accounts: samples },
            _ => Self { filled: past_events - WINDOW / 2, deposits: WINDOW, timed_accounts: TIMED_ACCOUNTS },
        }
    }
}

/// The rows of all systems for accounts of `past_events` events.
pub async fn measure(bank: &Bank, past_events: u64) -> Vec<Row> {
    let plan = Plan::of(past_events);
    eprintln!("accounts of {past_events} events ...");
    let mut rows = Vec::new();
    let mut timed = Vec::new();
    for number in 0..bank.plain.len() {
        let accounts = fill(&bank.plain[number], &plan).await;
        let mut row = empty(bank.plain[number].name(), past_events);
        match count(bank, number, &accounts[..2], plan.deposits, &mut row).await {
            Ok(()) => timed.push((number, accounts[2..].to_vec(), Vec::new())),
            Err(Refusal::Conflict) => row.fails = Some("refused as a conflict, though nobody else writes".to_owned()),
            Err(Refusal::Other(error)) => row.fails = Some(error),
        }
        rows.push(row);
    }
    time(bank, &plan, &mut timed).await;
    for (number, accounts, times) in timed {
        let right = Recorded {
            events: plan.filled + plan.deposits,
            balance: i64::try_from((plan.filled + plan.deposits - 1) * DEPOSIT).unwrap(),
        };
        let row = &mut rows[number];
        row.balance_is_right = true;
        for account in accounts {
            row.balance_is_right &= bank.plain[number].recorded(account).await == right;
        }
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for time in &times {
            histogram.record(u64::try_from(time.as_micros()).unwrap()).unwrap();
        }
        row.median_us = histogram.value_at_quantile(0.5);
        row.p99_us = histogram.value_at_quantile(0.99);
        let micros: f64 = times.iter().map(|time| time.as_secs_f64() * 1e6).sum();
        row.mean_us = mean(micros, times.len() as u64);
    }
    rows
}

/// The accounts, first the one to count units on, then the one to count bytes on, then those that are timed.
async fn fill(system: &Arc<dyn System>, plan: &Plan) -> Vec<AggregateId> {
    let accounts: Vec<AggregateId> = (0..2 + plan.timed_accounts).map(|_| AggregateId(Uuid::now_v7())).collect();
    let mut tasks = JoinSet::new();
    for account in accounts.clone() {
        let (system, events) = (system.clone(), plan.filled);
        tasks.spawn(async move { system.fill(account, events).await });
    }
    tasks.join_all().await;
    accounts
}

async fn count(
    bank: &Bank,
    number: usize,
    accounts: &[AggregateId],
    deposits: u64,
    row: &mut Row,
) -> Result<(), Refusal> {
    let _ = bank.engine.meter.take();
    for _ in 0..deposits {
        bank.metered[number].deposit(accounts[0]).await?;
    }
    let spent = bank.engine.meter.take();
    row.requests = mean(spent.requests.into(), deposits);
    row.read_units = mean(spent.read_units, deposits);
    row.write_units = mean(spent.write_units, deposits);
    let _ = bank.proxy.take();
    for _ in 0..deposits {
        bank.proxied[number].deposit(accounts[1]).await?;
    }
    let (to_engine, from_engine) = bank.proxy.take();
    row.bytes_sent = mean(bytes(to_engine), deposits);
    row.bytes_received = mean(bytes(from_engine), deposits);
    Ok(())
}

/// One deposit of each system in turn, in another order each time, so that whatever else the machine does hits them alike.
async fn time(bank: &Bank, plan: &Plan, timed: &mut [(usize, Vec<AggregateId>, Vec<Duration>)]) {
    for round in 0..plan.deposits * plan.timed_accounts {
        let which = usize::try_from(round % plan.timed_accounts).unwrap();
        fastrand::shuffle(timed);
        for (number, accounts, took) in timed.iter_mut() {
            let began = Instant::now();
            bank.plain[*number].deposit(accounts[which]).await.unwrap();
            took.push(began.elapsed());
        }
    }
}

fn empty(system: &'static str, past_events: u64) -> Row {
    Row {
        system,
        past_events,
        fails: None,
        requests: 0.0,
        read_units: 0.0,
        write_units: 0.0,
        bytes_sent: 0.0,
        bytes_received: 0.0,
        median_us: 0,
        p99_us: 0,
        mean_us: 0.0,
        balance_is_right: false,
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below what a float holds exactly")]
fn mean(sum: f64, of: u64) -> f64 {
    sum / of as f64
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below what a float holds exactly")]
fn bytes(count: u64) -> f64 {
    count as f64
}
