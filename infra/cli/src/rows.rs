//! Read models whose rows are each of one aggregate: every row is compared with the fold of its own events.

use std::{cell::RefCell, collections::BTreeSet, marker::PhantomData, time::Duration};

use aggregate::{AggregateId, Event, Row, Version};
use aws::{Comparable, DynamoEventStore, Expected, Finding, Kind, Mode, Segment};
use eventing::{EventStore, Host, ProjectError, ReadError, System, catch_up, fold};
use futures_util::future::try_join_all;

use crate::{
    Error, Scan,
    histories::{History, Seen},
    report::{Model, Report},
};

/// How long an event may be on its way before a row that lacks it counts as wrong.
pub const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// The comparison of all rows of a table: first those of all aggregates with events, then those without.
pub struct Comparison<'a, R, T> {
    store: &'a DynamoEventStore,
    table: &'a T,
    mode: Mode,
    compared: RefCell<BTreeSet<AggregateId>>,
    findings: RefCell<Vec<Finding>>,
    rows: PhantomData<R>,
}

impl<'a, R: Row, T: Comparable<R>> Comparison<'a, R, T> {
    pub fn new(store: &'a DynamoEventStore, table: &'a T, mode: Mode) -> Self {
        Self { store, table, mode, compared: RefCell::default(), findings: RefCell::default(), rows: PhantomData }
    }

    /// Compares the rows of one aggregate, if it has any in this read model.
    pub async fn history(&self, history: &History) -> Result<(), Error> {
        let aggregate_id = history.aggregate_id;
        let found = match rows_of::<R>(self.store, history).await {
            Ok(None) => return Ok(()),
            Ok(Some(rows)) => self.table.compare(Expected::new(self.store, aggregate_id, rows), self.mode).await?,
            Err(error) => vec![unreadable(aggregate_id, history.newest(), error)?],
        };
        self.findings.borrow_mut().extend(found);
        self.compared.borrow_mut().insert(aggregate_id);
        Ok(())
    }

    /// What all of it has come to.
    pub async fn report(self, model: Model, seen: Seen, scan: Scan) -> Result<Report, Error> {
        let mut report = Report::new(model, seen);
        report.compared = self.compared.borrow().len() as u64;
        report.findings = settled(self.store, self.table, self.findings.take()).await?;
        let compared = self.compared.take();
        let segments = (0..scan.segments).map(|number| Segment { number, total: scan.segments });
        let extra = segments.map(|segment| extra(self.store, self.table, &compared, segment, self.mode));
        report.findings.extend(try_join_all(extra).await?.into_iter().flatten());
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        Ok(report)
    }
}

/// The findings without those that were only a matter of events on their way.
async fn settled<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    findings: Vec<Finding>,
) -> Result<Vec<Finding>, Error> {
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
        let known = unsettled.iter().filter(|finding| finding.aggregate_id == id).map(|finding| finding.version).max();
        let rows = catch_up::<R>(store, id, None, known.unwrap_or_default()).await?;
        let still = table.compare(Expected::new(store, id, rows), Mode::Verify).await?;
        settled.extend(still.into_iter().filter(|finding| Some(finding.version) <= known));
    }
    Ok(settled)
}

/// Rows of aggregates that have no events: of others than those that were compared, which have some.
async fn extra<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    compared: &BTreeSet<AggregateId>,
    segment: Segment,
    mode: Mode,
) -> Result<Vec<Finding>, Error> {
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let (ids, next) = table.keys().page(segment, after).await?;
        for id in ids.into_iter().filter(|id| !compared.contains(id)) {
            let has_events = match store.read(id, 1, 1).await {
                Ok(commits) => !commits.is_empty(),
                // Found with the others.
                Err(ReadError::Corrupt(_)) => true,
                Err(error) => return Err(error.into()),
            };
            if !has_events {
                findings.extend(table.compare(Expected::new(store, id, Vec::new()), mode).await?);
            }
        }
        after = next;
        if after.is_none() {
            return Ok(findings);
        }
    }
}

/// An aggregate whose history this code cannot read: said, and no reason to leave the others alone.
///
/// # Errors
/// Any other error.
pub fn unreadable(aggregate_id: AggregateId, version: Version, error: ProjectError) -> Result<Finding, Error> {
    match error {
        ProjectError::Unreadable(_) | ProjectError::NoHistory { .. } | ProjectError::Read(ReadError::Corrupt(_)) => {
            eprintln!("{aggregate_id}: {}", eventing::causes(&error));
            Ok(Finding { aggregate_id, version, kind: Kind::Unreadable, repaired: false })
        }
        other => Err(other.into()),
    }
}

/// The rows of a history; nothing for an aggregate of another type.
pub async fn rows_of<R: Row>(store: &impl EventStore, history: &History) -> Result<Option<Vec<R>>, ProjectError> {
    let History { aggregate_id, commits } = history;
    if commits.iter().any(|commit| commit.aggregate_type != R::Event::AGGREGATE_TYPE) {
        return Ok(None);
    }
    let rows = match fold(None, commits) {
        // The scan came upon it in pieces.
        Err(ProjectError::NoHistory { .. }) => catch_up(store, *aggregate_id, None, history.newest()).await?,
        rows => rows?,
    };
    Ok(Some(rows))
}
