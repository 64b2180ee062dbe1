//! The sweep: drives transactions to their end that lost their event, or the function that drove them.
//!
//! Promises: every open transaction gets its turn, whatever others do. The order is another one each time, many are driven at
//! once, each has a time budget, and an account that failed is left alone until the next sweep. A turn that runs out of time is
//! dropped where it waits, which is safe: every step is a command with an id that follows from the transaction.

use std::{collections::HashSet, future::Future, mem, pin::Pin, time::Duration};

use aggregate::{AggregateId, Timestamp};
use aws::{CurrentRows, Segment};
use domain::Outcome;
use eventing::{EventStore, Host, Index, Place, TableError, causes};
use futures_util::future::select_all;

use crate::{
    HandleError, ProcessError,
    process::{Found, Open, find},
};

/// The index of open transactions. It loses a transaction at its end, so it is never long.
const UNDER_WAY: Index = Index { name: "under_way", by: "under_way", order: "created_at", newest_first: false };

/// Parts that the index is read in.
pub const PARTS: u8 = 4;

/// The place where open transactions are found, each with the time when it began.
pub trait OpenTransactions: Send + Sync {
    /// Those in one of [`PARTS`] parts. What cannot be read is an error among them.
    fn part(&self, part: u8) -> impl Future<Output = Result<Vec<Result<Place, TableError>>, TableError>> + Send;
}

impl OpenTransactions for CurrentRows {
    async fn part(&self, part: u8) -> Result<Vec<Result<Place, TableError>>, TableError> {
        self.segment(&UNDER_WAY, Segment { number: part.into(), total: PARTS.into() }).await
    }
}

/// A transaction that is older than this and still open has lost its event, or the function that drove it.
const RESUMED_AFTER: Duration = Duration::from_mins(1);
/// The time that a read, or one transaction with all its steps, may take. It takes milliseconds where all is well.
const TURN: Duration = Duration::from_secs(4);
/// Transactions that are driven at once. In 25 seconds there are six turns of each, so that some 300 accounts that never answer fit
/// into one sweep.
const AT_ONCE: usize = 64;

/// Counter: a transaction that had been open for too long was brought to its end.
const TRANSACTIONS_RESUMED: &str = "TransactionsResumed";
/// Counter: one that could not be.
const TRANSACTIONS_STUCK: &str = "TransactionsStuck";
/// Counter: a sweep has read which transactions are open, and tried them. Its absence is an alarm.
const SWEEPS_COMPLETED: &str = "SweepsCompleted";

/// The work of one sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Transactions that are at their end now.
    pub resumed: usize,
    /// Those that could not be brought there.
    pub stuck: usize,
    /// Those for which there was no time. The next sweep has another order.
    pub left: usize,
}

/// Drives all transactions that have been open for too long. That some stay stuck is no failure of the sweep: it is counted,
/// and logged once for each.
///
/// # Errors
/// When the index of open transactions does not answer; those that were found all the same have been driven.
pub async fn sweep(
    store: &impl EventStore,
    host: &impl Host,
    transactions: &impl OpenTransactions,
    deadline: Timestamp,
) -> Result<Swept, HandleError> {
    let before = host.now().earlier_by(RESUMED_AFTER).to_string();
    let last_turn = deadline.earlier_by(TURN);
    let mut agenda = Agenda { parts: shuffled(host, (0..PARTS).collect()), ..Agenda::default() };
    let mut at_work: Vec<Pin<Box<dyn Future<Output = Done> + Send + '_>>> = Vec::new();
    let mut unreadable_part = None;
    loop {
        while at_work.len() < AT_ONCE && host.now() < last_turn {
            let Some(next) = agenda.next() else { break };
            let until = host.now().later_by(TURN).min(deadline);
            at_work.push(match next {
                Next::Drive(open) => {
                    Box::pin(async move { Done::Driven(open.transaction_id, open.drive(store, host, until).await) })
                }
                Next::Find(id) => Box::pin(async move { Done::Found(id, find(store, host, id, until).await) }),
                Next::Read(part) => Box::pin(async move {
                    let read = host.within(host.now().until(until), transactions.part(part)).await;
                    Done::Read(read.unwrap_or_else(|| Err(TableError::Unavailable("no answer in time".into()))))
                }),
            });
        }
        if at_work.is_empty() {
            break;
        }
        let (done, _, rest) = select_all(mem::take(&mut at_work)).await;
        at_work = rest;
        match done {
            Done::Read(Ok(places)) => agenda.add(shuffled(host, places), &before),
            Done::Read(Err(error)) => {
                agenda.reads = false;
                unreadable_part = Some(error);
            }
            Done::Found(_, Ok(Found::Open(open))) => agenda.open.push(*open),
            Done::Found(transaction_id, Ok(Found::Ended(outcome))) => {
                tracing::info!(%transaction_id, ?outcome, "has ended; the read model is behind");
            }
            Done::Driven(id, Ok(outcome)) => agenda.resumed(id, outcome),
            Done::Found(id, Err(error)) | Done::Driven(id, Err(error)) => agenda.stuck(id, &error),
        }
    }
    let swept = agenda.end();
    tracing::info!(resumed = swept.resumed, stuck = swept.stuck, left = swept.left, "swept");
    if let Some(error) = unreadable_part {
        return Err(error.into());
    }
    metrics::counter!(SWEEPS_COMPLETED).increment(1);
    Ok(swept)
}

