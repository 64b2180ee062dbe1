//! The ports of `eventing` over the machine, with every fault that AWS has: requests and answers that are lost, requests that
//! arrive when nobody waits for them any more, refusals by the bus. A mutant takes one guard away.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aggregate::{AggregateId, CommandId, Envelope, Row, Version};
use domain::{AccountRow, StatementEntry, TotalsRow, TransactionRow};
use eventing::{
    AppendError, Bus, BusError, Commit, Entry, EventStore, MemoryStore, PublishLimits, ReadError, ReadTable, Saved,
    TableError, Tail,
};

use ledger::Ledger;

use crate::{machine::Machine, mutants::Mutant};

/// What stands still for everybody: the store, the stream, the bus and the tables.
#[derive(Debug, Default)]
pub struct Shared {
    /// Commits in the order in which the stream has them.
    pub stream: Vec<Commit>,
    /// Requests to append that nobody waits for any more.
    pub late: Vec<Commit>,
    /// Events that the bus has taken and not yet handed on.
    pub taken: Vec<Envelope>,
    /// Ids of all events that the bus has ever taken.
    pub published: std::collections::BTreeSet<uuid::Uuid>,
    /// The checker.
    pub ledger: Ledger,
}

/// The services, with the checker behind them; clones are the same ones.
#[derive(Debug, Clone)]
pub struct Services {
    /// Chance, time and points.
    pub machine: Machine,
    /// The guard that is taken away, if any.
    pub mutant: Option<Mutant>,
    store: Arc<MemoryStore>,
    shared: Arc<Mutex<Shared>>,
    /// The read models.
    pub accounts: Table<AccountRow>,
    /// Likewise.
    pub statement: Table<StatementEntry>,
    /// Likewise.
    pub totals: Table<TotalsRow>,
    /// Likewise.
    pub transactions: Table<TransactionRow>,
}

fn lost() -> Box<dyn std::error::Error + Send + Sync> {
    "lost".into()
}

impl Services {
    /// Empty ones.
    pub fn new(machine: &Machine, mutant: Option<Mutant>) -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        Self {
            accounts: Table::new(machine, mutant, &shared, |ledger| &ledger.account_rows),
            statement: Table::new(machine, mutant, &shared, |ledger| &ledger.statement_rows),
            totals: Table::new(machine, mutant, &shared, |ledger| &ledger.totals_rows),
            transactions: Table::new(machine, mutant, &shared, |ledger| &ledger.transaction_rows),
            machine: machine.clone(),
            mutant,
            store: Arc::default(),
            shared,
        }
    }

    /// What they share. Never held over a point.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request to append `commit` has its effect now.
    pub async fn take_effect(&self, commit: &Commit) -> Result<(), AppendError> {
        let outcome = self.store.append(commit).await;
        let unguarded = self.mutant == Some(Mutant::AppendWithoutCondition);
        let known = self.shared().ledger.version(commit.aggregate_id);
        let is_new = outcome.is_ok() && commit.version > known;
        if is_new || (unguarded && outcome.is_err()) {
            let fingerprint = u64::from_le_bytes(commit.aggregate_id.0.as_bytes()[..8].try_into().unwrap_or_default());
            let what = || {
                let types: Vec<&str> = commit.events.iter().map(|event| event.event_type.as_str()).collect();
                format!("{} {} {}", commit.aggregate_id, commit.version, types.join(" "))
            };
            self.machine.note(what, fingerprint ^ commit.version);
            let mut shared = self.shared();
            shared.ledger.record(commit);
            shared.stream.push(commit.clone());
        }
        if unguarded { Ok(()) } else { outcome }
    }

    async fn read_fault(&self) -> Result<(), ReadError> {
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_before) { Err(ReadError::Unavailable(lost())) } else { Ok(()) }
    }
}

impl EventStore for Services {
    async fn append(&self, commit: &Commit) -> Result<(), AppendError> {
        self.machine.point().await;
        if self.machine.fault(|rates| rates.late) {
            self.shared().late.push(commit.clone());
            return Err(AppendError::Unknown(lost()));
        }
        if self.machine.fault(|rates| rates.lost_before) {
            return Err(AppendError::Unknown(lost()));
        }
        let outcome = self.take_effect(commit).await;
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_after) {
            let unknown = AppendError::Unknown(lost());
            // Amazon's SDK can report a refused condition for our own earlier success.
            let mistaken = self.mutant == Some(Mutant::UnknownIsConflict);
            return Err(if mistaken { AppendError::Conflict } else { unknown });
        }
        outcome
    }

    async fn load(&self, aggregate_id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        self.read_fault().await?;
        let mut tail = self.store.load(aggregate_id, up_to, state_schema).await?;
        if self.mutant == Some(Mutant::StaleState)
            && let Some((version, _)) = &mut tail.state
            && tail.commits.is_empty()
            && *version > 2
        {
            // The newest state under the name of the one before it.
            tail.commits = self.store.read(aggregate_id, *version, 1).await?;
            *version -= 1;
        }
        Ok(tail)
    }

    async fn read(&self, id: AggregateId, from: Version, commits_max: usize) -> Result<Vec<Commit>, ReadError> {
        self.read_fault().await?;
        self.store.read(id, from, commits_max).await
    }

    async fn find_command(&self, id: AggregateId, command_id: CommandId) -> Result<Option<Commit>, ReadError> {
        self.read_fault().await?;
        if self.mutant == Some(Mutant::KeysAreForgotten) {
            return Ok(None);
        }
        self.store.find_command(id, command_id).await
    }
}

