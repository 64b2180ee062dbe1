//! The totals are sums over all accounts, so no sum can be put right by itself while events go on. They are rebuilt as the next
//! generation of the same table, which takes the place of the current one when it is complete.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aggregate::{AggregateId, Row, Tally};
use aws::{Contents, Counters, DynamoEventStore, Finding, GENERATION_KEPT, Generations, Kind, OPERATION_TIMEOUT};
use domain::TotalsRow;
use eventing::{Host, ReadTable, Saved, System};

use crate::{
    Error, Scan, Verdict,
    histories::{self, History, Seen},
    output::note,
    report::{CounterFinding, Model, Report},
    rows::{ON_ITS_WAY, rows_of, unreadable},
};

/// How often the totals are looked at. They are not read at one moment, and events go on, so a difference counts only if it stays.
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
    pub async fn history(&self, history: &History) -> Result<Verdict, Error> {
        let aggregate_id = history.aggregate_id;
        let finding = match rows_of::<TotalsRow>(self.store, history).await {
            Ok(None) => return Ok(Verdict::Well),
            Ok(Some(rows)) => self.add(aggregate_id, &rows)?,
            Err(error) => {
                // Looked at or not, it has events.
                self.compared.borrow_mut().insert(aggregate_id);
                Some(unreadable(aggregate_id, history.newest(), error)?)
            }
        };
        let verdict = Verdict::of(finding.is_none());
        self.findings.borrow_mut().extend(finding);
        self.compared.borrow_mut().insert(aggregate_id);
        Ok(verdict)
    }

    fn add(&self, aggregate_id: AggregateId, rows: &[TotalsRow]) -> Result<Option<Finding>, Error> {
        let version = self.contents.version(aggregate_id);
        let counted = rows.iter().take_while(|row| row.version() <= version);
        let mut sums = self.sums.borrow_mut();
        for addition in counted.clone().flat_map(Tally::additions) {
            let counts = sums.entry(Contents::place(aggregate_id, &addition)).or_default();
            *counts.entry(addition.counter.to_owned()).or_default() += i128::from(addition.amount);
        }
        let newest = rows.last().map_or(0, Row::version);
        let last = counted.last();
        let differences = last.map(|row| self.contents.differences(row)).transpose()?.unwrap_or_default();
        let kind = match last {
            Some(_) if !differences.is_empty() => Kind::Different,
            Some(_) if version < newest => Kind::Behind,
            Some(_) => return Ok(None),
            None => Kind::Missing,
        };
        Ok(Some(Finding { aggregate_id, version: newest, kind, at: version, repaired: false, differences }))
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
            at: contents.version(aggregate_id),
            repaired: false,
            differences: Vec::new(),
        }));
        report.findings.sort_by_key(|finding| (finding.aggregate_id, finding.version));
        report.compared = compared.len() as u64;
        // Without an account that failed, the sums of the events are not known.
        if seen.failed == 0 {
            report.counters = differences(&contents, &self.sums.into_inner());
        }
        report
    }
}

/// What was there before and still is after another look.
fn and_still(before: Report, next: Report) -> Report {
    let now: BTreeMap<AggregateId, &Finding> =
        next.findings.iter().map(|finding| (finding.aggregate_id, finding)).collect();
    let stays = |finding: &Finding| {
        let still = now.get(&finding.aggregate_id).filter(|now| now.kind == finding.kind);
        // A row that lacked an event has it if it has come that far; the next one is on its way.
        let may_come = matches!(finding.kind, Kind::Behind | Kind::Missing);
        still.is_some_and(|now| !may_come || now.at < finding.version)
    };
    let findings = before.findings.into_iter().filter(stays).collect();
    let before = before.counters;
    let mut counters = next.counters;
    counters.retain(|now| before.iter().any(|before| before.is_same_place(now)));
    for counter in &mut counters {
        // A sum that moves while it is read differs by something else each time.
        counter.is_certain = before.iter().any(|before| before.is_same_difference(counter));
    }
    Report { findings, counters, ..next }
}

