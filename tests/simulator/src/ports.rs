//! The ports of `eventing` over the machine, with every fault that AWS has: requests and answers that are lost, requests that
//! arrive when nobody waits for them any more, refusals by the bus. A mutant takes one guard away.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aggregate::{Aggregate, AggregateId, CommandId, Event as _, Version};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use domain::{AccountCommand, AccountEvent, AccountRow, StatementEntry, TotalsRow, TransactionRow};
use eventing::{
    AppendError, Bus, BusError, Commit, Entry, EventStore, MemoryStore, PublishLimits, ReadError, Snapshot, Tail,
};
use ledger::Ledger;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    machine::{Fault, Machine},
    mutants::Mutant,
    outside::Outside,
    readers::Readers,
    tables::{Journal, Table},
};

/// What the stream has.
#[derive(Debug, Clone)]
pub enum Record {
    /// Somebody's commit.
    Commit(Arc<Commit>),
    /// What nobody can read.
    Poison(u64),
}

/// What stands still for everybody: the stream, the bus and the checker.
#[derive(Debug, Default)]
pub struct Shared {
    /// Records in the order in which the stream has them.
    pub stream: Vec<Record>,
    /// Requests to append that nobody waits for any more.
    pub late: Vec<Commit>,
    /// Events that the bus has taken and not yet handed on.
    pub taken: Vec<Arc<EventBridgeEvent<Value>>>,
    /// Ids of all events that the bus has ever taken.
    pub published: BTreeSet<Uuid>,
    /// Records that were reported as unreadable, by their number.
    pub reported: BTreeSet<u64>,
    /// What clients have asked of accounts, by what identifies it in the events.
    pub asked: BTreeMap<(AggregateId, String), AccountCommand>,
    /// What another system has asked and was answered.
    pub outside: Outside,
    /// What readers of the journal have seen.
    pub readers: Readers,
    /// The checker.
    pub ledger: Ledger,
}

/// The services, as one invocation reaches them.
#[derive(Debug, Clone)]
pub struct Services {
    /// Chance, time and points.
    pub machine: Machine,
    /// The guard that is taken away, if any.
    pub mutant: Option<Mutant>,
    /// Whether this invocation runs the code of the deployment before.
    pub old_code: bool,
    /// Whether it answers a query.
    pub is_query: bool,
    cloud: Arc<Cloud>,
}

/// Everything that outlives an invocation.
#[derive(Debug)]
pub struct Cloud {
    store: MemoryStore,
    shared: Arc<Mutex<Shared>>,
    /// The read models.
    pub accounts: Table<AccountRow>,
    /// Likewise.
    pub statement: Table<StatementEntry>,
    /// Likewise.
    pub totals: Table<TotalsRow>,
    /// Likewise.
    pub transactions: Table<TransactionRow>,
    /// Likewise.
    pub journal: Journal,
}

/// What a request that did not come through is told.
pub fn lost() -> Box<dyn std::error::Error + Send + Sync> {
    "lost".into()
}

/// The event type whose form has changed.
pub const CHANGED: &str = "OverdraftLimitSet";

