//! The read models, each with its table and the form of its rows.

use std::{cell::RefCell, time::Duration};

use aggregate::{AggregateId, Event, Row};
use aws::{
    Comparable, Counters, CurrentRows, DynamoEventStore, Expected, Finding, Journal, Kind, Mode, Part, RowHistory,
};
use clap::ValueEnum;
use domain::{AccountRow, StatementEntry, TransactionRow};
use eventing::{Commit, EventStore, Host, ProjectError, System, catch_up, fold};
use futures_util::{StreamExt, future::try_join_all, stream};
use serde::Serialize;

use crate::{
    Error, Scan,
    histories::{self, History, Seen},
    totals,
};

/// A read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Every account as it stands.
    Accounts,
    /// Every movement of an account.
    Statement,
    /// Every transaction as it stands.
    Transactions,
    /// All events in time order.
    Journal,
    /// What the bank holds and moves.
    Totals,
}

impl Model {
    /// All of them.
    pub fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }
}

/// The tables.
pub struct Tables {
    pub store: DynamoEventStore,
    accounts: CurrentRows,
    statement: RowHistory,
    transactions: CurrentRows,
    journal: Journal,
    totals: Counters,
}

/// How a read model compares with the events.
#[derive(Debug, Serialize)]
pub struct Report {
    pub model: Model,
    /// What was read of the events.
    #[serde(flatten)]
    pub seen: Seen,
    /// Aggregates, or for the journal events, that were compared.
    pub compared: u64,
    /// What differs, and what differed.
    pub findings: Vec<Finding>,
    /// Sums that differ.
    pub counters: Vec<totals::CounterFinding>,
}

impl Report {
    /// Nothing to compare yet.
    pub fn new(model: Model, seen: Seen) -> Self {
        Self { model, seen, compared: 0, findings: Vec::new(), counters: Vec::new() }
    }

    /// Whether everything is as it should be now.
    pub fn is_well(&self) -> bool {
        self.seen.unreadable == 0 && self.counters.is_empty() && self.findings.iter().all(|finding| finding.repaired)
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let Seen { commits, unreadable } = self.seen;
        let repaired = self.findings.iter().filter(|finding| finding.repaired).count();
        let wrong = self.findings.len() - repaired + self.counters.len();
        let (name, compared) = (label(self.model), self.compared);
        let mut lines =
            vec![format!("{name:<13}{commits} commits read, {compared} compared, {repaired} put right, {wrong} wrong")];
        if unreadable > 0 {
            lines.push(format!("  {unreadable} items of the events table cannot be read"));
        }
        for Finding { aggregate_id, version, kind, repaired } in &self.findings {
            let kind = format!("{kind:?}").to_lowercase();
            let state = if *repaired { "put right" } else { "wrong" };
            lines.push(format!("  {aggregate_id} version {version}: {kind} ({state})"));
        }
        lines.extend(self.counters.iter().map(|finding| format!("  {finding}")));
        lines.join("\n")
    }
}

/// How long an event may be on its way before a row that lacks it counts as wrong.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

impl Tables {
    /// The tables whose names begin with `prefix`.
    pub fn connect(prefix: &str) -> Result<Self, Error> {
        let client = aws::dynamodb().map_err(|error| error.to_string())?;
        let table = |name: &str| format!("{prefix}{name}");
        Ok(Self {
            store: DynamoEventStore::new(client.clone(), table("events")),
            accounts: CurrentRows::new(client.clone(), table("accounts"), "account_id"),
            statement: RowHistory::new(client.clone(), table("statement"), "account_id"),
            transactions: CurrentRows::new(client.clone(), table("transactions"), "transaction_id"),
            journal: Journal::new(client.clone(), table("journal")),
            totals: Counters::new(client, table("totals")),
        })
    }

