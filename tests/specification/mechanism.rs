//! The mechanism's smaller promises: how often it waits and asks, and where it stops.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aggregate::{Aggregate, AggregateId, CorrelationId, Envelope, Event, Metadata, Timestamp, Version};
use domain::{Account, AccountCommand, AccountRow};
use eventing::{
    Bus, BusError, Commit, Entered, Entry, EventStore, ExecuteError, Host, JournalTable, Loaded, MemoryStore, Placing,
    Position, ProjectError, Projected, PublishLimits, ReadError, ReadTable, RecordedEvent, SHARDS, Saved, ShardPage,
    Snapshot, System, TableError, enter, execute, fold, load, load_at, merge, project, publish, shard,
};
use tests::{Fault, FaultyStore, MemoryTable, StillHost, command, deposited, envelopes, eur, opened, owner};
use uuid::Uuid;

/// A machine that remembers how long it was told to wait.
#[derive(Default)]
struct Waits(Mutex<Vec<Duration>>);

impl Host for Waits {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn jitter(&self, ceiling: Duration) -> Duration {
        ceiling
    }

    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

fn create() -> AccountCommand {
    AccountCommand::CreateAccount { owner: owner(), currency: domain::Currency::from_code("EUR").unwrap() }
}

fn deposit() -> AccountCommand {
    AccountCommand::DepositMoney { by: owner(), amount: eur(1), description: None }
}

/// One commit of these events of an account.
fn commit(id: AggregateId, version: Version, at: i64, events: &[domain::AccountEvent]) -> Commit {
    let metadata = Metadata {
        user_id: owner(),
        correlation_id: CorrelationId::from(Uuid::nil()),
        causation_id: String::new(),
        command_id: None,
    };
    Commit {
        aggregate_id: id,
        aggregate_type: Account::TYPE.to_owned(),
        version,
        created_at: Timestamp::from_micros(at),
        metadata,
        command_digest: None,
        events: events.iter().map(|event| RecordedEvent::new(event, &StillHost::default()).unwrap()).collect(),
        state: None,
    }
}

#[tokio::test]
async fn a_command_waits_only_after_a_conflict_and_ever_longer() {
    let id = AggregateId(Uuid::now_v7());
    let store = FaultyStore::default();
    let waits = Waits::default();
    execute::<Account>(&store, &waits, &command(id, create(), None)).await.unwrap();
    assert!(waits.0.lock().unwrap().is_empty());
    for version in [2, 3, 4] {
        store.plan(Fault::Overtaken(Box::new(commit(id, version, 0, &[deposited(1)]))));
    }
    let done = execute::<Account>(&store, &waits, &command(id, deposit(), None)).await.unwrap();
    assert_eq!(done.version, 5);
    assert_eq!(*waits.0.lock().unwrap(), [10, 20, 40].map(Duration::from_millis));
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    let id = AggregateId(Uuid::now_v7());
    let store = FaultyStore::default();
    execute::<Account>(&store, &Waits::default(), &command(id, create(), None)).await.unwrap();
    store.plan(Fault::Overtaken(Box::new(commit(id, 2, 0, &[deposited(1)]))));
    let mut late = command(id, deposit(), None);
    late.deadline = Timestamp::from_micros(0);
    let outcome = execute::<Account>(&store, &Waits::default(), &late).await;
    assert!(matches!(outcome, Err(ExecuteError::Busy)), "{outcome:?}");
}

#[tokio::test]
async fn a_key_on_an_aggregate_without_events_is_not_looked_for() {
    /// A store that nobody may ask for a command.
    struct NeverAsked(MemoryStore);
    impl EventStore for NeverAsked {
        async fn append(&self, commit: &Commit) -> Result<(), eventing::AppendError> {
            self.0.append(commit).await
        }
        async fn load(
            &self,
            id: AggregateId,
            up_to: Version,
            schema: u32,
        ) -> Result<eventing::Tail, eventing::ReadError> {
            self.0.load(id, up_to, schema).await
        }
        async fn read(&self, id: AggregateId, from: Version, max: usize) -> Result<Vec<Commit>, eventing::ReadError> {
            self.0.read(id, from, max).await
        }
        async fn find_command(
            &self,
            _: AggregateId,
            _: aggregate::CommandId,
        ) -> Result<Option<Commit>, eventing::ReadError> {
            panic!("it was asked")
        }
    }
    let store = NeverAsked(MemoryStore::default());
    let id = AggregateId(Uuid::now_v7());
    execute::<Account>(&store, &StillHost::default(), &command(id, create(), Some("key"))).await.unwrap();
}

#[tokio::test]
async fn a_load_stops_inside_a_commit_and_a_search_finds_the_last_that_was_not_later() {
    let store = MemoryStore::default();
    let id = AggregateId(Uuid::now_v7());
    store.append(&commit(id, 1, 10, &[opened(), deposited(1), deposited(2)])).await.unwrap();
    store.append(&commit(id, 4, 20, &[deposited(4)])).await.unwrap();
    store.append(&commit(id, 5, 30, &[deposited(8)])).await.unwrap();
    let balance = |account: Account| match account {
        Account::Opened(account) => account.balance.minor(),
        Account::NotOpened | Account::Damaged => -1,
    };
    for (up_to, expected) in [(0, -1), (1, 0), (2, 1), (3, 3), (4, 7), (5, 15), (9, 15)] {
        assert_eq!(balance(load::<Account>(&store, id, up_to).await.unwrap().aggregate), expected, "{up_to}");
    }
    for (at, expected) in [(9, -1), (10, 3), (19, 3), (20, 7), (29, 7), (30, 15), (99, 15)] {
        let loaded = load_at::<Account>(&store, id, Timestamp::from_micros(at)).await.unwrap();
        assert_eq!(balance(loaded.aggregate), expected, "{at}");
    }
}

#[tokio::test]
async fn a_commit_as_large_as_the_store_takes_is_taken() {
    let fits = |bytes: usize| {
        let mut commit = commit(AggregateId(Uuid::now_v7()), 1, 0, &[opened()]);
        commit.events[0].data = serde_json::Value::String("x".repeat(bytes - 2));
        commit
    };
    let store = MemoryStore::default();
    store.append(&fits(400 * 1024)).await.unwrap();
    assert!(store.append(&fits(400 * 1024 + 1)).await.is_err());
    assert_eq!(store.histories().len(), 1);
}

/// A table on which somebody else is always faster; counts the looks.
#[derive(Default)]
struct AlwaysStale(AtomicU32);

impl ReadTable<AccountRow> for AlwaysStale {
    async fn latest(&self, _: AggregateId) -> Result<Option<AccountRow>, TableError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        assert!(self.0.load(Ordering::Relaxed) < 100, "I22: it does not end");
        Ok(None)
    }