/// Looks again until all is well, or what differs stays as it is.
pub async fn confirm(store: &DynamoEventStore, table: &Counters, scan: Scan, first: Report) -> Result<Report, Error> {
    let mut report = first;
    for look_number in 1..LOOKS_MAX {
        let is_certain = look_number > 1 && report.counters.iter().all(|counter| counter.is_certain);
        if report.is_well() || is_certain {
            break;
        }
        System.sleep(ON_ITS_WAY).await;
        report = and_still(report, look(store, table, scan).await?);
    }
    let uncertain = report.counters.iter().filter(|counter| !counter.is_certain).count();
    report.counters.retain(|counter| counter.is_certain);
    if uncertain > 0 && report.is_well() {
        let why = "so much goes on that they never stood still; try again at a quieter time, or rebuild the totals";
        return Err(format!("{uncertain} sums cannot be compared: {why}").into());
    }
    Ok(report)
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
        (is != should_be).then_some(CounterFinding { group, of, counter, is, should_be, is_certain: false })
    };
    all.into_iter().filter_map(finding).collect()
}

/// How much longer than it should a process may take until it begins its last write.
const PROCESS_PAUSE_MAX: Duration = Duration::from_secs(2);
/// After this, nobody writes the old generation any more: a process that has just looked which one is current may begin a last write.
const ALL_HAVE_SEEN_IT: Duration = GENERATION_KEPT.saturating_add(OPERATION_TIMEOUT).saturating_add(PROCESS_PAUSE_MAX);

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
        note("the new totals are in use; bringing in what happened meanwhile");
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
        let Some(rows) = rows_of::<TotalsRow>(store, &history).await? else { return Ok(Verdict::Well) };
        compared.set(compared.get() + 1);
        bring_up(table, aggregate_id, &rows).await?;
        Ok(Verdict::Well)
    };
    let seen = histories::each(store, Some(name), "totals", scan, work).await?;
    let Seen { unreadable, failed, .. } = seen;
    if unreadable + failed > 0 {
        let why = "sums without them would be wrong. Run the command again when that is mended";
        return Err(format!("{unreadable} items cannot be read and {failed} accounts could not be added: {why}").into());
    }
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

#[cfg(test)]
mod tests {
    use aggregate::Version;
    use uuid::Uuid;

    use super::*;

    fn looked(behind: &[(u128, Version, Version)], counters: &[(&str, i128)]) -> Report {
        let finding = |(id, at, version): &(u128, Version, Version)| Finding {
            aggregate_id: AggregateId(Uuid::from_u128(*id)),
            version: *version,
            kind: Kind::Behind,
            at: *at,
            repaired: false,
            differences: Vec::new(),
        };
        let counter = |(of, is): &(&str, i128)| CounterFinding {
            group: "now#0".to_owned(),
            of: (*of).to_owned(),
            counter: "money_held".to_owned(),
            is: *is,
            should_be: 0,
            is_certain: false,
        };
        let (findings, counters) = (behind.iter().map(finding).collect(), counters.iter().map(counter).collect());
        Report { findings, counters, ..Report::new(Model::Totals, Seen::default()) }
    }

    #[test]
    fn what_moves_on_between_two_looks_is_well_and_what_stays_is_not() {
        // One row stands still while its account goes on; the other lacks only what came since.
        let before = looked(&[(1, 3, 5), (2, 3, 5)], &[("EUR", 7), ("JPY", 4), ("USD", 1)]);
        let after = and_still(before, looked(&[(1, 3, 9), (2, 8, 9)], &[("EUR", 7), ("JPY", 9)]));
        assert_eq!(after.findings.len(), 1);
        assert_eq!(after.findings[0].aggregate_id, AggregateId(Uuid::from_u128(1)));
        let counters: Vec<_> = after.counters.iter().map(|found| (found.of.as_str(), found.is_certain)).collect();
        assert_eq!(counters, [("EUR", true), ("JPY", false)]);
    }
}
