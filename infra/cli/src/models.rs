//! The read models, each with its table and the form of its rows.

use aws::{Counters, CurrentRows, DynamoEventStore, Finding, Journal, Mode, RowHistory};
use clap::ValueEnum;
use domain::{AccountRow, StatementEntry, TransactionRow};
use serde::Serialize;

use crate::{Error, Scan, histories::Seen, journal, rows, totals};

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

    /// What it is called on the command line.
    pub fn label(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
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
        let (name, compared) = (self.model.label(), self.compared);
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

    /// Compares a read model with the events, and puts right what differs where that is wanted.
    pub async fn verify(&self, model: Model, mode: Mode, scan: Scan) -> Result<Report, Error> {
        match model {
            Model::Accounts => rows::compare::<AccountRow>(&self.store, &self.accounts, model, mode, scan).await,
            Model::Statement => rows::compare::<StatementEntry>(&self.store, &self.statement, model, mode, scan).await,
            Model::Transactions => {
                rows::compare::<TransactionRow>(&self.store, &self.transactions, model, mode, scan).await
            }
            Model::Journal => journal::compare(&self.store, &self.journal, mode, scan).await,
            Model::Totals if mode == Mode::Verify => totals::verify(&self.store, &self.totals, scan).await,
            Model::Totals => totals::repair(&self.store, &self.totals, scan).await,
        }
    }

    /// Makes a read model anew: sums beside the old ones, anything else row by row in its place.
    pub async fn rebuild(&self, model: Model, scan: Scan) -> Result<Report, Error> {
        match model {
            Model::Totals => totals::rebuild(&self.store, &self.totals, scan).await,
            _ => self.verify(model, Mode::Repair, scan).await,
        }
    }
}