    async fn save(&self, _: Version, _: &[AccountRow]) -> Result<Saved, TableError> {
        Ok(Saved::Stale)
    }
}

#[tokio::test]
async fn a_projector_gives_up_where_others_are_always_faster() {
    let store = MemoryStore::default();
    let id = AggregateId(Uuid::now_v7());
    store.append(&commit(id, 1, 0, &[opened()])).await.unwrap();
    let event = &envelopes(&store, id).await[0];
    let outcome = project(&store, &AlwaysStale::default(), &StillHost::default(), event).await;
    assert!(matches!(outcome, Err(ProjectError::Busy(_))), "{outcome:?}");
}

/// A table whose rows another projector saves, a moment before each save.
#[derive(Default)]
struct Overtaken(MemoryTable<AccountRow>);

impl ReadTable<AccountRow> for Overtaken {
    async fn latest(&self, id: AggregateId) -> Result<Option<AccountRow>, TableError> {
        self.0.latest(id).await
    }

    async fn save(&self, previous: Version, rows: &[AccountRow]) -> Result<Saved, TableError> {
        self.0.save(previous, rows).await?;
        Ok(Saved::Stale)
    }
}

#[tokio::test]
async fn what_another_projector_did_meanwhile_is_told_as_done() {
    let store = MemoryStore::default();
    let id = AggregateId(Uuid::now_v7());
    store.append(&commit(id, 1, 0, &[opened()])).await.unwrap();
    let event = &envelopes(&store, id).await[0];
    let outcome = project(&store, &Overtaken::default(), &StillHost::default(), event).await.unwrap();
    assert_eq!(outcome, Projected::Applied { from: 0, to: 1 });
}

/// A table that counts the looks at it.
#[derive(Default)]
struct Looks(MemoryTable<AccountRow>, AtomicU32);

