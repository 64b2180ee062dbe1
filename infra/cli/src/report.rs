//! What is said of a read model that was compared with the events.

use std::fmt;

use aws::{Finding, Kind};
use clap::ValueEnum;
use serde::Serialize;

use crate::{Verdict, differences, histories::Seen};

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
    #[serde(serialize_with = "differences::serialize")]
    pub findings: Vec<Finding>,
    /// Sums that differ.
    pub counters: Vec<CounterFinding>,
    /// Rows that this code cannot read, and whose aggregate it therefore does not know.
    pub rows_unreadable: u64,
}

impl Report {
    /// Nothing to compare yet.
    pub fn new(model: Model, seen: Seen) -> Self {
        Self { model, seen, compared: 0, findings: Vec::new(), counters: Vec::new(), rows_unreadable: 0 }
    }

    /// Whether everything is as it should be now.
    pub fn is_well(&self) -> bool {
        self.verdict() == Verdict::Well
    }

    /// The same, told apart from what could not be found out.
    pub fn verdict(&self) -> Verdict {
        if self.seen.failed > 0 {
            return Verdict::NotFoundOut;
        }
        let nothing_unreadable = self.seen.unreadable == 0 && self.rows_unreadable == 0;
        Verdict::of(
            nothing_unreadable && self.counters.is_empty() && self.findings.iter().all(|finding| finding.repaired),
        )
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let Seen { commits, unreadable, failed } = self.seen;
        let repaired = self.findings.iter().filter(|finding| finding.repaired).count();
        let wrong = self.findings.len() - repaired + self.counters.len();
        let (name, compared) = (self.model.label(), self.compared);
        let mut lines =
            vec![format!("{name:<13}{commits} commits read, {compared} compared, {repaired} put right, {wrong} wrong")];
        if unreadable > 0 {
            lines.push(format!("  {unreadable} items of the events table cannot be read"));
        }
        if self.rows_unreadable > 0 {
            lines.push(format!(
                "  {} rows cannot be read; look at them, for this program does not delete them",
                self.rows_unreadable
            ));
        }
        if failed > 0 {
            lines.push(format!("  {failed} aggregates could not be worked on; run the same command again"));
        }
        for Finding { aggregate_id, version, kind, at, repaired, differences } in &self.findings {
            let said = match kind {
                Kind::Behind => format!("behind, at version {at}"),
                kind => format!("{kind:?}").to_lowercase(),
            };
            let state = if *repaired { "put right" } else { "wrong" };
            lines.push(format!("  {aggregate_id} version {version}: {said} ({state})"));
            lines.extend(differences.iter().map(|difference| format!("    {}", differences::in_words(difference))));
        }
        lines.extend(self.counters.iter().map(|finding| format!("  {finding}")));
        lines.join("\n")
    }
}

/// A sum that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CounterFinding {
    /// The group with its shard.
    pub group: String,
    /// What is counted.
    pub of: String,
    /// The counter.
    pub counter: String,
    /// What it is.
    pub is: i128,
    /// What the events add up to.
    pub should_be: i128,
    /// Whether it differed by as much at the look before.
    #[serde(skip)]
    pub is_certain: bool,
}

impl CounterFinding {
    /// Whether it is about the same sum.
    pub fn is_same_place(&self, other: &Self) -> bool {
        (&self.group, &self.of, &self.counter) == (&other.group, &other.of, &other.counter)
    }

    /// Whether that sum differs by as much.
    pub fn is_same_difference(&self, other: &Self) -> bool {
        self.is_same_place(other) && self.is - self.should_be == other.is - other.should_be
    }
}

impl fmt::Display for CounterFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, of, counter, is, should_be, .. } = self;
        write!(f, "{counter} of {of} in {group}: {is} instead of {should_be} (rebuild totals)")
    }
}