/// The next piece of work.
enum Next {
    Read(u8),
    Find(AggregateId),
    Drive(Box<Open>),
}

/// A piece of work that is done.
enum Done {
    Read(Result<Vec<Result<Place, TableError>>, TableError>),
    Found(AggregateId, Result<Found, ProcessError>),
    Driven(AggregateId, Result<Outcome, ProcessError>),
}

/// The work that is left, and what is known of accounts.
#[derive(Default)]
struct Agenda {
    /// Parts of the index that nobody has read yet.
    parts: Vec<u8>,
    /// A part is being read. One at a time, for an index may be long where something is wrong.
    reads: bool,
    /// Transactions whose history nobody has read yet.
    found: Vec<AggregateId>,
    /// Open ones that are to be driven.
    open: Vec<Open>,
    /// Accounts that failed in this sweep.
    failed: HashSet<AggregateId>,
    swept: Swept,
}

impl Agenda {
    /// Takes the next piece of work that can be begun.
    fn next(&mut self) -> Option<Next> {
        while let Some(open) = self.open.pop() {
            let Some(account_id) = open.accounts().into_iter().find(|account| self.failed.contains(account)) else {
                return Some(Next::Drive(Box::new(open)));
            };
            metrics::counter!(TRANSACTIONS_STUCK).increment(1);
            let transaction_id = open.transaction_id;
            tracing::error!(%transaction_id, %account_id, "not resumed: its account failed in this sweep");
            self.swept.stuck += 1;
        }
        if let Some(id) = self.found.pop() {
            return Some(Next::Find(id));
        }
        if self.reads {
            return None;
        }
        let part = self.parts.pop()?;
        self.reads = true;
        Some(Next::Read(part))
    }

    /// Adds what a part of the index has, as far as it began before `before`.
    fn add(&mut self, places: Vec<Result<Place, TableError>>, before: &str) {
        self.reads = false;
        for place in places {
            match place {
                Ok((created_at, id)) if created_at.as_str() < before => self.found.push(id),
                Ok(_) => {}
                Err(error) => {
                    metrics::counter!(TRANSACTIONS_STUCK).increment(1);
                    tracing::error!(error = %causes(&error), "not resumed: an item of the index cannot be read");
                    self.swept.stuck += 1;
                }
            }
        }
    }

    fn resumed(&mut self, transaction_id: AggregateId, outcome: Outcome) {
        metrics::counter!(TRANSACTIONS_RESUMED).increment(1);
        tracing::warn!(%transaction_id, ?outcome, "resumed");
        self.swept.resumed += 1;
    }

    fn stuck(&mut self, transaction_id: AggregateId, error: &ProcessError) {
        metrics::counter!(TRANSACTIONS_STUCK).increment(1);
        tracing::error!(%transaction_id, error = %causes(error), "not resumed");
        self.swept.stuck += 1;
        self.failed.extend(error.failed_aggregate());
    }

    fn end(mut self) -> Swept {
        self.swept.left = self.found.len() + self.open.len();
        if self.swept.left > 0 || !self.parts.is_empty() {
            tracing::warn!(left = self.swept.left, parts = self.parts.len(), "more is open than one sweep resumes");
        }
        self.swept
    }
}

/// `all` in another order each time: an order that stays has a first one, which others may never get past.
fn shuffled<T>(host: &impl Host, mut all: Vec<T>) -> Vec<T> {
    all.sort_by_cached_key(|_| host.jitter(Duration::from_secs(1)));
    all
}