impl ReadTable<AccountRow> for Looks {
    async fn latest(&self, id: AggregateId) -> Result<Option<AccountRow>, TableError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.latest(id).await
    }

    async fn save(&self, previous: Version, rows: &[AccountRow]) -> Result<Saved, TableError> {
        self.0.save(previous, rows).await
    }
}

#[tokio::test]
async fn a_long_gap_is_healed_page_by_page_and_told_as_one() {
    let store = MemoryStore::default();
    let id = AggregateId(Uuid::now_v7());
    store.append(&commit(id, 1, 0, &[opened()])).await.unwrap();
    for version in 2..=20 {
        store.append(&commit(id, version, 0, &[deposited(1)])).await.unwrap();
    }
    let events = envelopes(&store, id).await;
    let table = Looks::default();
    assert_eq!(
        project(&store, &table, &StillHost::default(), &events[19]).await.unwrap(),
        Projected::Applied { from: 0, to: 20 }
    );
    // A page has eight commits: one look before each, and none after the last.
    assert_eq!(table.1.load(Ordering::Relaxed), 3);
    assert_eq!(project(&store, &table, &StillHost::default(), &events[19]).await.unwrap(), Projected::Skipped);
}

#[test]
fn a_fold_says_which_version_is_missing() {
    let id = AggregateId(Uuid::now_v7());
    let commits = [commit(id, 1, 0, &[opened()]), commit(id, 3, 0, &[deposited(1)])];
    let outcome = fold::<AccountRow>(None, &commits);
    assert!(matches!(outcome, Err(ProjectError::NoHistory { version: 2, .. })), "{outcome:?}");
}

#[test]
fn the_shards_of_the_journal_are_evenly_used() {
    let mut used = [0_u32; SHARDS as usize];
    for number in 0..1_000_u128 {
        used[usize::from(shard(AggregateId(Uuid::new_v5(&Uuid::nil(), &number.to_le_bytes()))))] += 1;
    }
    assert!(used.iter().all(|number| (80..180).contains(number)), "{used:?}");
}

#[test]
fn a_page_that_is_just_full_goes_to_the_end() {
    let event: Envelope = commit(AggregateId(Uuid::nil()), 1, 5, &[opened()]).envelopes().next().unwrap();
    let position = Position::of(&event, event.created_at);
    assert_eq!(Position::from_text(position.to_string()), position);
    let page = |limit| {
        let shard = ShardPage { entries: vec![(position.clone(), event.clone())], read_up_to: None };
        merge(vec![shard], Position::before(Timestamp::from_micros(9)), limit)
    };
    assert_eq!(page(1), (vec![event.clone()], Position::before(Timestamp::from_micros(9))));
    assert_eq!(page(0).0, []);
}

/// A bus that never answers.
struct Down;

impl Bus for Down {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 3, bytes_max: 100 };

    async fn put(&self, _: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        Err(BusError("down".into()))
    }
}

#[tokio::test]
async fn the_publisher_waits_between_attempts_and_not_after_the_last() {
    let entry = Entry::new("s", "ty", Timestamp::from_micros(0), &"det").unwrap();
    // 14 for the time, 1 for the source, 2 for the type, and the JSON of the detail.
    assert_eq!(entry.bytes(), 14 + 1 + 2 + 5);
    let waits = Waits::default();
    assert_eq!(publish(&Down, &waits, &[vec![entry]]).await.records, 0);
    assert_eq!(*waits.0.lock().unwrap(), [100, 200].map(Duration::from_millis));
}

#[tokio::test]
async fn the_real_machine_has_time_chance_and_ids() {
    let ids = [System.new_id(), System.new_id()];
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.get_version_num() == 7));
    let waits: Vec<_> = (0..50).map(|_| System.jitter(Duration::from_secs(1))).collect();
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(1)));
    assert!(waits.iter().any(|wait| *wait > Duration::from_millis(100)));
    let before = System.now();
    System.sleep(Duration::from_millis(2)).await;
    assert!(before.until(System.now()) >= Duration::from_millis(1));
}

/// A journal that keeps places only.
#[derive(Default)]
struct Places(Mutex<std::collections::BTreeSet<Position>>);