    /// Compares a read model with the events.
    pub async fn verify(&self, model: Model, mode: Mode, scan: Scan) -> Result<Report, Error> {
        let name = (mode == Mode::Repair).then_some("repair");
        match model {
            Model::Accounts => self.rows::<AccountRow>(&self.accounts, model, mode, name, scan).await,
            Model::Statement => self.rows::<StatementEntry>(&self.statement, model, mode, name, scan).await,
            Model::Transactions => self.rows::<TransactionRow>(&self.transactions, model, mode, name, scan).await,
            Model::Journal => self.entries(mode, name, scan).await,
            Model::Totals if mode == Mode::Verify => totals::verify(&self.store, &self.totals, scan).await,
            Model::Totals => {
                let report = totals::verify(&self.store, &self.totals, scan).await?;
                if report.is_well() {
                    return Ok(report);
                }
                totals::rebuild(&self.store, &self.totals, scan).await?;
                let mut repaired = totals::verify(&self.store, &self.totals, scan).await?;
                repaired
                    .findings
                    .extend(report.findings.into_iter().map(|finding| Finding { repaired: true, ..finding }));
                Ok(repaired)
            }
        }
    }

    /// Makes a read model anew.
    pub async fn rebuild(&self, model: Model, scan: Scan) -> Result<Report, Error> {
        let (mode, name) = (Mode::Repair, Some("rebuild"));
        match model {
            Model::Accounts => self.rows::<AccountRow>(&self.accounts, model, mode, name, scan).await,
            Model::Statement => self.rows::<StatementEntry>(&self.statement, model, mode, name, scan).await,
            Model::Transactions => self.rows::<TransactionRow>(&self.transactions, model, mode, name, scan).await,
            Model::Journal => self.entries(mode, name, scan).await,
            Model::Totals => totals::rebuild(&self.store, &self.totals, scan).await,
        }
    }

    /// A read model with rows of one aggregate each: first those of all aggregates with events, then those without.
    async fn rows<R: Row>(
        &self,
        table: &impl Comparable<R>,
        model: Model,
        mode: Mode,
        name: Option<&str>,
        scan: Scan,
    ) -> Result<Report, Error> {
        let (compared, findings) = (RefCell::new(0), RefCell::new(Vec::new()));
        let compare = async |history: History| {
            let Some(rows) = rows_of::<R>(&self.store, history).await? else { return Ok(()) };
            let (aggregate_id, rows) = rows;
            let found = table.compare(Expected::new(&self.store, aggregate_id, rows), mode).await?;
            findings.borrow_mut().extend(found);
            *compared.borrow_mut() += 1;
            Ok::<(), Error>(())
        };
        let name = name.map(|name| format!("{name}-{}", label(model)));
        let seen = histories::each(&self.store, name.as_deref(), &label(model), scan, compare).await?;
        let mut report = Report::new(model, seen);
        report.compared = compared.into_inner();
        report.findings = self.settled(table, findings.into_inner()).await?;
        let extra = (0..scan.segments).map(|number| self.extra(table, Part { number, of: scan.segments }, mode));
        report.findings.extend(try_join_all(extra).await?.into_iter().flatten());
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        Ok(report)
    }

    /// The findings without those that were only a matter of events on their way.
    async fn settled<R: Row>(&self, table: &impl Comparable<R>, findings: Vec<Finding>) -> Result<Vec<Finding>, Error> {
        let may_settle = |finding: &Finding| !finding.repaired && matches!(finding.kind, Kind::Behind | Kind::Missing);
        let (unsettled, mut settled): (Vec<_>, Vec<_>) = findings.into_iter().partition(may_settle);
        if unsettled.is_empty() {
            return Ok(settled);
        }
        System.sleep(ON_ITS_WAY).await;
        let mut again: Vec<AggregateId> = unsettled.iter().map(|finding| finding.aggregate_id).collect();
        again.sort_unstable();
        again.dedup();
        for id in again {
            let known =
                unsettled.iter().filter(|finding| finding.aggregate_id == id).map(|finding| finding.version).max();
            let rows = catch_up::<R>(&self.store, id, None, known.unwrap_or_default()).await?;
            let still = table.compare(Expected::new(&self.store, id, rows), Mode::Verify).await?;
            settled.extend(still.into_iter().filter(|finding| Some(finding.version) <= known));
        }
        Ok(settled)
    }

