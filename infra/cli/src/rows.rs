//! Read models whose rows are each of one aggregate: every row is compared with the fold of its own events.

use std::{cell::RefCell, time::Duration};

use aggregate::{AggregateId, Event, Row, Version};
use aws::{Comparable, DynamoEventStore, Expected, Finding, Kind, Mode, Segment};
use eventing::{EventStore, Host, ProjectError, ReadError, System, catch_up, fold};
use futures_util::future::try_join_all;

use crate::{
    Error, Scan,
    histories::{self, History},
    report::{Model, Report},
};

/// How long an event may be on its way before a row that lacks it counts as wrong.
pub const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Compares all rows: first those of all aggregates with events, then those without.
pub async fn compare<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    model: Model,
    mode: Mode,
    scan: Scan,
) -> Result<Report, Error> {
    let (compared, findings) = (RefCell::new(0), RefCell::new(Vec::new()));
    let compare = async |history: History| {
        let (aggregate_id, newest) = (history.aggregate_id, history.newest());
        let found = match rows_of::<R>(store, history).await {
            Ok(None) => return Ok(()),
            Ok(Some(rows)) => table.compare(Expected::new(store, aggregate_id, rows), mode).await?,
            Err(error) => vec![unreadable(aggregate_id, newest, error)?],
        };
        findings.borrow_mut().extend(found);
        *compared.borrow_mut() += 1;
        Ok::<(), Error>(())
    };
    let label = model.label();
    let bookmark = (mode == Mode::Repair).then_some(label.as_str());
    let seen = histories::each(store, bookmark, &label, scan, compare).await?;
    let mut report = Report::new(model, seen);
    report.compared = compared.into_inner();
    report.findings = settled(store, table, findings.into_inner()).await?;
    let extra = (0..scan.segments).map(|number| extra(store, table, Segment { number, total: scan.segments }, mode));
    report.findings.extend(try_join_all(extra).await?.into_iter().flatten());
    report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
    Ok(report)
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

/// Rows of aggregates that have no events.
async fn extra<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    segment: Segment,
    mode: Mode,
) -> Result<Vec<Finding>, Error> {
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let (ids, next) = table.keys().page(segment, after).await?;
        for id in ids {
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
pub async fn rows_of<R: Row>(store: &impl EventStore, history: History) -> Result<Option<Vec<R>>, ProjectError> {
    let newest = history.newest();
    let History { aggregate_id, commits } = history;
    if commits.iter().any(|commit| commit.aggregate_type != R::Event::AGGREGATE_TYPE) {
        return Ok(None);
    }
    let rows = match fold(None, &commits) {
        // The scan came upon it in pieces.
        Err(ProjectError::NoHistory { .. }) => catch_up(store, aggregate_id, None, newest).await?,
        rows => rows?,
    };
    Ok(Some(rows))
}
