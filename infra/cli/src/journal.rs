//! The journal, which has an entry of every event.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use aggregate::{AggregateId, Envelope};
use aws::{DynamoEventStore, Finding, Journal, Kind, Mode, Segment};
use eventing::{Commit, EventStore, Host, Position, ReadError, System};
use futures_util::{StreamExt, future::try_join_all, stream};

use crate::{
    Error, Scan, Verdict,
    histories::{History, Seen},
    output::note,
    report::{Model, Report},
    rows::ON_ITS_WAY,
};

/// Entries of one segment that are looked at side by side.
const AT_ONCE: usize = 8;

/// The comparison of all entries. Into an empty journal events enter at their own time, for nobody has read it yet; into any other
/// one at the time when they come, for readers may have passed their own.
pub struct Comparison<'a> {
    store: &'a DynamoEventStore,
    journal: &'a Journal,
    mode: Mode,
    begins: bool,
    compared: Cell<u64>,
    findings: RefCell<Vec<(Finding, Envelope)>>,
    /// How many events of each aggregate have their entries.
    entered: RefCell<BTreeMap<AggregateId, u64>>,
    /// Entries that this code cannot read.
    unreadable: Cell<u64>,
}

impl<'a> Comparison<'a> {
    /// The comparison; `begins` says whether there is nothing in the journal, or was when this was begun.
    pub fn new(store: &'a DynamoEventStore, journal: &'a Journal, mode: Mode, begins: bool) -> Self {
        let (findings, entered) = (RefCell::default(), RefCell::default());
        let (compared, unreadable) = (Cell::new(0), Cell::new(0));
        Self { store, journal, mode, begins, compared, findings, entered, unreadable }
    }

    /// Compares the entries of one aggregate.
    pub async fn history(&self, history: &History) -> Result<Verdict, Error> {
        let mut verdict = Verdict::Well;
        for event in history.commits.iter().flat_map(Commit::envelopes) {
            let now = || if self.begins { event.created_at } else { System.now() };
            let found = self.journal.compare(&event, now, self.mode).await?;
            if found.as_ref().is_some_and(|finding| !finding.repaired) {
                verdict = Verdict::NotWell;
            } else {
                *self.entered.borrow_mut().entry(history.aggregate_id).or_default() += 1;
            }
            self.findings.borrow_mut().extend(found.map(|found| (found, event)));
            self.compared.update(|compared| compared + 1);
        }
        Ok(verdict)
    }

    /// What all of it has come to.
    pub async fn report(self, seen: Seen, scan: Scan) -> Result<Report, Error> {
        let mut report = Report::new(Model::Journal, seen);
        report.compared = self.compared.get();
        let findings = self.findings.take();
        if findings.iter().any(|(finding, _)| !finding.repaired && finding.kind == Kind::Missing) {
            System.sleep(ON_ITS_WAY).await;
        }
        for (finding, event) in findings {
            if finding.repaired {
                report.findings.push(finding);
                continue;
            }
            match self.journal.compare(&event, || System.now(), self.mode).await {
                Ok(still) => report.findings.extend(still),
                Err(error) => {
                    note(&format!("{}: {}", event.aggregate_id, eventing::causes(&error)));
                    report.seen.failed += 1;
                }
            }
        }
        report.findings.extend(self.extra(scan).await?);
        report.rows_unreadable = self.unreadable.get();
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        Ok(report)
    }

    /// Entries that no event led to, or that an event has besides its own. Where an aggregate has as many entries as events that were
    /// found to have theirs, there is none of those; so only the entries of other aggregates are looked at.
    async fn extra(&self, scan: Scan) -> Result<Vec<Finding>, Error> {
        let counts: RefCell<BTreeMap<AggregateId, u64>> = RefCell::default();
        let count = async |_, event: Envelope| {
            *counts.borrow_mut().entry(event.aggregate_id).or_default() += 1;
            Ok(())
        };
        let unreadable = self.each(scan, count).await?;
        self.unreadable.set(unreadable);
        let (entered, counts) = (self.entered.take(), counts.into_inner().into_iter());
        let suspects: BTreeSet<AggregateId> =
            counts.filter(|(id, count)| entered.get(id) != Some(count)).map(|(id, _)| id).collect();
        let findings: RefCell<Vec<Finding>> = RefCell::default();
        let look = async |position, event: Envelope| {
            if suspects.contains(&event.aggregate_id) && !self.belongs(&position, &event).await? {
                let extra = self.extra_entry(&position, &event).await?;
                findings.borrow_mut().push(extra);
            }
            Ok(())
        };
        if !suspects.is_empty() {
            self.each(scan, look).await?;
        }
        Ok(findings.into_inner())
    }

    async fn extra_entry(&self, position: &Position, event: &Envelope) -> Result<Finding, Error> {
        let repaired = self.mode == Mode::Repair;
        if repaired {
            self.journal.remove(event, position).await?;
        }
        let (aggregate_id, version) = (event.aggregate_id, event.version);
        Ok(Finding { aggregate_id, version, kind: Kind::Extra, at: version, repaired, differences: Vec::new() })
    }

    /// Whether a recorded event has its entry at this position.
    async fn belongs(&self, position: &Position, event: &Envelope) -> Result<bool, Error> {
        let recorded = match self.store.read(event.aggregate_id, event.version, 1).await {
            Ok(commits) => commits,
            // Found on the way through the events.
            Err(ReadError::Corrupt(_)) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        match recorded.iter().flat_map(Commit::envelopes).find(|other| other.event_id == event.event_id) {
            Some(recorded) => Ok(self.journal.place(&recorded).await? == *position),
            None => Ok(false),
        }
    }

    /// Hands every entry to `work`; the number of those that cannot be read.
    async fn each<F: Future<Output = Result<(), Error>>>(
        &self,
        scan: Scan,
        work: impl Fn(Position, Envelope) -> F,
    ) -> Result<u64, Error> {
        let segment = async |number| {
            let (segment, mut after, mut unreadable) = (Segment { number, total: scan.segments }, None, 0);
            loop {
                let (page, next) = self.journal.events(segment, after).await?;
                let mut entries = Vec::new();
                for entry in page {
                    match entry {
                        Ok(entry) => entries.push(entry),
                        Err(error) => {
                            note(&eventing::causes(&error));
                            unreadable += 1;
                        }
                    }
                }
                let mut works =
                    stream::iter(entries).map(|(position, event)| work(position, event)).buffer_unordered(AT_ONCE);
                while let Some(outcome) = works.next().await {
                    outcome?;
                }
                after = next;
                if after.is_none() {
                    return Ok::<_, Error>(unreadable);
                }
            }
        };
        Ok(try_join_all((0..scan.segments).map(segment)).await?.into_iter().sum())
    }
}