impl Services {
    /// Empty ones.
    pub fn new(machine: &Machine, mutant: Option<Mutant>) -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let cloud = Cloud {
            accounts: Table::new(machine, mutant, &shared, |ledger| &ledger.account_rows),
            statement: Table::new(machine, mutant, &shared, |ledger| &ledger.statement_rows),
            totals: Table::new(machine, mutant, &shared, |ledger| &ledger.totals_rows),
            transactions: Table::new(machine, mutant, &shared, |ledger| &ledger.transaction_rows),
            journal: Journal::new(machine, mutant),
            store: MemoryStore::default(),
            shared,
        };
        Self { machine: machine.clone(), mutant, old_code: false, is_query: false, cloud: Arc::new(cloud) }
    }

    /// The same, as an invocation of older code reaches them, or not.
    pub fn deployed(&self) -> Self {
        Self { old_code: self.machine.fault(Fault::OldCode), ..self.clone() }
    }

    /// The same, as a query reaches them.
    pub fn for_query(self) -> Self {
        Self { is_query: true, ..self }
    }

    /// What outlives the invocation.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// What everybody shares. Never held over a point.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.cloud.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this guard is taken away.
    pub fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The request to append `commit` has its effect now.
    pub async fn take_effect(&self, commit: &Commit) -> Result<(), AppendError> {
        let known = self.shared().ledger.version(commit.aggregate_id);
        let moved;
        let commit = if self.lacks(Mutant::AppendAtAnyVersion) && commit.version <= known {
            moved = Commit { version: known + 1, ..commit.clone() };
            &moved
        } else if self.lacks(Mutant::AppendLeavesAVersionOut) && known > 2 {
            moved = Commit { version: commit.version + 1, ..commit.clone() };
            &moved
        } else {
            commit
        };
        let outcome = self.cloud.store.append(commit).await;
        let unguarded = self.lacks(Mutant::AppendWithoutCondition);
        let is_new = outcome.is_ok() && commit.version > known;
        if is_new || (unguarded && outcome.is_err()) {
            self.record(commit);
        }
        if unguarded { Ok(()) } else { outcome }
    }

    fn record(&self, commit: &Commit) {
        let fingerprint = u64::from_le_bytes(commit.aggregate_id.0.as_bytes()[..8].try_into().unwrap_or_default());
        let what = || {
            let types: Vec<&str> = commit.events.iter().map(|event| event.event_type.as_str()).collect();
            format!("{} {} {}", commit.aggregate_id, commit.version, types.join(" "))
        };
        self.machine.note(what, fingerprint ^ commit.version);
        let poison = self.machine.fault(Fault::Poisoned);
        let mut shared = self.shared();
        shared.check_decision(commit);
        shared.ledger.record(commit);
        shared.stream.push(Record::Commit(Arc::new(commit.clone())));
        if poison {
            let number = shared.stream.len() as u64;
            shared.stream.push(Record::Poison(number));
        }
    }

    /// Every recorded commit is still what was recorded (I4).
    pub fn check_unchanged(&self) {
        let shared = self.shared();
        let mut recorded = 0;
        for commit in self.cloud.store.histories().into_values().flatten() {
            for event in self.seen(commit).envelopes() {
                let (id, version) = (event.aggregate_id, event.version);
                assert!(shared.ledger.has(&event), "I4: version {version} of {id} was changed");
                recorded += 1;
            }
        }
        assert_eq!(recorded, shared.ledger.events.len(), "I4: recorded events are gone");
    }

    /// A commit as the store gives it.
    fn seen(&self, mut commit: Commit) -> Commit {
        if self.lacks(Mutant::EventIsChanged)
            && let Some(event) = commit.events.iter_mut().find(|event| event.event_type == "AccountClosed")
        {
            event.data = json!({ "changed": true });
        }
        commit
    }

    /// A commit as the invocation's code sees it: to old code, an event in the new form is one of the future.
    fn read_as_deployed(&self, commit: Commit) -> Commit {
        let mut commit = self.seen(commit);
        let today = AccountEvent::schema_version(CHANGED);
        for event in commit.events.iter_mut().filter(|event| event.event_type == CHANGED) {
            if self.old_code && event.schema_version == today {
                event.schema_version += 1;
            }
            if self.lacks(Mutant::OldEventsAreNotUpcast) {
                event.schema_version = today;
            }
        }
        commit
    }

    /// A commit as the invocation's code writes it: old code in the old form, with a state of its own.
    fn written_as_deployed<'a>(&self, commit: &'a Commit) -> Cow<'a, Commit> {
        if !self.old_code {
            return Cow::Borrowed(commit);
        }
        let mut commit = commit.clone();
        for event in commit.events.iter_mut().filter(|event| event.event_type == CHANGED) {
            event.schema_version = 1;
            event.data = match event.data["limit_minor"].as_u64() {
                Some(minor) if minor > 0 => json!({ "limit": { "minor": minor, "currency": "EUR" } }),
                _ => json!({}),
            };
        }
        commit.state = commit.state.map(|state| Snapshot { schema: state.schema - 1, ..state });
        Cow::Owned(commit)
    }

    async fn read_fault(&self) -> Result<(), ReadError> {
        if self.is_query {
            self.machine.read_point().await;
        } else {
            self.machine.point().await;
        }
        if self.machine.fault(Fault::LostBefore) { Err(ReadError::Unavailable(lost())) } else { Ok(()) }
    }
}

impl Shared {
    /// What an account decided is what its rules decide on the state that it has (I5).
    fn check_decision(&mut self, commit: &Commit) {
        self.outside.check_decision(&commit.metadata.correlation_id);
        let Some(command) = self.command_of(commit) else { return };
        let decided = self.ledger.account(commit.aggregate_id).handle(&command);
        let recorded = commit.decode().expect("I17: what was recorded can be read");
        let recorded = recorded.into_iter().map(|event| event.data).collect();
        assert_eq!(decided, Ok(recorded), "I5: a decision that is not right for its state");
    }

    /// What an account was asked for that led to this commit: by a client, or by the process manager for a transaction.
    fn command_of(&self, commit: &Commit) -> Option<AccountCommand> {
        let asked = (commit.aggregate_id, commit.metadata.correlation_id.as_str().to_owned());
        if let Some(command) = self.asked.get(&asked) {
            return Some(command.clone());
        }
        let id = commit.events.first()?.data.get("transaction_id")?.as_str()?.parse().ok().map(AggregateId)?;
        let order = self.ledger.order(id)?;
        let steps = [
            ("debit", AccountCommand::DebitAccount(order.debit(id))),
            ("credit", AccountCommand::CreditAccount(order.credit(id))),
            ("refund", AccountCommand::RefundAccount { transaction_id: id }),
            ("settle", AccountCommand::SettleDebit { transaction_id: id }),
        ];
        let is_this = |step: &str| commit.metadata.command_id == Some(CommandId::of_step(id, step));
        steps.into_iter().find_map(|(step, command)| is_this(step).then_some(command))
    }
}