impl Bus for Services {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_before) {
            return Err(BusError(lost()));
        }
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.machine.fault(|rates| rates.refused) {
                let ignored = self.mutant == Some(Mutant::RefusedEntriesAreIgnored);
                answers.push((!ignored).then(|| "InternalFailure".to_owned()));
                continue;
            }
            let event: Envelope = serde_json::from_str(&entry.detail).map_err(|error| BusError(error.into()))?;
            let mut shared = self.shared();
            shared.published.insert(event.event_id);
            shared.taken.push(event);
            answers.push(None);
        }
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_after) { Err(BusError(lost())) } else { Ok(answers) }
    }
}

/// A read table that knows what each of its rows must be; clones are the same one.
#[derive(Debug, Clone)]
pub struct Table<R> {
    machine: Machine,
    mutant: Option<Mutant>,
    shared: Arc<Mutex<Shared>>,
    rows: Arc<Mutex<BTreeMap<AggregateId, R>>>,
    expected: fn(&Ledger) -> &BTreeMap<AggregateId, Vec<R>>,
}

impl<R: Row + PartialEq + std::fmt::Debug> Table<R> {
    fn new(
        machine: &Machine,
        mutant: Option<Mutant>,
        shared: &Arc<Mutex<Shared>>,
        expected: fn(&Ledger) -> &BTreeMap<AggregateId, Vec<R>>,
    ) -> Self {
        Self { machine: machine.clone(), mutant, shared: Arc::clone(shared), rows: Arc::default(), expected }
    }

    /// All rows, newest of each aggregate.
    pub fn rows(&self) -> MutexGuard<'_, BTreeMap<AggregateId, R>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every row is the fold of its aggregate's events up to its version (I13).
    fn check(&self, id: AggregateId, rows: &[R]) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = &(self.expected)(&shared.ledger)[&id];
        for row in rows {
            let place = usize::try_from(row.version() - 1).unwrap_or(usize::MAX);
            assert_eq!(Some(row), expected.get(place), "I13: a row that is not the fold of its events");
        }
    }

    /// Every aggregate's newest row is the fold of all its events (I13 at rest).
    pub fn check_complete(&self) {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = self.rows();
        for (id, expected) in (self.expected)(&shared.ledger) {
            assert_eq!(rows.get(id), expected.last(), "I13: the row of {id} is behind for ever");
        }
    }

    fn save_now(&self, previous: Version, rows: &[R], id: AggregateId) -> Saved {
        let mut all = self.rows();
        let at = all.get(&id).map_or(0, Row::version);
        if at != previous && self.mutant != Some(Mutant::RowsWithoutCondition) {
            return Saved::Stale;
        }
        let last = rows.last().expect("rows to save");
        if self.mutant == Some(Mutant::RowsWithoutCondition) {
            assert!(last.version() >= at, "I13: the row of {id} went back from {at} to {}", last.version());
        }
        all.insert(id, last.clone());
        Saved::Written
    }
}

impl<R: Row + PartialEq + std::fmt::Debug> ReadTable<R> for Table<R> {
    async fn latest(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_before) {
            return Err(TableError(lost()));
        }
        Ok(self.rows().get(&aggregate_id).cloned())
    }

    async fn save(&self, previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_before) {
            return Err(TableError(lost()));
        }
        let id = self.id_of(rows);
        self.check(id, rows);
        let saved = self.save_now(previous, rows, id);
        self.machine.point().await;
        if self.machine.fault(|rates| rates.lost_after) { Err(TableError(lost())) } else { Ok(saved) }
    }
}

impl<R: Row + PartialEq> Table<R> {
    /// Whose rows these are: the aggregate that has this row in its book.
    fn id_of(&self, rows: &[R]) -> AggregateId {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let first = rows.first().expect("rows to save");
        let place = usize::try_from(first.version() - 1).unwrap_or(usize::MAX);
        let of = (self.expected)(&shared.ledger).iter().find(|(_, expected)| expected.get(place) == Some(first));
        *of.expect("I13: a row that is not the fold of its events").0
    }
}