    /// Rows of aggregates that have no events.
    async fn extra<R: Row>(&self, table: &impl Comparable<R>, part: Part, mode: Mode) -> Result<Vec<Finding>, Error> {
        let (mut findings, mut after) = (Vec::new(), None);
        loop {
            let (ids, next) = table.aggregates(part, after).await?;
            for id in ids {
                if self.store.read(id, 1, 1).await?.is_empty() {
                    findings.extend(table.compare(Expected::new(&self.store, id, Vec::new()), mode).await?);
                }
            }
            after = next;
            if after.is_none() {
                return Ok(findings);
            }
        }
    }

    /// The journal. Into an empty one events enter at their own time, for nobody has read it yet; into any other one at the
    /// time when they come, for readers may have passed their own.
    async fn entries(&self, mode: Mode, name: Option<&str>, scan: Scan) -> Result<Report, Error> {
        let begins = mode == Mode::Repair && self.journal.is_empty().await?;
        let (compared, findings) = (RefCell::new(0), RefCell::new(Vec::new()));
        let compare = async |history: History| {
            for event in history.commits.iter().flat_map(Commit::envelopes) {
                let now = if begins { event.created_at } else { System.now() };
                let found = self.journal.compare(&event, now, mode).await?;
                findings.borrow_mut().extend(found.map(|found| (found, event)));
                *compared.borrow_mut() += 1;
            }
            Ok::<(), Error>(())
        };
        // Whether it began empty is not to be seen any more in a second run, so this one begins anew each time.
        let name = name.filter(|_| !begins).map(|name| format!("{name}-journal"));
        let seen = histories::each(&self.store, name.as_deref(), "journal", scan, compare).await?;
        let mut report = Report::new(Model::Journal, seen);
        report.compared = compared.into_inner();
        let findings = findings.into_inner();
        if findings.iter().any(|(finding, _)| !finding.repaired && finding.kind == Kind::Missing) {
            System.sleep(ON_ITS_WAY).await;
        }
        for (finding, event) in findings {
            let still =
                if finding.repaired { Some(finding) } else { self.journal.compare(&event, System.now(), mode).await? };
            report.findings.extend(still);
        }
        let extra = (0..scan.segments).map(|number| self.extra_entries(Part { number, of: scan.segments }, mode));
        report.findings.extend(try_join_all(extra).await?.into_iter().flatten());
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        Ok(report)
    }

    /// Entries of events that are not recorded.
    async fn extra_entries(&self, part: Part, mode: Mode) -> Result<Vec<Finding>, Error> {
        const AT_ONCE: usize = 8;
        let (mut findings, mut after) = (Vec::new(), None);
        loop {
            let (entries, next) = self.journal.events(part, after).await?;
            let looks = stream::iter(entries).map(async |(position, event)| {
                let recorded = self.store.read(event.aggregate_id, event.version, 1).await?;
                if recorded.iter().flat_map(Commit::envelopes).any(|other| other.event_id == event.event_id) {
                    return Ok(None);
                }
                let repaired = mode == Mode::Repair;
                if repaired {
                    self.journal.remove(&event, &position).await?;
                }
                let (aggregate_id, version) = (event.aggregate_id, event.version);
                Ok::<_, Error>(Some(Finding { aggregate_id, version, kind: Kind::Extra, repaired }))
            });
            let mut looks = looks.buffer_unordered(AT_ONCE);
            while let Some(found) = looks.next().await {
                findings.extend(found?);
            }
            after = next;
            if after.is_none() {
                return Ok(findings);
            }
        }
    }
}

/// The rows of a history; nothing for an aggregate of another type.
pub async fn rows_of<R: Row>(
    store: &impl EventStore,
    history: History,
) -> Result<Option<(AggregateId, Vec<R>)>, ProjectError> {
    let History { aggregate_id, commits } = history;
    if commits.iter().any(|commit| commit.aggregate_type != R::Event::AGGREGATE_TYPE) {
        return Ok(None);
    }
    let rows = match fold(None, &commits) {
        // The scan came upon it in pieces.
        Err(ProjectError::NoHistory { .. }) => {
            let newest = commits.last().map_or(0, Commit::last_version);
            catch_up(store, aggregate_id, None, newest).await?
        }
        rows => rows?,
    };
    Ok(Some((aggregate_id, rows)))
}

fn label(model: Model) -> String {
    model.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
