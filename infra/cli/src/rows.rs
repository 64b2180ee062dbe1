//! Read models whose rows are each of one aggregate: every row is compared with the fold of its own events.

use std::{cell::RefCell, time::Duration};

use aggregate::{AggregateId, Event, Row};
use aws::{Comparable, DynamoEventStore, Expected, Finding, Kind, Mode, Part};
use eventing::{Commit, EventStore, Host, ProjectError, System, catch_up, fold};
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
        let Some((aggregate_id, rows)) = rows_of::<R>(store, history).await? else { return Ok(()) };
        let found = table.compare(Expected::new(store, aggregate_id, rows), mode).await?;
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
    let extra = (0..scan.segments).map(|number| extra(store, table, Part { number, of: scan.segments }, mode));
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
    part: Part,
    mode: Mode,
) -> Result<Vec<Finding>, Error> {
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let (ids, next) = table.keys().page(part, after).await?;
        for id in ids {
            if store.read(id, 1, 1).await?.is_empty() {
                findings.extend(table.compare(Expected::new(store, id, Vec::new()), mode).await?);
            }
        }
        after = next;
        if after.is_none() {
            return Ok(findings);
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
