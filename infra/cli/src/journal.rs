//! The journal, which has an entry of every event.

use std::cell::RefCell;

use aws::{DynamoEventStore, Finding, Journal, Kind, Mode, Segment};
use eventing::{Commit, EventStore, Host, System};
use futures_util::{StreamExt, future::try_join_all, stream};

use crate::{
    Error, Scan,
    histories::{self, History},
    report::{Model, Report},
    rows::ON_ITS_WAY,
};

/// Compares all entries. Into an empty journal events enter at their own time, for nobody has read it yet; into any other one at the
/// time when they come, for readers may have passed their own.
pub async fn compare(store: &DynamoEventStore, journal: &Journal, mode: Mode, scan: Scan) -> Result<Report, Error> {
    let begins = mode == Mode::Repair && journal.is_empty().await?;
    let (compared, findings) = (RefCell::new(0), RefCell::new(Vec::new()));
    let compare = async |history: History| {
        for event in history.commits.iter().flat_map(Commit::envelopes) {
            let now = if begins { event.created_at } else { System.now() };
            let found = journal.compare(&event, now, mode).await?;
            findings.borrow_mut().extend(found.map(|found| (found, event)));
            *compared.borrow_mut() += 1;
        }
        Ok::<(), Error>(())
    };
    // Whether it began empty is not to be seen any more in a second run, so this one begins anew each time.
    let bookmark = (mode == Mode::Repair && !begins).then_some("journal");
    let seen = histories::each(store, bookmark, "journal", scan, compare).await?;
    let mut report = Report::new(Model::Journal, seen);
    report.compared = compared.into_inner();
    let findings = findings.into_inner();
    if findings.iter().any(|(finding, _)| !finding.repaired && finding.kind == Kind::Missing) {
        System.sleep(ON_ITS_WAY).await;
    }
    for (finding, event) in findings {
        let still = if finding.repaired { Some(finding) } else { journal.compare(&event, System.now(), mode).await? };
        report.findings.extend(still);
    }
    let extra = (0..scan.segments).map(|number| extra(store, journal, Segment { number, total: scan.segments }, mode));
    report.findings.extend(try_join_all(extra).await?.into_iter().flatten());
    report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
    Ok(report)
}

/// Entries of events that are not recorded.
async fn extra(
    store: &DynamoEventStore,
    journal: &Journal,
    segment: Segment,
    mode: Mode,
) -> Result<Vec<Finding>, Error> {
    const AT_ONCE: usize = 8;
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let (entries, next) = journal.events(segment, after).await?;
        let looks = stream::iter(entries).map(async |(position, event)| {
            let recorded = store.read(event.aggregate_id, event.version, 1).await?;
            if recorded.iter().flat_map(Commit::envelopes).any(|other| other.event_id == event.event_id) {
                return Ok(None);
            }
            let repaired = mode == Mode::Repair;
            if repaired {
                journal.remove(&event, &position).await?;
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
