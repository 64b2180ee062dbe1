//! Every error that AWS may answer with, for every operation of the adapter, at every attempt: each leads to exactly one outcome, and
//! none of them is a lie. Scripted on the wire, below AWS's own SDK; what arrives goes to a real engine.

use aggregate::{AggregateId, CommandId, CorrelationId, Envelope, Metadata, Timestamp, UserId, Version};
use aws::{Counters, CurrentRows, DynamoEventStore, EventBridge, Index, Journal, RotatedSecret, RowHistory, Segment};
use domain::{AccountRow, StatementEntry, TotalsRow};
use eventing::{
    AppendError, Bus, Commit, CurrentTable, ENTRY_WRITE_MAX, Entry, EventStore, HistoryTable, ListFrom, ReadError,
    ReadTable, RecordedEvent, Saved, Secret, SecretError, TableError, enter, fold, list, publish,
};
use serde_json::{Value, json};
use tests::{Engine, Reply, StillHost, Wire, WireFault};
use uuid::Uuid;

/// Errors that say nothing about a condition, with the status that AWS gives them.
const ERRORS: [(u16, &str); 17] = [
    (400, "AccessDeniedException"),
    (400, "ExpiredTokenException"),
    (400, "IdempotentParameterMismatchException"),
    (400, "ItemCollectionSizeLimitExceededException"),
    (400, "LimitExceededException"),
    (400, "ProvisionedThroughputExceededException"),
    (400, "ReplicatedWriteConflictException"),
    (400, "RequestLimitExceeded"),
    (400, "ResourceNotFoundException"),
    (400, "ThrottlingException"),
    (400, "TransactionConflictException"),
    (400, "TransactionInProgressException"),
    (400, "UnrecognizedClientException"),
    (400, "ValidationException"),
    (400, "AnErrorOfTheFuture"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
];

/// Those of them that a later request meets again.
const PERMANENT: [&str; 4] =
    ["AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException", "ValidationException"];

fn error(status: u16, code: &str) -> Reply {
    Reply::Status(status, json!({ "__type": format!("com.amazonaws.dynamodb#{code}"), "message": "m" }).to_string())
}

/// Everything that may be answered, or not, instead of what was asked for.
fn replies() -> Vec<(String, Reply)> {
    let mut all: Vec<_> = ERRORS.iter().map(|(status, code)| ((*code).to_owned(), error(*status, code))).collect();
    let garbage = [
        (200, "{"),
        (200, "<html>"),
        (400, ""),
        (404, "<html>"),
        (413, ""),
        (429, ""),
        (500, "<html>"),
        (502, ""),
        (504, ""),
    ];
    all.extend(garbage.map(|(status, body)| (format!("{status} {body:?}"), Reply::Status(status, body.to_owned()))));
    all.extend([("a time-out".to_owned(), Reply::Timeout), ("a broken connection".to_owned(), Reply::Broken)]);
    all
}

/// At which attempts it happens. The SDK makes at most three.
const POSITIONS: [&[bool]; 5] = [&[true], &[false, true], &[true, true], &[true, true, true], &[true, false, true]];

/// The adapter, over a wire with faults, and without.
struct Adapter {
    engine: Engine,
    wire: Wire,
    store: DynamoEventStore,
    accounts: CurrentRows,
    statement: RowHistory,
    totals: Counters,
    journal: Journal,
}

impl Adapter {
    async fn start() -> Self {
        let (engine, wire) = (Engine::start().await, Wire::default());
        let client = engine.client_over(&wire);
        Self {
            wire,
            store: DynamoEventStore::new(client.clone(), "events"),
            accounts: CurrentRows::new(client.clone(), "accounts", "account_id"),
            statement: RowHistory::new(client.clone(), "statement", "account_id"),
            totals: Counters::new(client.clone(), "totals").of_generation(1),
            journal: Journal::new(client, "journal"),
            engine,
        }
    }

    /// The store without faults.
    fn truth(&self) -> DynamoEventStore {
        DynamoEventStore::new(self.engine.client.clone(), "events")
    }
}

fn commit(id: AggregateId, version: Version, event_type: &str, data: Value) -> Commit {
    Commit {
        aggregate_id: id,
        aggregate_type: "Account".to_owned(),
        version,
        created_at: Timestamp::from_micros(1_763_891_400_000_000),
        metadata: Metadata {
            user_id: UserId::new("alice").unwrap(),
            correlation_id: CorrelationId::new("c").unwrap(),
            causation_id: String::new(),
            command_id: Some(CommandId(Uuid::from_u128(7))),
        },
        command_digest: None,
        events: vec![RecordedEvent { event_id: id.0, event_type: event_type.to_owned(), schema_version: 1, data }],
        state: None,
    }
}

fn opening(id: AggregateId) -> Commit {
    commit(id, 1, "AccountCreated", json!({ "owner": "alice", "currency": "EUR" }))
}

fn rows<R: aggregate::Row>(id: AggregateId) -> Vec<R> {
    fold(None, &[opening(id)]).unwrap()
}

fn event(id: AggregateId) -> Envelope {
    opening(id).envelopes().next().unwrap()
}

/// The operations of the adapter.
const OPERATIONS: [&str; 23] = [
    "append",
    "load",
    "read",
    "find_command",
    "scan",
    "described",
    "current get",
    "current latest",
    "current save",
    "current list",
    "current scan",
    "history get",
    "history latest",
    "history save",
    "history newest first",
    "counters generations",
    "counters contents",
    "counters latest",
    "counters save",
    "journal enter on time",
    "journal enter late",
    "journal is empty",
    "journal events",
];

const WRITES: [&str; 6] =
    ["append", "current save", "history save", "counters save", "journal enter on time", "journal enter late"];

const BY_OWNER: Index = Index { name: "by_owner", by: "owner", order: "created_at", newest_first: false };

/// Does one operation, and says in a word how it ended.
async fn operate(adapter: &Adapter, operation: &str, id: AggregateId) -> &'static str {
    let read = |outcome: Result<(), ReadError>| match outcome {
        Ok(()) => "answered",
        Err(ReadError::Unavailable(_)) => "unavailable",
        Err(ReadError::Refused(_)) => "refused",
        Err(_) => "another error",
    };
    let no_answer = |error: TableError| match error {
        TableError::Unavailable(_) => "unavailable",
        TableError::Refused(_) => "refused",
        _ => "another error",
    };
    let table = |outcome: Result<(), TableError>| outcome.map_or_else(no_answer, |()| "answered");
    let saved = |outcome: Result<Saved, TableError>| match outcome {
        Ok(Saved::Written) => "answered",
        Ok(Saved::Stale) => "stale",
        Err(error) => no_answer(error),
    };
    let segment = Segment { number: 0, total: 1 };
    let at = |seconds: i64| Timestamp::from_micros(1_763_891_400_000_000 + seconds * 1_000_000);
    match operation {
        "append" => match adapter.store.append(&opening(id)).await {
            Ok(()) => "answered",
            Err(AppendError::Conflict) => "conflict",
            Err(AppendError::Unknown(_)) => "unavailable",
            Err(AppendError::TooLarge { .. }) => "too large",
            Err(AppendError::Unwritable(_)) => "unwritable",
        },
        "load" => read(adapter.store.load(id, Version::MAX, 1).await.map(drop)),
        "read" => read(adapter.store.read(id, 1, 10).await.map(drop)),
        "find_command" => read(adapter.store.find_command(id, CommandId(Uuid::from_u128(7))).await.map(drop)),
        "scan" => read(adapter.store.scan(segment, None).await.map(drop)),
        "described" => read(adapter.store.described().await.map(drop)),
        "current get" => table(CurrentTable::<AccountRow>::get(&adapter.accounts, id).await.map(drop)),
        "current latest" => table(ReadTable::<AccountRow>::latest(&adapter.accounts, id).await.map(drop)),
        "current save" => saved(adapter.accounts.save(0, &rows::<AccountRow>(id)).await),
        "current list" => {
            table(list::<AccountRow>(&adapter.accounts, &BY_OWNER, "alice", ListFrom::Start, 5).await.map(drop))
        }
        "current scan" => table(adapter.accounts.segment(&BY_OWNER, Segment { number: 0, total: 1 }).await.map(drop)),
        "history get" => table(HistoryTable::<StatementEntry>::row(&adapter.statement, id, 1, false).await.map(drop)),
        "history latest" => table(ReadTable::<StatementEntry>::latest(&adapter.statement, id).await.map(drop)),
        "history save" => saved(adapter.statement.save(0, &rows::<StatementEntry>(id)).await),
        "history newest first" => {
            table(HistoryTable::<StatementEntry>::newest_first(&adapter.statement, id, 1..9, 5).await.map(drop))
        }
        "counters generations" => table(adapter.totals.generations().await.map(drop)),
        "counters contents" => table(adapter.totals.contents().await.map(drop)),
        "counters latest" => table(ReadTable::<TotalsRow>::latest(&adapter.totals, id).await.map(drop)),
        "counters save" => saved(adapter.totals.save(0, &rows::<TotalsRow>(id)).await),
        "journal is empty" => table(adapter.journal.is_empty().await.map(drop)),
        "journal events" => table(adapter.journal.events(segment, None).await.map(drop)),
        "journal enter on time" => table(enter(&adapter.journal, &event(id), at(0)).await.map(drop)),
        "journal enter late" => table(enter(&adapter.journal, &event(id), at(60)).await.map(drop)),
        other => panic!("there is no operation {other}"),
    }
}