impl EventStore for Services {
    async fn append(&self, commit: &Commit) -> Result<(), AppendError> {
        self.machine.point().await;
        if self.machine.fault(Fault::Late) {
            self.shared().late.push(self.written_as_deployed(commit).into_owned());
            return Err(AppendError::Unknown(lost()));
        }
        if self.machine.fault(Fault::LostBefore) || self.lacks(Mutant::EndlessRetry) {
            return Err(AppendError::Unknown(lost()));
        }
        let commit = self.written_as_deployed(commit);
        let outcome = if self.lacks(Mutant::EventsOneByOne) && commit.events.len() > 1 {
            let one = |place: usize| Commit {
                version: commit.version + place as Version,
                events: vec![commit.events[place].clone()],
                state: None,
                ..commit.clone().into_owned()
            };
            for place in 0..commit.events.len() - 1 {
                self.take_effect(&one(place)).await?;
                self.machine.point().await;
            }
            self.take_effect(&one(commit.events.len() - 1)).await
        } else {
            self.take_effect(&commit).await
        };
        self.machine.point().await;
        if self.machine.fault(Fault::LostAfter) {
            let unknown = AppendError::Unknown(lost());
            // Amazon's SDK can report a refused condition for our own earlier success.
            return Err(if self.lacks(Mutant::UnknownIsConflict) { AppendError::Conflict } else { unknown });
        }
        outcome
    }

    async fn load(&self, aggregate_id: AggregateId, up_to: Version, state_schema: u32) -> Result<Tail, ReadError> {
        self.read_fault().await?;
        let state_schema = if self.old_code { state_schema - 1 } else { state_schema };
        let mut tail = self.cloud.store.load(aggregate_id, up_to, state_schema).await?;
        tail.commits = tail.commits.into_iter().map(|commit| self.read_as_deployed(commit)).collect();
        if let Some((version, state)) = &mut tail.state {
            if self.lacks(Mutant::StaleState) && tail.commits.is_empty() && *version > 2 {
                // The newest state under the name of the one before it.
                tail.commits = self.cloud.store.read(aggregate_id, *version, 1).await?;
                *version -= 1;
            }
            if self.lacks(Mutant::LimitIsForgotten)
                && let Some(limit) = state.data.pointer_mut("/Opened/overdraft_limit")
            {
                *limit = json!(1_000_000);
            }
        }
        Ok(tail)
    }

    async fn read(&self, id: AggregateId, from: Version, commits_max: usize) -> Result<Vec<Commit>, ReadError> {
        self.read_fault().await?;
        if self.is_query && self.lacks(Mutant::GapsAreNotFilled) {
            return Ok(Vec::new());
        }
        let commits = self.cloud.store.read(id, from, commits_max).await?;
        Ok(commits.into_iter().map(|commit| self.read_as_deployed(commit)).collect())
    }

    async fn find_command(&self, id: AggregateId, command_id: CommandId) -> Result<Option<Commit>, ReadError> {
        self.read_fault().await?;
        if self.lacks(Mutant::KeysAreForgotten) {
            return Ok(None);
        }
        let found = self.cloud.store.find_command(id, command_id).await?;
        Ok(found.map(|commit| self.read_as_deployed(commit)))
    }
}

impl Bus for Services {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        self.machine.point().await;
        if self.machine.fault(Fault::LostBefore) {
            return Err(BusError(lost()));
        }
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.machine.fault(Fault::Refused) {
                let ignored = self.lacks(Mutant::RefusedEntriesAreIgnored);
                answers.push((!ignored).then(|| "InternalFailure".to_owned()));
                continue;
            }
            let mut event = EventBridgeEvent::<Value>::default();
            entry.source.as_ref().clone_into(&mut event.source);
            event.detail_type.clone_from(&entry.detail_type);
            event.detail = serde_json::from_str(&entry.detail).map_err(|error| BusError(error.into()))?;
            self.shared().take(event);
            answers.push(None);
        }
        self.machine.point().await;
        if self.machine.fault(Fault::LostAfter) { Err(BusError(lost())) } else { Ok(answers) }
    }
}

impl Shared {
    /// The bus takes an event; the report of a record that cannot be read goes to the dead letters, an answer to who asked.
    fn take(&mut self, event: EventBridgeEvent<Value>) {
        match event.source.as_str() {
            domain::EVENT_SOURCE => {
                let id: Option<Uuid> = event.detail["event_id"].as_str().and_then(|id| id.parse().ok());
                self.published.extend(id);
                self.taken.push(Arc::new(event));
            }
            bus_commands::SOURCE => self.outside.check_answer(&event),
            _ => {
                let number: Option<u64> = event.detail["sequence_number"].as_str().and_then(|text| text.parse().ok());
                self.reported.extend(number);
            }
        }
    }
}
