//! The totals are sums over all accounts, so no sum can be put right by itself while events go on. They are rebuilt as the next
//! generation of the same table, which takes the place of the current one when it is complete.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aggregate::{AggregateId, Row, Tally};
use aws::{Contents, Counters, DynamoEventStore, Finding, GENERATION_KEPT, Generations, Kind};
use domain::TotalsRow;
use eventing::{Host, ReadTable, Saved, System};

use crate::{
    Error, Scan,
    histories::{self, History, Seen},
    report::{CounterFinding, Model, Report},
    rows::{rows_of, unreadable},
};

/// Looks at sums that are not read at one moment: a difference counts only if it is there twice in the same way.
const LOOKS_MAX: u32 = 4;

/// Sums by their place: the group with its shard, and what is counted.
type Sums = BTreeMap<(String, String), BTreeMap<String, i128>>;

/// One look at every account's row and every sum, compared with the events.
pub struct Look<'a> {
    store: &'a DynamoEventStore,
    contents: Contents,
    sums: RefCell<Sums>,
    compared: RefCell<BTreeSet<AggregateId>>,
    findings: RefCell<Vec<Finding>>,
}

impl<'a> Look<'a> {
    /// Begins with what the table has: the events are read after it, so that they have whatever it has.
    pub async fn begin(store: &'a DynamoEventStore, table: &Counters) -> Result<Self, Error> {
        let (compared, findings) = (RefCell::default(), RefCell::default());
        Ok(Self { store, contents: table.contents().await?, sums: RefCell::default(), compared, findings })
    }

    /// Compares one account's row, and adds what the sums have of it.
    pub async fn history(&self, history: &History) -> Result<(), Error> {
        let aggregate_id = history.aggregate_id;
        let finding = match rows_of::<TotalsRow>(self.store, history).await {
            Ok(None) => return Ok(()),
            Ok(Some(rows)) => self.add(aggregate_id, &rows),
            Err(error) => Some(unreadable(aggregate_id, history.newest(), error)?),
        };
        self.findings.borrow_mut().extend(finding);
        self.compared.borrow_mut().insert(aggregate_id);
        Ok(())
    }

    fn add(&self, aggregate_id: AggregateId, rows: &[TotalsRow]) -> Option<Finding> {
        let version = self.contents.version(aggregate_id);
        let counted = rows.iter().take_while(|row| row.version() <= version);
        let mut sums = self.sums.borrow_mut();
        for addition in counted.clone().flat_map(Tally::additions) {
            let counts = sums.entry(Contents::place(aggregate_id, &addition)).or_default();
            *counts.entry(addition.counter.to_owned()).or_default() += i128::from(addition.amount);
        }
        let newest = rows.last().map_or(0, Row::version);
        let kind = match counted.last() {
            Some(row) if row.version() != version || !self.contents.has(row) => Kind::Different,
            Some(_) if version < newest => Kind::Behind,
            Some(_) => return None,
            None => Kind::Missing,
        };
        Some(Finding { aggregate_id, version: newest, kind, repaired: false })
    }

    /// What this look has come to.
    pub fn report(self, seen: Seen) -> Report {
        let (contents, compared) = (self.contents, self.compared.into_inner());
        let mut report = Report::new(Model::Totals, seen);
        report.findings = self.findings.into_inner();
        let extra = contents.aggregates().filter(|id| !compared.contains(id));
        report.findings.extend(extra.map(|aggregate_id| Finding {
            aggregate_id,
            version: contents.version(aggregate_id),
            kind: Kind::Extra,
            repaired: false,
        }));
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        report.compared = compared.len() as u64;
        report.counters = differences(&contents, &self.sums.into_inner());
        report
    }
}

/// Looks until all is well, or differs twice in the same way; `first` is what was seen already.
pub async fn confirm(store: &DynamoEventStore, table: &Counters, scan: Scan, first: Report) -> Result<Report, Error> {
    let mut last = first;
    for _ in 1..LOOKS_MAX {
        if last.is_well() {
            return Ok(last);
        }
        System.sleep(GENERATION_KEPT).await;
        let report = look(store, table, scan).await?;
        if last.findings == report.findings && last.counters == report.counters {
            return Ok(report);
        }
        last = report;
    }
    if last.is_well() {
        return Ok(last);
    }
    Err("so much goes on that the totals never stood still; try again at a quieter time, or rebuild them".into())
}

async fn look(store: &DynamoEventStore, table: &Counters, scan: Scan) -> Result<Report, Error> {
    let look = Look::begin(store, table).await?;
    let seen = histories::each(store, None, "totals", scan, async |history: History| look.history(&history).await);
    let seen = seen.await?;
    Ok(look.report(seen))
}