#[tokio::test]
async fn every_error_of_every_operation_at_every_attempt_leads_to_one_outcome() {
    let adapter = Adapter::start().await;
    let mut cases = 0;
    let one = AggregateId(Uuid::now_v7());
    for write in WRITES {
        assert_eq!(operate(&adapter, write, one).await, "answered");
    }
    for operation in OPERATIONS {
        let writes = WRITES.contains(&operation);
        for (name, reply) in replies() {
            for position in POSITIONS {
                for arrives in [false, true] {
                    let id = if writes { AggregateId(Uuid::now_v7()) } else { one };
                    let case = format!("{operation}, {name} at {position:?}, arrives: {arrives}");
                    let fault = |happens: &bool| match (happens, arrives) {
                        (false, _) => WireFault::None,
                        (true, false) => WireFault::Before(reply.clone()),
                        (true, true) => WireFault::After(reply.clone()),
                    };
                    adapter.wire.script(position.iter().map(fault));
                    let outcome = operate(&adapter, operation, id).await;
                    let sent = adapter.wire.sent().len();
                    cases += 1;
                    // One page of the index, and the rows.
                    let requests = if matches!(operation, "find_command" | "current list") { 2 } else { 1 };
                    assert!(sent <= 3 * requests, "I22: {case}: {sent} requests");
                    // The last request decides: disturbed, nothing is known; undisturbed, it is an answer. Never a conflict.
                    let disturbed = position.get(sent - 1).is_some_and(|disturbed| *disturbed);
                    // A transaction has a token of the SDK's, by which the service knows it again.
                    let seen_again = arrives && sent > 1 && matches!(operation, "current save" | "history save");
                    // Of an append, an earlier attempt may have arrived, whatever the last one is told.
                    let permanent = PERMANENT.contains(&name.as_str()) && operation != "append";
                    let expected = match (disturbed, seen_again) {
                        (true, _) if permanent => "refused",
                        (true, _) => "unavailable",
                        (false, false) => "answered",
                        // Its own row is another's for all it knows; the next look at the row tells.
                        (false, true) => "stale",
                    };
                    assert_eq!(outcome, expected, "{case}: after {sent} requests");
                    if writes {
                        // Who does it again comes to the one effect.
                        adapter.wire.script([]);
                        let again = operate(&adapter, operation, id).await;
                        assert!(again == "answered" || again == "stale", "{case}: again {again}");
                    }
                    if operation == "append" {
                        let recorded = adapter.truth().read(id, 1, 10).await.unwrap();
                        assert_eq!(recorded.len(), 1, "I1: {case}");
                    }
                }
            }
        }
    }
    assert_eq!(cases, OPERATIONS.len() * replies().len() * POSITIONS.len() * 2);
}

