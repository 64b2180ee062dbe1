//! Read tables that know what each of their rows must be, and the journal.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aggregate::{AggregateId, Envelope, Row, Version};
use domain::TransactionRow;
use eventing::{JournalTable, Place, Placing, Position, ReadTable, Saved, TableError, shard};
use ledger::Ledger;
use transaction_process::{OpenTransactions, PARTS};
use uuid::Uuid;

use crate::{
    machine::{Fault, Machine},
    mutants::Mutant,
    ports::{Shared, lost},
};

/// A read table; clones are the same one.
#[derive(Debug, Clone)]
pub struct Table<R> {
    machine: Machine,
    mutant: Option<Mutant>,
    shared: Arc<Mutex<Shared>>,
    rows: Arc<Mutex<BTreeMap<AggregateId, R>>>,
    /// The points at which each aggregate got its first row.
    entered: Arc<Mutex<BTreeMap<AggregateId, u64>>>,
    expected: fn(&Ledger) -> &BTreeMap<AggregateId, Vec<R>>,
}

impl<R: Row + PartialEq + Debug> Table<R> {
    /// An empty one; `expected` says where the checker has its rows.
    pub fn new(
        machine: &Machine,
        mutant: Option<Mutant>,
        shared: &Arc<Mutex<Shared>>,
        expected: fn(&Ledger) -> &BTreeMap<AggregateId, Vec<R>>,
    ) -> Self {
        let (machine, shared) = (machine.clone(), Arc::clone(shared));
        Self { machine, mutant, shared, rows: Arc::default(), entered: Arc::default(), expected }
    }

    /// The rows. Never held over a point.
    pub fn rows(&self) -> MutexGuard<'_, BTreeMap<AggregateId, R>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose rows these are; every row is the fold of its aggregate's events up to its version (I13).
    fn check(&self, rows: &[R]) -> AggregateId {
        let shared = self.shared();
        let is = |all: &[R], row: &R| all.get(usize::try_from(row.version() - 1).unwrap_or(usize::MAX)) == Some(row);
        let of = (self.expected)(&shared.ledger).iter().find(|(_, all)| rows.iter().all(|row| is(all, row)));
        *of.expect("I13: a row that is not the fold of its events").0
    }

    /// Every aggregate's newest row is the fold of all its events (I13 at rest).
    pub fn check_complete(&self) {
        let shared = self.shared();
        let rows = self.rows();
        for (id, expected) in (self.expected)(&shared.ledger) {
            assert_eq!(rows.get(id), expected.last(), "I13, I16: the row of {id} is behind for ever");
        }
    }

    /// The row, or what was there some time ago.
    pub fn perhaps_stale(&self, id: AggregateId, row: R) -> Option<R> {
        if !self.machine.fault(Fault::Stale) {
            return Some(row);
        }
        let before = self.machine.state().rng.u64(0..row.version());
        let place = usize::try_from(before.checked_sub(1)?).ok()?;
        (self.expected)(&self.shared().ledger).get(&id)?.get(place).cloned()
    }

    /// The aggregate's version by an eventually consistent read, or by another.
    pub fn version(&self, id: AggregateId, consistent: bool) -> Version {
        let newest = self.rows().get(&id).map_or(0, Row::version);
        if newest == 0 || consistent || !self.machine.fault(Fault::Stale) {
            return newest;
        }
        self.machine.state().rng.u64(0..newest)
    }

    /// What the rows of an aggregate are, up to a version, as the checker has them.
    pub fn rows_up_to<T>(&self, id: AggregateId, version: Version, read: impl FnOnce(&[R]) -> T) -> T {
        let shared = self.shared();
        let rows = (self.expected)(&shared.ledger).get(&id).map(Vec::as_slice).unwrap_or_default();
        read(&rows[..rows.len().min(usize::try_from(version).unwrap_or(usize::MAX))])
    }

    /// Whether the aggregate got its first row so many points ago, at least.
    pub fn has_had(&self, id: AggregateId, points: u64) -> bool {
        let entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        let now = self.machine.state().points;
        entered.is_some_and(|entered| entered + points <= now)
    }

    /// Chance, time and points.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Whether this guard is taken away.
    pub fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A request of a query: it takes its time, and may be lost.
    pub async fn read(&self) -> Result<(), TableError> {
        self.machine.read_point().await;
        if self.machine.fault(Fault::LostBefore) { Err(TableError::Unavailable(lost())) } else { Ok(()) }
    }

    /// The rows as if they had changed at the moment.
    fn of_now(&self, rows: &[R]) -> Vec<R> {
        let of_now = |row: &R| {
            let mut json = serde_json::to_value(row).ok()?;
            *json.get_mut("updated_at")? = serde_json::to_value(self.machine.true_time()).ok()?;
            serde_json::from_value(json).ok()
        };
        rows.iter().map(|row| of_now(row).unwrap_or_else(|| row.clone())).collect()
    }

