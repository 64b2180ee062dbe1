//! What must hold at the end, seen from outside.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use aggregate::AggregateId;
use aws::DynamoEventStore;
use domain::Outcome;
use eventing::{Commit, EventStore, ReadError};
use futures_util::{StreamExt, TryStreamExt, stream};
use ledger::Ledger;
use serde_json::Value;

use crate::{
    clients::{self, Told},
    cloud::Cloud,
};

/// How long everything may take to come to rest: clients are faster than what follows from their commands, and a long run leaves much.
const PATIENCE: Duration = Duration::from_hours(2);
/// How long the local cloud runs at most while everything comes to rest.
const RESTART_AFTER: Duration = Duration::from_mins(1);
/// Acknowledged commands that are sent once more, at most.
const REPEATED_MAX: usize = 500;
/// Histories that are read at once.
const READ_AT_ONCE: usize = 16;
/// How often a history may not be answered.
const READ_FAILURES_MAX: u32 = 10;
/// Transactions that are looked at before all are read, at most.
const SHOWN_MAX: usize = 50;

/// Checks everything.
pub fn check(cloud: &Cloud, told: &Told) -> Result<(), String> {
    let (ledger, redriven) = &come_to_rest(cloud, told)?;
    let refunds = ledger.events.iter().filter(|event| event.event_type == "AccountRefunded").count();
    println!("{} events, {refunds} of them refunds, {redriven} dead letters redriven", ledger.events.len());
    is(ledger.paid_in() == i128::from(told.paid_in), || {
        format!("I9: {} minor units were acknowledged, {} are recorded", told.paid_in, ledger.paid_in())
    })?;
    acknowledged_is_recorded(told, ledger)?;
    shown_is_recorded(cloud, told, ledger)?;
    repeated_is_answered_the_same(cloud, told)?;
    println!("drift 0: every acknowledged command is recorded once, every read model is the fold of its events");
    Ok(())
}

fn is(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Waits until all transactions have ended and all read models have followed; what was given up is redriven, as an operator would.
fn come_to_rest(cloud: &Cloud, told: &Told) -> Result<(Ledger, u64), String> {
    let (deadline, mut began, mut redriven) = (Instant::now() + PATIENCE, Instant::now(), 0);
    loop {
        let (none, _) = cloud.daybook(&["dead-letters", "list"])?;
        if !none {
            let (done, said) = cloud.daybook(&["dead-letters", "redrive", "--all"])?;
            is(done, || format!("dead letters cannot be redriven: {said}"))?;
            redriven += said.lines().count() as u64;
        }
        // Cheaper than to read all tables, which would slow down what we wait for.
        if Instant::now() < deadline && !some_have_ended(cloud, told) {
            std::thread::sleep(Duration::from_secs(5));
            // The embedded engine looks through the tokens of all transactions of ten minutes for each transaction. A new one
            // has none; and whoever is at work is killed once more.
            if began.elapsed() > RESTART_AFTER {
                cloud.kill_itself()?;
                began = Instant::now();
            }
            continue;
        }
        let ledger = recorded(cloud, told)?;
        let open = ledger.as_ref().map(|ledger| ledger.open().len());
        let (follows, said) = cloud.daybook(&["verify", "--segments", "1"])?;
        if let (true, true, Some(0), Some(ledger)) = (none, follows, open, ledger) {
            return Ok((ledger, redriven));
        }
        is(Instant::now() < deadline, || {
            format!("I12, I13: {open:?} transactions are open after {PATIENCE:?}; {said}")
        })?;
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// Whether transactions have ended as far as some of them show.
fn some_have_ended(cloud: &Cloud, told: &Told) -> bool {
    let every = told.transactions.len().div_ceil(SHOWN_MAX).max(1);
    told.transactions.iter().rev().step_by(every).all(|(account, id)| {
        let shown = get(cloud, &format!("/transactions/{id}"), &told.accounts[*account].token);
        shown.is_ok_and(|shown| has_ended(&shown))
    })
}

fn has_ended(transaction: &Value) -> bool {
    transaction["status"] == "completed" || transaction["status"] == "failed"
}

fn get(cloud: &Cloud, path: &str, token: &str) -> Result<Value, String> {
    clients::get(&clients::agent(), &format!("{}{path}", cloud.url), token)
}

/// Reads every history, and checks everything in the order in which it was decided. Nothing while the table grows: many reads are
/// not a moment in time, and may see what followed from something without seeing that.
fn recorded(cloud: &Cloud, told: &Told) -> Result<Option<Ledger>, String> {
    let (mut commits, in_table) = histories(cloud, told)?;
    if commits.len() != in_table {
        return Ok(None);
    }
    // One machine, one clock: what was decided because of something else was decided later.
    commits.sort_by_key(|commit| (commit.created_at, commit.aggregate_id, commit.version));
    let record = || {
        let mut ledger = Ledger::default();
        for commit in &commits {
            ledger.record(commit);
        }
        ledger
    };
    std::panic::catch_unwind(record).map(Some).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| "the ledger does not hold".to_owned())
    })
}