/// A row that no serialiser takes.
#[derive(Clone, serde::Deserialize)]
struct Unserialisable {}

impl serde::Serialize for Unserialisable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no form"))
    }
}

impl aggregate::Row for Unserialisable {
    type Event = domain::AccountEvent;

    fn version(&self) -> Version {
        1
    }

    fn next(_: Option<&Self>, _: &Envelope<domain::AccountEvent>) -> Option<Self> {
        Some(Self {})
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_written_down_is_a_mistake_and_nothing_is_sent() {
    let adapter = Adapter::start().await;
    adapter.wire.script([]);
    let current = adapter.accounts.save(0, &[Unserialisable {}]).await;
    let history = adapter.statement.save(0, &[Unserialisable {}]).await;
    for outcome in [current, history] {
        assert!(matches!(outcome, Err(TableError::Unwritable(_))), "{outcome:?}");
    }
    assert_eq!(adapter.wire.sent().len(), 0);
}

#[tokio::test]
async fn an_entry_of_the_journal_is_given_up_in_the_time_that_readers_stay_behind_for() {
    let adapter = Adapter::start().await;
    let id = AggregateId(Uuid::now_v7());
    // The test's client has no time-outs of its own.
    adapter.wire.script([WireFault::Before(Reply::Silence)]);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(operate(&adapter, "journal enter on time", id).await, "unavailable");
    assert_eq!(began.elapsed().as_secs(), ENTRY_WRITE_MAX.as_secs());
}

#[tokio::test]
async fn rows_that_are_not_answered_at_once_are_asked_for_again() {
    let adapter = Adapter::start().await;
    let id = AggregateId(Uuid::now_v7());
    assert_eq!(operate(&adapter, "current save", id).await, "answered");
    let key = json!({ "account_id": { "S": id.0 } });
    let partly = json!({ "Responses": {}, "UnprocessedKeys": { "accounts": { "Keys": [key] } } });
    // The index, then the rows: none of them twice, and then all.
    let partly = WireFault::Before(Reply::Status(200, partly.to_string()));
    adapter.wire.script([WireFault::None, partly.clone(), partly]);
    let page = list::<AccountRow>(&adapter.accounts, &BY_OWNER, "alice", ListFrom::Start, 5).await.unwrap();
    assert_eq!((page.rows.len(), adapter.wire.sent().len()), (1, 4));
}

#[tokio::test]
async fn a_page_that_ends_at_what_is_no_place_is_an_error_and_not_the_end() {
    let adapter = Adapter::start().await;
    let ends_at = |key: Value| {
        let page = json!({ "Items": [], "Count": 0, "ScannedCount": 0, "LastEvaluatedKey": key });
        WireFault::Before(Reply::Status(200, page.to_string()))
    };
    adapter.wire.script([ends_at(json!({ "aggregate_id": { "S": "x" }, "version": { "N": "1" } }))]);
    let scanned = adapter.store.scan(Segment { number: 0, total: 1 }, None).await;
    assert!(matches!(scanned, Err(ReadError::Corrupt(_))));
}

#[tokio::test]
async fn an_item_of_an_index_that_is_no_place_hides_none_of_the_others() {
    let adapter = Adapter::start().await;
    let is_place = json!({ "account_id": { "S": Uuid::nil() }, "created_at": { "S": "2020" }, "owner": { "S": "o" } });
    let is_none = json!({ "account_id": { "S": "x" }, "created_at": { "N": "1" }, "owner": { "S": "o" } });
    let page = |items: &[&Value], ends_at: Option<&Value>| {
        let mut page = json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() });
        if let Some(key) = ends_at {
            page["LastEvaluatedKey"] = key.clone();
        }
        WireFault::Before(Reply::Status(200, page.to_string()))
    };
    // The first page ends at it, and is not the last.
    adapter.wire.script([page(&[&is_place, &is_none], Some(&is_none)), page(&[&is_place], None)]);
    let places = adapter.accounts.segment(&BY_OWNER, Segment { number: 0, total: 1 }).await.unwrap();
    assert!(matches!(&places[..], [Ok(_), Err(TableError::Unreadable(_)), Ok(_)]), "{places:?}");
}