    fn save_now(&self, previous: Version, rows: &[R], id: AggregateId) -> Saved {
        let mut all = self.rows();
        let at = all.get(&id).map_or(0, Row::version);
        if at != previous && self.mutant != Some(Mutant::RowsWithoutCondition) {
            return Saved::Stale;
        }
        let last = rows.last().expect("rows to save");
        assert!(last.version() >= at, "I13: the row of {id} went back from {at} to {}", last.version());
        let kind = std::any::type_name::<R>().rsplit(':').next().unwrap_or_default();
        self.machine.note(|| format!("  {kind} of {id} is of version {}", last.version()), last.version());
        all.insert(id, last.clone());
        let points = self.machine.state().points;
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(points);
        Saved::Written
    }
}

impl<R: Row + PartialEq + Debug> ReadTable<R> for Table<R> {
    async fn latest(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        self.machine.point().await;
        if self.machine.fault(Fault::LostBefore) {
            return Err(TableError::Unavailable(lost()));
        }
        Ok(self.rows().get(&aggregate_id).cloned())
    }

    async fn save(&self, previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        self.machine.point().await;
        if self.machine.fault(Fault::LostBefore) {
            return Err(TableError::Unavailable(lost()));
        }
        if self.machine.fault(Fault::Contended) {
            return Ok(Saved::Stale);
        }
        if rows.len() > 1 && self.machine.fault(Fault::LostBefore) {
            // Between two of them: what is saved is a beginning.
            let saved = &rows[..self.machine.state().rng.usize(1..rows.len())];
            let _ = self.save_now(previous, saved, self.check(saved));
            return Err(TableError::Unavailable(lost()));
        }
        let written = if self.mutant == Some(Mutant::RowsReadTheClock) { &self.of_now(rows)[..] } else { rows };
        let saved = self.save_now(previous, written, self.check(written));
        self.machine.point().await;
        if self.machine.fault(Fault::LostAfter) { Err(TableError::Unavailable(lost())) } else { Ok(saved) }
    }
}

impl OpenTransactions for Table<TransactionRow> {
    async fn part(&self, part: u8) -> Result<Vec<Result<Place, TableError>>, TableError> {
        self.machine.point().await;
        if self.machine.fault(Fault::LostBefore) {
            return Err(TableError::Unavailable(lost()));
        }
        // An index is eventually consistent.
        let rows = self.rows().clone().into_iter().filter(|(id, _)| id.0.as_bytes()[0] % PARTS == part);
        let seen = rows.filter_map(|(id, row)| self.perhaps_stale(id, row));
        let place = |row: TransactionRow| Some((row.created_at.to_string(), row.under_way?));
        Ok(seen.filter_map(place).map(Ok).collect())
    }
}

/// The journal; clones are the same one.
#[derive(Debug, Clone)]
pub struct Journal {
    machine: Machine,
    mutant: Option<Mutant>,
    entries: Arc<Mutex<Entries>>,
}

/// Events, and notes, which have none; each with its shard.
pub type Entries = BTreeMap<Position, (u8, Option<Envelope>)>;

/// A write that takes longer than this is given up by the SDK (`shared/aws/src/config.rs`), and never arrives.
const WRITE_MICROS_MAX: i64 = 4_000_000;

impl Journal {
    /// An empty one.
    pub fn new(machine: &Machine, mutant: Option<Mutant>) -> Self {
        Self { machine: machine.clone(), mutant, entries: Arc::default() }
    }

    /// Everything in it. Never held over a point.
    pub fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this guard is taken away.
    pub fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A request of a query: it takes its time, and may be lost.
    pub async fn read(&self) -> Result<(), TableError> {
        self.machine.read_point().await;
        if self.machine.fault(Fault::LostBefore) { Err(TableError::Unavailable(lost())) } else { Ok(()) }
    }

    /// Every event is there once (I16).
    pub fn check_complete(&self, ledger: &Ledger) {
        let mut all: Vec<Uuid> = ledger.events.iter().map(|event| event.event_id).collect();
        let entries = self.entries();
        let mut entered: Vec<Uuid> =
            entries.values().filter_map(|(_, event)| event.as_ref()).map(|event| event.event_id).collect();
        for ids in [&mut all, &mut entered] {
            ids.sort_unstable();
        }
        assert_eq!(entered, all, "I16: the journal does not have every event once");
    }
}

impl JournalTable for Journal {
    async fn put(&self, event: &Envelope, placing: &Placing) -> Result<bool, TableError> {
        let began = self.machine.true_time().as_micros();
        self.machine.point().await;
        let too_late = self.machine.true_time().as_micros() - began > WRITE_MICROS_MAX;
        if too_late || self.machine.fault(Fault::LostBefore) {
            return Err(TableError::Unavailable(lost()));
        }
        let is_new = {
            let entries = &mut *self.entries();
            let shard = shard(event.aggregate_id);
            let own = match placing {
                Placing::OnTime(own) | Placing::Late { own, .. } => own,
            };
            let is_new = !entries.contains_key(own);
            match placing {
                _ if !is_new => {}
                Placing::OnTime(own) => drop(entries.insert(own.clone(), (shard, Some(event.clone())))),
                Placing::Late { own, enters } => {
                    if self.mutant != Some(Mutant::LateWithoutNote) {
                        entries.insert(own.clone(), (shard, None));
                    }
                    entries.insert(enters.clone(), (shard, Some(event.clone())));
                }
            }
            is_new
        };
        self.machine.point().await;
        if self.machine.fault(Fault::LostAfter) { Err(TableError::Unavailable(lost())) } else { Ok(is_new) }
    }
}