/// Rebuilds the totals where anything differs.
pub async fn repair(store: &DynamoEventStore, table: &Counters, scan: Scan) -> Result<Report, Error> {
    let verify = async || confirm(store, table, scan, look(store, table, scan).await?).await;
    let before = verify().await?;
    if before.is_well() {
        return Ok(before);
    }
    rebuild(store, table, scan).await?;
    let mut after = verify().await?;
    after.findings.extend(before.findings.into_iter().map(|finding| Finding { repaired: true, ..finding }));
    Ok(after)
}

/// The counters that are not what they should be. One that is missing is zero.
fn differences(contents: &Contents, sums: &Sums) -> Vec<CounterFinding> {
    let names = |counts: &Sums| {
        let names =
            counts.iter().flat_map(|(place, counts)| counts.keys().map(move |name| (place.clone(), name.clone())));
        names.collect::<Vec<_>>()
    };
    let mut all = [names(&contents.counters), names(sums)].concat();
    all.sort();
    all.dedup();
    let value = |counts: &Sums, place: &(String, String), name: &String| {
        counts.get(place).and_then(|counts| counts.get(name)).copied().unwrap_or_default()
    };
    let finding = |(place, counter): ((String, String), String)| {
        let (is, should_be) = (value(&contents.counters, &place, &counter), value(sums, &place, &counter));
        let (group, of) = place;
        (is != should_be).then_some(CounterFinding { group, of, counter, is, should_be })
    };
    all.into_iter().filter_map(finding).collect()
}

/// After this, nobody writes the old generation any more: who has just looked may begin a last write, and that takes four
/// seconds at most (`aws::timeouts`); two more for clocks and luck.
const ALL_HAVE_SEEN_IT: Duration = GENERATION_KEPT.saturating_add(Duration::from_secs(6));

/// Builds the next generation, puts it in the place of the current one, and brings in what happened meanwhile.
pub async fn rebuild(store: &DynamoEventStore, table: &Counters, scan: Scan) -> Result<Report, Error> {
    let mut generations = table.generations().await?;
    let mut report = Report::new(Model::Totals, Seen::default());
    if generations.leaving.is_none() {
        let next = generations.building.unwrap_or(generations.current + 1);
        generations = change(table, generations, Generations { building: Some(next), ..generations }).await?;
        report = build(store, &table.of_generation(next), &format!("rebuild-totals-{next}"), scan).await?;
        let leaving = Some(generations.current);
        generations = change(table, generations, Generations { current: next, building: None, leaving }).await?;
    }
    if let Some(leaving) = generations.leaving {
        // Until everybody has seen it, some still write the old one; what they do there is done here once more.
        eprintln!("the new totals are in use; bringing in what happened meanwhile");
        System.sleep(ALL_HAVE_SEEN_IT).await;
        let current = generations.current;
        report = build(store, &table.of_generation(current), &format!("settle-totals-{current}"), scan).await?;
        table.forget(leaving).await?;
        change(table, generations, Generations { leaving: None, ..generations }).await?;
    }
    Ok(report)
}

async fn change(table: &Counters, seen: Generations, now: Generations) -> Result<Generations, Error> {
    if seen == now || table.change_generations(seen, now).await? {
        return Ok(now);
    }
    Err("somebody else is rebuilding the totals".into())
}

async fn build(store: &DynamoEventStore, table: &Counters, name: &str, scan: Scan) -> Result<Report, Error> {
    let compared = Cell::new(0);
    let work = async |history: History| {
        let aggregate_id = history.aggregate_id;
        // One that cannot be read ends this: sums without it would be wrong.
        let Some(rows) = rows_of::<TotalsRow>(store, &history).await? else { return Ok(()) };
        compared.set(compared.get() + 1);
        bring_up(table, aggregate_id, &rows).await
    };
    let seen = histories::each(store, Some(name), "totals", scan, work).await?;
    Ok(Report { compared: compared.get(), ..Report::new(Model::Totals, seen) })
}

/// Brings the account's row, and with it the counters, up to the last of `rows` at least.
async fn bring_up(table: &Counters, aggregate_id: AggregateId, rows: &[TotalsRow]) -> Result<(), Error> {
    loop {
        let row: Option<TotalsRow> = table.latest(aggregate_id).await?;
        let at = row.as_ref().map_or(0, Row::version);
        let more: Vec<_> = rows.iter().filter(|row| row.version() > at).cloned().collect();
        if more.is_empty() || table.save(at, &more).await? == Saved::Written {
            return Ok(());
        }
    }
}