#[tokio::test]
async fn a_refused_condition_is_a_conflict_only_if_another_commit_is_there() {
    let adapter = Adapter::start().await;
    let refusal = |item: Option<Value>| {
        let mut body =
            json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "m" });
        if let Some(item) = item {
            body["Item"] = item;
        }
        Reply::Status(400, body.to_string())
    };
    let id = AggregateId(Uuid::now_v7());
    let (own, mut other) = (opening(id), opening(id));
    other.events[0].event_id = Uuid::now_v7();
    // Our own, after an answer that was lost; another's; and one that says nothing, which proves nothing.
    adapter.wire.script([WireFault::After(error(500, "InternalServerError"))]);
    adapter.store.append(&own).await.unwrap();
    assert_eq!(adapter.wire.sent().len(), 2);
    assert!(matches!(adapter.store.append(&other).await, Err(AppendError::Conflict)));
    adapter.wire.script([WireFault::Before(refusal(None))]);
    assert!(matches!(adapter.store.append(&own).await, Err(AppendError::Unknown(_))));
    adapter.wire.script([WireFault::Before(refusal(Some(json!({ "version": { "S": "?" } }))))]);
    assert!(matches!(adapter.store.append(&own).await, Err(AppendError::Unknown(_))));
}

#[tokio::test]
async fn a_cancelled_transaction_is_stale_only_for_a_condition_or_another_at_work() {
    let adapter = Adapter::start().await;
    let reasons = [
        "None",
        "ConditionalCheckFailed",
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "ValidationError",
        "ItemCollectionSizeLimitExceeded",
    ];
    for first in reasons {
        for second in reasons {
            let (id, entry) = (AggregateId(Uuid::now_v7()), |code: &str| json!({ "Code": code }));
            let body = json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "Transaction cancelled",
                "CancellationReasons": [entry(first), entry(second)],
            });
            let cancelled = WireFault::Before(Reply::Status(400, body.to_string()));
            adapter.wire.script([cancelled.clone(), cancelled.clone(), cancelled.clone()]);
            let outcome = operate(&adapter, "counters save", id).await;
            let other = |code: &str| matches!(code, "ConditionalCheckFailed" | "TransactionConflict");
            let permanent = |code: &str| matches!(code, "ValidationError" | "ItemCollectionSizeLimitExceeded");
            let refused = if permanent(first) || permanent(second) { "refused" } else { "unavailable" };
            let expected = if other(first) || other(second) { "stale" } else { refused };
            assert_eq!(outcome, expected, "{first}, {second}");
            // The note comes first: only its condition says that the event has entered before.
            adapter.wire.script([cancelled.clone(), cancelled.clone(), cancelled]);
            let outcome = operate(&adapter, "journal enter late", id).await;
            let expected = if first == "ConditionalCheckFailed" { "answered" } else { refused };
            assert_eq!(outcome, expected, "{first}, {second}");
        }
    }
}

