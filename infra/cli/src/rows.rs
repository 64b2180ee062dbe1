//! Read models whose rows are each of one aggregate: every row is compared with the fold of its own events.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    time::Duration,
};

use aggregate::{AggregateId, Event, Row, Version};
use aws::{Comparable, DynamoEventStore, Expected, Finding, Kind, Mode, Segment};
use eventing::{EventStore, Host, ProjectError, ReadError, System, catch_up, fold};
use futures_util::future::join_all;

use crate::{
    Error, Scan, Verdict,
    histories::{History, Seen},
    output::note,
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
    pub async fn history(&self, history: &History) -> Result<Verdict, Error> {
        let aggregate_id = history.aggregate_id;
        let found = match rows_of::<R>(self.store, history).await {
            Ok(None) => return Ok(Verdict::Well),
            Ok(Some(rows)) => self.table.compare(Expected::new(self.store, aggregate_id, rows), self.mode).await?,
            Err(error) => vec![unreadable(aggregate_id, history.newest(), error)?],
        };
        let verdict = Verdict::of(found.iter().all(|finding| finding.repaired));
        self.findings.borrow_mut().extend(found);
        self.compared.borrow_mut().insert(aggregate_id);
        Ok(verdict)
    }

    /// What all of it has come to.
    pub async fn report(self, model: Model, seen: Seen, scan: Scan) -> Result<Report, Error> {
        let mut report = Report::new(model, seen);
        report.compared = self.compared.borrow().len() as u64;
        settled(self.store, self.table, self.findings.take(), &mut report).await;
        let compared = self.compared.take();
        let segments = (0..scan.segments).map(|number| Segment { number, total: scan.segments });
        let extra = segments.map(|segment| extra(self.store, self.table, &compared, segment, self.mode));
        for extra in join_all(extra).await {
            let extra = extra?;
            report.findings.extend(extra.findings);
            report.rows_unreadable += extra.unreadable;
            report.seen.failed += extra.failed;
        }
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        Ok(report)
    }
}

/// Puts into `report` the findings without those that were only a matter of events on their way.
async fn settled<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    findings: Vec<Finding>,
    report: &mut Report,
) {
    let may_settle = |finding: &Finding| !finding.repaired && matches!(finding.kind, Kind::Behind | Kind::Missing);
    let (unsettled, mut settled): (Vec<_>, Vec<_>) = findings.into_iter().partition(may_settle);
    if unsettled.is_empty() {
        report.findings = settled;
        return;
    }
    System.sleep(ON_ITS_WAY).await;
    let mut again: BTreeMap<AggregateId, Version> = BTreeMap::new();
    for finding in unsettled {
        let known = again.entry(finding.aggregate_id).or_default();
        *known = finding.version.max(*known);
    }
    // All of what is found of these the second time is what counts.
    settled.retain(|finding| finding.repaired || !again.contains_key(&finding.aggregate_id));
    for (id, known) in again {
        let still = async {
            let rows = catch_up::<R>(store, id, None, known).await?;
            table.compare(Expected::new(store, id, rows), Mode::Verify).await
        };
        let still = match still.await {
            Ok(still) => still,
            Err(error) => {
                note(&format!("{id}: {}", eventing::causes(&error)));
                report.seen.failed += 1;
                continue;
            }
        };
        // Newer events may be on their way by now. What was missing before has come if the rows have come that far without a hole.
        let is_hole = |finding: &Finding| finding.kind == Kind::Missing && finding.version <= finding.at;
        let is_wrong = |finding: &Finding| finding.at < known || !may_settle(finding) || is_hole(finding);
        settled.extend(still.into_iter().filter(is_wrong));
    }
    report.findings = settled;
}

/// What rows without events have come to, in one segment.
#[derive(Default)]
struct Extra {
    findings: Vec<Finding>,
    /// Keys that are no aggregate's id.
    unreadable: u64,
    /// Aggregates of which something did not answer.
    failed: u64,
}

/// Rows of aggregates that have no events: of others than those that were compared, which have some.
async fn extra<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    compared: &BTreeSet<AggregateId>,
    segment: Segment,
    mode: Mode,
) -> Result<Extra, Error> {
    let (mut extra, mut after) = (Extra::default(), None);
    loop {
        let (ids, next) = table.keys().page(segment, after).await?;
        for id in ids {
            match id {
                Ok(id) if compared.contains(&id) => {}
                Ok(id) => match extra_of(store, table, id, mode).await {
                    Ok(found) => extra.findings.extend(found),
                    Err(error) => {
                        note(&format!("{id}: {}", eventing::causes(&*error)));
                        extra.failed += 1;
                    }
                },
                Err(error) => {
                    note(&eventing::causes(&error));
                    extra.unreadable += 1;
                }
            }
        }
        after = next;
        if after.is_none() {
            return Ok(extra);
        }
    }
}