impl JournalTable for Places {
    async fn put(&self, _: &Envelope, placing: &Placing) -> Result<bool, TableError> {
        let (Placing::OnTime(own) | Placing::Late { own, .. }) = placing;
        Ok(self.0.lock().unwrap().insert(own.clone()))
    }
}

#[tokio::test]
async fn an_event_enters_the_journal_once_whenever_it_comes() {
    let event = |version| commit(AggregateId(Uuid::nil()), version, 0, &[opened()]).envelopes().next().unwrap();
    let (table, journal_time) = (Places::default(), Timestamp::from_micros);
    assert_eq!(enter(&table, &event(1), journal_time(0)).await.unwrap(), Entered::OnTime);
    assert_eq!(enter(&table, &event(2), journal_time(60_000_000)).await.unwrap(), Entered::Late);
    for (version, now) in [(1, 0), (1, 60_000_000), (2, 0), (2, 60_000_000)] {
        assert_eq!(enter(&table, &event(version), journal_time(now)).await.unwrap(), Entered::Before);
    }
}

#[tokio::test]
async fn a_state_that_does_not_parse_is_left_aside_and_a_doubled_version_is_corrupt() {
    let (store, id) = (MemoryStore::default(), AggregateId(Uuid::now_v7()));
    let state = Snapshot { schema: Account::STATE_SCHEMA, data: serde_json::json!({ "of": "another form" }) };
    for version in 1..=20 {
        let event = if version == 1 { opened() } else { deposited(1) };
        let state = Some(state.clone()).filter(|_| version % 4 == 0);
        store.append(&Commit { state, ..commit(id, version, 0, &[event]) }).await.unwrap();
    }
    let Loaded { aggregate: Account::Opened(account), version, .. } = load(&store, id, 17).await.unwrap() else {
        panic!("is open")
    };
    assert_eq!((account.balance.minor(), version), (16, 17));
    // Whoever appends without having read the commit before makes two events of one version.
    store.append(&commit(id, 21, 0, &[deposited(1), deposited(1)])).await.unwrap();
    store.append(&commit(id, 22, 0, &[deposited(1)])).await.unwrap();
    assert!(matches!(load::<Account>(&store, id, Version::MAX).await, Err(ReadError::Corrupt(_))));
}

#[tokio::test]
async fn an_event_of_another_type_of_aggregate_is_in_no_row() {
    let (store, id) = (MemoryStore::default(), AggregateId(Uuid::now_v7()));
    let table = MemoryTable::<AccountRow>::default();
    let event =
        Envelope { aggregate_type: "Door".to_owned(), ..commit(id, 1, 0, &[opened()]).envelopes().next().unwrap() };
    let outcome = project(&store, &table, &StillHost::default(), &event).await;
    assert!(matches!(outcome, Err(ProjectError::Read(ReadError::AnotherType))));
    assert!(table.rows(id).is_empty());
}

/// An event whose next form is read before it is written.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event_type", content = "data")]
enum Painted {
    Painted { color: String },
}

impl Event for Painted {
    const AGGREGATE_TYPE: &'static str = "Door";

    fn newest_readable(_event_type: &str) -> u32 {
        2
    }

    fn upcast(_event_type: &str, schema_version: u32, data: serde_json::Value) -> Result<serde_json::Value, String> {
        Ok(if schema_version == 2 { serde_json::json!({ "color": data["colour"]["name"] }) } else { data })
    }
}

#[test]
fn a_form_can_be_read_one_deployment_before_it_is_written() {
    let event = |schema_version: u32, data: serde_json::Value| {
        let mut event = commit(AggregateId(Uuid::nil()), 1, 0, &[opened()]).envelopes().next().unwrap();
        (event.event_type, event.schema_version, event.data) = ("Painted".to_owned(), schema_version, data);
        event.decode::<Painted>().map(|event| (event.schema_version, event.data))
    };
    let red = Painted::Painted { color: "red".to_owned() };
    assert_eq!(event(1, serde_json::json!({ "color": "red" })), Ok((1, red.clone())));
    assert_eq!(event(2, serde_json::json!({ "colour": { "name": "red" } })), Ok((1, red.clone())));
    assert!(event(3, serde_json::json!({})).is_err());
    let written = RecordedEvent::new(&red, &StillHost::default()).unwrap();
    assert_eq!(written.schema_version, 1);
}