/// The histories of all accounts and transactions that clients know of, and how many commits the table has after they were read: as
/// many, for there is nothing else, unless it grows. The embedded engine counts at once, and is slow at scans of so much.
fn histories(cloud: &Cloud, told: &Told) -> Result<(Vec<Commit>, usize), String> {
    let ids = told.accounts.iter().map(|account| &account.id).chain(told.transactions.iter().map(|(_, id)| id));
    let ids: Result<Vec<AggregateId>, _> = ids.map(|id| id.parse().map(AggregateId)).collect();
    let ids = ids.map_err(|_| "no id")?;
    ask(cloud, async |store| {
        let history = async |id| {
            let (mut commits, mut failures): (Vec<Commit>, u32) = (Vec::new(), 0);
            loop {
                let from = commits.last().map_or(0, Commit::last_version) + 1;
                match store.read(id, from, usize::MAX).await {
                    Ok(page) if page.is_empty() => return Ok::<_, ReadError>(commits),
                    Ok(page) => commits.extend(page),
                    // Hours of work are not given up for a moment of the engine's.
                    Err(ReadError::Unavailable(_)) if failures < READ_FAILURES_MAX => failures += 1,
                    Err(error) => return Err(error),
                }
            }
        };
        let commits: Vec<Vec<Commit>> =
            stream::iter(ids).map(history).buffer_unordered(READ_AT_ONCE).try_collect().await?;
        let (_, in_table) = store.described().await?;
        Ok((commits.concat(), usize::try_from(in_table).unwrap_or(usize::MAX)))
    })
}

/// Asks the events table.
fn ask<T>(cloud: &Cloud, question: impl AsyncFnOnce(&DynamoEventStore) -> Result<T, ReadError>) -> Result<T, String> {
    let environment: BTreeMap<String, String> = cloud.environment()?.into_iter().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let url = environment.get("AWS_ENDPOINT_URL_DYNAMODB").ok_or("no endpoint")?;
    let store = DynamoEventStore::new(tests::dynamodb(url), "events");
    let answer = runtime.map_err(|error| error.to_string())?.block_on(question(&store));
    answer.map_err(|error| eventing::causes(&error))
}

/// I6 and I7: what was acknowledged is there, once: the ledger has refused every second effect.
fn acknowledged_is_recorded(told: &Told, ledger: &Ledger) -> Result<(), String> {
    let mut versions: BTreeMap<AggregateId, u64> = BTreeMap::new();
    for event in &ledger.events {
        let version = versions.entry(event.aggregate_id).or_default();
        *version = event.version.max(*version);
    }
    for acknowledged in &told.acknowledged {
        let id: AggregateId = AggregateId(
            acknowledged.answer["id"].as_str().and_then(|id| id.parse().ok()).ok_or("an answer without an id")?,
        );
        let version = acknowledged.answer["version"].as_u64().ok_or("an answer without a version")?;
        is(versions.get(&id).is_some_and(|newest| *newest >= version), || {
            format!("I6: {} was acknowledged as version {version} of {id}, which is gone", acknowledged.key)
        })?;
    }
    let deposits = ledger.events.iter().filter(|event| event.event_type == "MoneyDeposited").count() as u64;
    let withdrawals = ledger.events.iter().filter(|event| event.event_type == "MoneyWithdrawn").count() as u64;
    let begun = ledger.events.iter().filter(|event| event.event_type == "TransactionInitiated").count();
    is((deposits, withdrawals, begun) == (told.deposits, told.withdrawals, told.transactions.len()), || {
        format!(
            "I6, I7: {deposits} deposits, {withdrawals} withdrawals and {begun} transactions are recorded, others acknowledged"
        )
    })
}

/// The API shows what is recorded: balances, the ends of transactions, the bank's totals.
fn shown_is_recorded(cloud: &Cloud, told: &Told, ledger: &Ledger) -> Result<(), String> {
    let minor = |text: &Value| text.as_str().and_then(|text| text.replace('.', "").parse::<i128>().ok());
    for account in &told.accounts {
        let shown = get(cloud, &format!("/accounts/{}", account.id), &account.token)?;
        let id = AggregateId(account.id.parse().map_err(|_| "no id")?);
        is(minor(&shown["balance"]) == Some(ledger.balance(id)), || format!("I13: {id} shows {shown}"))?;
    }
    for (account, id) in &told.transactions {
        let shown = get(cloud, &format!("/transactions/{id}"), &told.accounts[*account].token)?;
        let id = AggregateId(id.parse().map_err(|_| "no id")?);
        let ended = match ledger.outcome(id) {
            Some(Outcome::Completed) => "completed",
            Some(Outcome::Failed { .. }) => "failed",
            Some(Outcome::Initiated) | None => "",
        };
        is(shown["status"] == ended, || format!("I12, I13: {id} has {ended:?}, and shows {shown}"))?;
    }
    let admin = clients::token_of(cloud, "admin")?;
    let totals = get(cloud, "/totals", &admin)?;
    is(minor(&totals["items"][0]["money_held"]) == Some(ledger.paid_in()), || format!("I9: totals show {totals}"))
}

/// I7: who repeats a command gets the first answer, and nothing happens.
fn repeated_is_answered_the_same(cloud: &Cloud, told: &Told) -> Result<(), String> {
    let commits = || ask(cloud, async |store| Ok(store.described().await?.1));
    let before = commits()?;
    let agent = clients::agent();
    let every = told.acknowledged.len().div_ceil(REPEATED_MAX).max(1);
    for first in told.acknowledged.iter().step_by(every) {
        let (url, token) = (format!("{}{}", cloud.url, first.path), &told.accounts[first.account].token);
        let (status, again, _) = clients::post(&agent, &url, token, &first.key, &first.body)?;
        is(again == first.answer, || format!("I7: {} was {}, and is {status} {again} now", first.key, first.answer))?;
    }
    let after = commits()?;
    is(after == before, || format!("I7: repeated commands made {} commits more", after - before))
}