/// What EventBridge answers: the entries with a set bit are refused.
fn taken(entries: usize, refused: u32) -> Reply {
    let entry = |place: usize| match refused >> place & 1 {
        0 => json!({ "EventId": Uuid::now_v7() }),
        _ => json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "m" }),
    };
    let entries: Vec<Value> = (0..entries).map(entry).collect();
    Reply::Status(200, json!({ "FailedEntryCount": refused.count_ones(), "Entries": entries }).to_string())
}

fn bus(wire: &Wire) -> EventBridge {
    use aws_sdk_eventbridge::config::{BehaviorVersion, Credentials, Region};
    let config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url("http://127.0.0.1:9")
        .http_client(wire.http_client())
        .retry_config(Wire::retries());
    EventBridge::new(aws_sdk_eventbridge::Client::from_conf(config.build()), "bus")
}

/// The details of the entries in each request.
fn details(sent: &[String]) -> Vec<Vec<String>> {
    let details = |body: &String| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["Entries"].as_array().unwrap().iter().map(|entry| entry["Detail"].as_str().unwrap().to_owned()).collect()
    };
    sent.iter().map(details).collect()
}

#[tokio::test]
async fn every_pattern_of_refused_entries_is_sent_again_and_nothing_else() {
    let (wire, host) = (Wire::default(), StillHost::default());
    let bus = bus(&wire);
    for entries in 1..=7_usize {
        let all: Vec<Vec<Entry>> = (0..entries)
            .map(|place| vec![Entry::new("daybook", "T", Timestamp::from_micros(0), &place).unwrap()])
            .collect();
        for refused in 0..1_u32 << entries {
            let left = refused.count_ones() as usize;
            let expected: Vec<String> =
                (0..entries).filter(|place| refused >> place & 1 == 1).map(|place| place.to_string()).collect();
            // Taken the second time.
            wire.script([WireFault::Before(taken(entries, refused)), WireFault::Before(taken(left, 0))]);
            assert_eq!(publish(&bus, &host, &all).await.records, entries);
            let requests = details(&wire.sent());
            assert_eq!(requests.len(), if left == 0 { 1 } else { 2 });
            assert_eq!(requests.get(1).cloned().unwrap_or_default(), expected);
            // Never taken: what counts as published is all before the first of them.
            let never = [taken(entries, refused), taken(left, u32::MAX), taken(left, u32::MAX)];
            wire.script(never.map(WireFault::Before));
            let first = refused.trailing_zeros().min(u32::try_from(entries).unwrap()) as usize;
            assert_eq!(publish(&bus, &host, &all).await.records, first);
            assert!(details(&wire.sent()).iter().skip(1).all(|again| *again == expected));
        }
    }
}

