//! Ports in memory, with faults where a test plans them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use aggregate::{AggregateId, CommandId, Envelope, Row, Timestamp, Version};
use eventing::{AppendError, Commit, EventStore, Host, MemoryStore, ReadError, ReadTable, Saved, TableError, Tail};
use uuid::Uuid;

/// A machine on which every look at the clock is a microsecond later and waiting takes no time.
#[derive(Debug, Default)]
pub struct StillHost(AtomicI64);

impl Host for StillHost {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn jitter(&self, ceiling: Duration) -> Duration {
        ceiling
    }

    async fn sleep(&self, _duration: Duration) {
        tokio::task::yield_now().await;
    }

    /// Where waiting takes no time, nothing is late.
    async fn within<T: Send>(&self, _limit: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
        Some(work.await)
    }
}

/// What goes wrong with an append.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing: it is recorded and answered.
    None,
    /// It is recorded, but the answer is lost.
    AnswerLost,
    /// It never arrives, and nobody can tell.
    RequestLost,
    /// Another writer's commit of the same events gets there first.
    Overtaken(Box<Commit>),
}

/// A store in memory whose next appends meet the faults that are planned for them.
#[derive(Debug, Default)]
pub struct FaultyStore {
    /// The store behind it.
    pub inner: MemoryStore,
    faults: Mutex<VecDeque<Fault>>,
}

impl FaultyStore {
    /// Plans `faults` for the next appends, one each.
    #[must_use]
    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { inner: MemoryStore::default(), faults: Mutex::new(faults.into_iter().collect()) }
    }

    /// Plans one more.
    pub fn plan(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }
}

/// Whatever else is at work goes on here, as it does while a real store answers.
async fn meanwhile() {
    tokio::task::yield_now().await;
}

impl EventStore for FaultyStore {
    async fn append(&self, commit: &Commit) -> Result<(), AppendError> {
        meanwhile().await;
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None | Some(Fault::None) => self.inner.append(commit).await,
            Some(Fault::RequestLost) => Err(AppendError::Unknown("the request was lost".into())),
            Some(Fault::AnswerLost) => {
                self.inner.append(commit).await?;
                Err(AppendError::Unknown("the answer was lost".into()))
            }
            Some(Fault::Overtaken(other)) => {
                self.inner.append(&other).await.unwrap();
                self.inner.append(commit).await
            }
        }
    }

    async fn load(&self, aggregate_id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        meanwhile().await;
        self.inner.load(aggregate_id, up_to, state_schema).await
    }

    async fn read(
        &self,
        aggregate_id: AggregateId,
        from: Version,
        commits_max: usize,
    ) -> Result<Vec<Commit>, ReadError> {
        meanwhile().await;
        self.inner.read(aggregate_id, from, commits_max).await
    }

    async fn find_command(
        &self,
        aggregate_id: AggregateId,
        command_id: CommandId,
    ) -> Result<Option<Commit>, ReadError> {
        meanwhile().await;
        self.inner.find_command(aggregate_id, command_id).await
    }
}

/// A read table in memory that keeps every row.
#[derive(Debug)]
pub struct MemoryTable<R> {
    rows: Mutex<BTreeMap<AggregateId, Vec<R>>>,
}

impl<R> Default for MemoryTable<R> {
    fn default() -> Self {
        Self { rows: Mutex::default() }
    }
}

impl<R: Row> MemoryTable<R> {
    /// All rows of an aggregate, in the order of their versions.
    pub fn rows(&self, aggregate_id: AggregateId) -> Vec<R> {
        self.rows.lock().unwrap().get(&aggregate_id).cloned().unwrap_or_default()
    }
}

impl<R: Row> ReadTable<R> for MemoryTable<R> {
    async fn latest(&self, aggregate_id: AggregateId) -> Result<Option<R>, TableError> {
        let row = self.rows(aggregate_id).pop();
        // Another projector may come in between a look and a save.
        meanwhile().await;
        Ok(row)
    }

    async fn save(&self, previous: Version, rows: &[R]) -> Result<Saved, TableError> {
        let mut all = self.rows.lock().unwrap();
        let history = all.entry(aggregate_of(&rows[0])).or_default();
        if history.last().map_or(0, Row::version) != previous {
            return Ok(Saved::Stale);
        }
        history.extend_from_slice(rows);
        Ok(Saved::Written)
    }
}

/// Every row of the bank names its account or its transaction first.
fn aggregate_of(row: &impl Row) -> AggregateId {
    let row = serde_json::to_value(row).unwrap();
    let id = row.get("account_id").or_else(|| row.get("transaction_id")).unwrap();
    serde_json::from_value(id.clone()).unwrap()
}

/// Everything that a store has published, in order.
pub async fn envelopes(store: &impl EventStore, aggregate_id: AggregateId) -> Vec<Envelope> {
    let mut envelopes: Vec<Envelope> = Vec::new();
    loop {
        let from = envelopes.last().map_or(1, |envelope| envelope.version + 1);
        let page = store.read(aggregate_id, from, usize::MAX).await.unwrap();
        if page.is_empty() {
            return envelopes;
        }
        envelopes.extend(page.iter().flat_map(Commit::envelopes));
    }
}