async fn extra_of<R: Row>(
    store: &DynamoEventStore,
    table: &impl Comparable<R>,
    id: AggregateId,
    mode: Mode,
) -> Result<Vec<Finding>, Error> {
    let expected = match store.read(id, 1, 1).await.map(|commits| commits.into_iter().next()) {
        Ok(None) => Expected::new(store, id, Vec::new()),
        Ok(Some(first)) if first.aggregate_type != R::Event::AGGREGATE_TYPE => Expected::nothing(id),
        // Found with the others, or new.
        Ok(Some(_)) | Err(ReadError::Corrupt(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    Ok(table.compare(expected, mode).await?)
}

/// An aggregate whose history this code cannot read: said, and no reason to leave the others alone.
///
/// # Errors
/// Any other error.
pub fn unreadable(aggregate_id: AggregateId, version: Version, error: ProjectError) -> Result<Finding, Error> {
    match error {
        ProjectError::Unreadable(_)
        | ProjectError::NoHistory { .. }
        | ProjectError::Read(ReadError::Corrupt(_) | ReadError::AnotherType) => {
            note(&format!("{aggregate_id}: {}", eventing::causes(&error)));
            let (kind, differences) = (Kind::Unreadable, Vec::new());
            Ok(Finding { aggregate_id, version, kind, at: 0, repaired: false, differences })
        }
        other => Err(other.into()),
    }
}

/// The rows of a history; nothing for an aggregate of another type.
pub async fn rows_of<R: Row>(store: &impl EventStore, history: &History) -> Result<Option<Vec<R>>, ProjectError> {
    let History { aggregate_id, commits } = history;
    if commits.iter().all(|commit| commit.aggregate_type != R::Event::AGGREGATE_TYPE) {
        return Ok(None);
    }
    let rows = match fold(None, commits) {
        // The scan came upon it in pieces.
        Err(ProjectError::NoHistory { .. }) => catch_up(store, *aggregate_id, None, history.newest()).await?,
        rows => rows?,
    };
    Ok(Some(rows))
}

#[cfg(test)]
mod tests {
    use ::tests::{Engine, commit};
    use aws::CurrentRows;
    use domain::AccountRow;
    use eventing::{Commit, ReadTable};
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_row_that_stands_still_is_found_though_its_account_goes_on() {
        let engine = Engine::start().await;
        let store = DynamoEventStore::new(engine.client.clone(), "events");
        let table = CurrentRows::new(engine.client.clone(), "accounts", "account_id");
        let [still, moving] = [1, 2].map(|id| AggregateId(Uuid::from_u128(id)));
        let comparison = Comparison::<AccountRow, _>::new(&store, &table, Mode::Verify);
        let rows = async |id, commits: &[Commit]| {
            let rows: Vec<AccountRow> = fold(None, commits).unwrap();
            table
                .save(table.latest(id).await.unwrap().map_or(0, |row: AccountRow| row.version()), &rows)
                .await
                .unwrap();
        };
        let mut all = Vec::new();
        for aggregate_id in [still, moving] {
            let commits: Vec<Commit> = (1..=4).map(|version| commit(aggregate_id, version)).collect();
            for commit in &commits[..3] {
                store.append(commit).await.unwrap();
            }
            rows(aggregate_id, &commits[..2]).await;
            comparison.history(&History { aggregate_id, commits: commits[..3].to_vec() }).await.unwrap();
            all.push(commits);
        }
        // Another event of each comes while the comparison waits for those that were on their way; only one projector is at work.
        for commits in &all {
            store.append(&commits[3]).await.unwrap();
        }
        rows(moving, &all[1][..3]).await;
        let report = comparison.report(Model::Accounts, Seen::default(), Scan { segments: 1 }).await.unwrap();
        let found: Vec<_> = report.findings.iter().map(|finding| (finding.aggregate_id, finding.kind)).collect();
        assert_eq!(found, [(still, Kind::Behind)]);
    }

    #[tokio::test]
    async fn a_row_under_the_id_of_another_kind_of_aggregate_is_extra_and_is_taken_out() {
        let engine = Engine::start().await;
        let store = DynamoEventStore::new(engine.client.clone(), "events");
        let table = CurrentRows::new(engine.client.clone(), "accounts", "account_id");
        let id = AggregateId(Uuid::from_u128(1));
        let rows: Vec<AccountRow> = fold(None, &[commit(id, 1)]).unwrap();
        table.save(0, &rows).await.unwrap();
        store.append(&Commit { aggregate_type: "Transaction".to_owned(), ..commit(id, 1) }).await.unwrap();
        for (mode, found) in [(Mode::Verify, 1), (Mode::Repair, 1), (Mode::Verify, 0)] {
            let comparison = Comparison::<AccountRow, _>::new(&store, &table, mode);
            let report = comparison.report(Model::Accounts, Seen::default(), Scan { segments: 1 }).await.unwrap();
            assert_eq!(report.findings.iter().filter(|finding| finding.kind == Kind::Extra).count(), found);
        }
    }
}