#[tokio::test]
async fn every_error_of_the_bus_is_an_error_and_an_answer_that_is_short_is_no_acceptance() {
    let wire = Wire::default();
    let (bus, host) = (bus(&wire), StillHost::default());
    let entry = |place: usize| Entry::new("daybook", "T", Timestamp::from_micros(0), &place).unwrap();
    let all = [vec![entry(0)], vec![entry(1)]];
    for (name, reply) in replies() {
        wire.script(std::iter::repeat_n(WireFault::Before(reply.clone()), 9));
        assert!(bus.put(&[&entry(0)]).await.is_err(), "{name}");
        wire.script(std::iter::repeat_n(WireFault::Before(reply), 9));
        assert_eq!(publish(&bus, &host, &all).await.records, 0, "{name}");
        assert!(wire.sent().len() <= 9, "I22: {name}");
    }
    let one = || WireFault::Before(taken(1, 0));
    let none = || WireFault::Before(Reply::Status(200, "{}".to_owned()));
    wire.script([one(), none(), none()]);
    assert_eq!(publish(&bus, &host, &all).await.records, 1, "one answer for two entries");
    let neither = json!({ "FailedEntryCount": 0, "Entries": [{}, {}] }).to_string();
    wire.script(std::iter::repeat_n(WireFault::Before(Reply::Status(200, neither)), 3));
    assert_eq!(publish(&bus, &host, &all).await.records, 0, "neither an id nor a code");
}

/// A client of Secrets Manager over a wire with faults.
fn secrets() -> (Wire, aws_sdk_secretsmanager::Client) {
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
    let wire = Wire::default();
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url("http://127.0.0.1:9")
        .http_client(wire.http_client())
        .retry_config(Wire::retries());
    (wire, aws_sdk_secretsmanager::Client::from_conf(config.build()))
}

#[tokio::test]
async fn every_error_of_a_secret_is_an_error() {
    let (wire, client) = secrets();
    for (name, reply) in replies() {
        wire.script(std::iter::repeat_n(WireFault::Before(reply), 9));
        assert!(RotatedSecret::new(client.clone(), "s").values().await.is_err(), "{name}");
        assert!(wire.sent().len() <= 6, "I22: {name}");
    }
    let value = json!({ "Name": "s", "SecretString": "v", "CreatedDate": 0 }).to_string();
    wire.script([
        WireFault::Before(Reply::Status(200, value)),
        WireFault::Before(error(400, "ResourceNotFoundException")),
    ]);
    assert_eq!(RotatedSecret::new(client, "s").values().await.unwrap().using, "v");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_a_mistake_and_one_that_does_not_answer_is_tried_again_later() {
    let (wire, client) = secrets();
    let of = async |reply: Reply| {
        wire.script(std::iter::repeat_n(WireFault::Before(reply), 9));
        RotatedSecret::new(client.clone(), "s").values().await.unwrap_err()
    };
    let empty = Reply::Status(200, json!({ "Name": "s", "CreatedDate": 0 }).to_string());
    for reply in [error(400, "AccessDeniedException"), error(400, "ResourceNotFoundException"), empty] {
        assert!(matches!(of(reply).await, SecretError::Unusable(_)));
    }
    for reply in [error(500, "InternalServiceError"), error(400, "ThrottlingException"), Reply::Broken] {
        assert!(matches!(of(reply).await, SecretError::Unavailable(_)));
    }
}

#[test]
fn one_request_with_all_its_attempts_ends_before_any_function_does() {
    let template = local::template::load(&tests::repository().join("template.yaml")).unwrap();
    let longest = aws::timeouts().operation_timeout().unwrap();
    for function in template.functions {
        assert!(2 * longest < function.timeout, "{}", function.name);
    }
    assert_eq!(aws::retries().max_attempts(), 3);
}
