//! Everything that takes bytes from outside, as functions of bytes that must never panic: for property tests, and for a fuzzer.

use aggregate::{Envelope, Row};
use api::{Call, CursorKeys};
use aws_lambda_events::{dynamodb::Event as StreamEvent, eventbridge::EventBridgeEvent};
use domain::{
    Account, AccountEvent, AccountRow, Amount, StatementEntry, TotalsRow, Transaction, TransactionEvent, TransactionRow,
};
use eventing::{Bus, BusError, Entry, JournalTable, MemoryStore, Placing, PublishLimits, TableError};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{MemoryTable, StillHost};

/// A target, and an input that it takes.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<u8>);

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("api_request", api_request, || {
        br#"{"from":"00000000-0000-0000-0000-000000000001","amount":"1.50","currency":"EUR"}"#.into()
    }),
    ("stream_record", stream_record, a_stream_event),
    ("bus_event", bus_event, a_bus_event),
    ("event_json", event_json, || an_envelope().to_string().into()),
    ("cursor", cursor, a_cursor),
    ("amount", amount, || "12.34".into()),
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> fn(&[u8]) {
    TARGETS.iter().find(|(other, ..)| *other == name).unwrap().1
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// An event of API Gateway's.
fn gateway_event(route: &str, body: &str, cursor: &str) -> String {
    let (method, path) = route.split_once(' ').unwrap();
    json!({
        "version": "2.0", "routeKey": route, "rawPath": path, "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "localhost", "idempotency-key": header(body) },
        "queryStringParameters": { "cursor": cursor },
        "pathParameters": { "id": "00000000-0000-0000-0000-000000000001" },
        "requestContext": {
            "requestId": "test", "routeKey": route, "stage": "$default", "timeEpoch": 0,
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": "test" },
            "authorizer": { "jwt": { "claims": { "sub": "alice", "scope": "daybook/write daybook/admin" }, "scopes": null } },
        },
        "body": body, "isBase64Encoded": false,
    })
    .to_string()
}

/// What of a text can stand in a header.
fn header(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(200).collect()
}

fn request(event: &str) -> Option<lambda_http::Request> {
    let mut request = lambda_http::request::from_str(event).ok()?;
    let mut context = lambda_http::Context::default();
    context.deadline = 60_000;
    request.extensions_mut().insert(context);
    Some(request)
}

/// What a client may send as a body and as a header, on every route. Never an answer that blames us. (The envelope around it is API Gateway's:
/// `lambda_http` panics where its path or query is no URI, which API Gateway does not let through.)
pub fn api_request(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let routes = [
        "POST /accounts",
        "POST /accounts/{id}/deposits",
        "POST /accounts/{id}/withdrawals",
        "POST /accounts/{id}/close",
        "POST /accounts/{id}/freeze",
        "POST /accounts/{id}/unfreeze",
        "PUT /accounts/{id}/overdraft-limit",
        "POST /transactions",
    ];
    for event in routes.map(|route| gateway_event(route, &text, "")) {
        let (store, host) = (MemoryStore::default(), StillHost::default());
        let (Some(one), Some(other)) = (request(&event), request(&event)) else { continue };
        runtime().block_on(async {
            for response in [
                account_commands::handle(&store, &host, one).await,
                transaction_commands::handle(&store, &host, other).await,
            ] {
                assert!(response.status().as_u16() < 500, "{} for {event}", response.status());
            }
        });
    }
}

/// A bus that takes everything.
struct Takes;

impl Bus for Takes {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        Ok(vec![None; entries.len()])
    }
}

fn a_stream_event() -> Vec<u8> {
    let text = |text: &str| json!({ "S": text });
    let metadata = json!({ "M": { "user_id": text("alice"), "correlation_id": text("c"), "causation_id": text("r") } });
    let event = json!({ "M": {
        "event_id": text("00000000-0000-0000-0000-000000000002"), "event_type": text("AccountClosed"),
        "schema_version": { "N": "1" }, "data": { "M": {} },
    } });
    let image = json!({
        "aggregate_id": text("00000000-0000-0000-0000-000000000001"), "version": { "N": "1" },
        "aggregate_type": text("Account"), "created_at": text("2026-11-23T09:30:00.000000Z"),
        "metadata": metadata, "events": { "L": [event] },
    });
    let record = json!({
        "eventID": "1", "eventName": "INSERT", "awsRegion": "us-east-1",
        "dynamodb": { "Keys": {}, "NewImage": image, "SequenceNumber": "7", "SizeBytes": 1 },
    });
    json!({ "Records": [record] }).to_string().into()
}

/// What a stream may hand to the publisher: no record holds up another, whatever is in it.
pub fn stream_record(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<StreamEvent>(bytes) else { return };
    let answer = runtime().block_on(event_publisher::handle(&Takes, &StillHost::default(), event));
    assert!(answer.unwrap().batch_item_failures.is_empty());
}

fn an_envelope() -> Value {
    json!({
        "event_id": "00000000-0000-0000-0000-000000000002", "aggregate_id": "00000000-0000-0000-0000-000000000001",
        "aggregate_type": "Account", "version": 1, "event_type": "AccountCreated", "schema_version": 1,
        "created_at": "2026-11-23T09:30:00.000000Z",
        "metadata": { "user_id": "alice", "correlation_id": "c", "causation_id": "r" },
        "data": { "owner": "alice", "currency": "EUR" },
    })
}

fn a_bus_event() -> Vec<u8> {
    json!({ "detail-type": "AccountCreated", "source": "daybook", "detail": an_envelope() }).to_string().into()
}

/// A journal that takes everything.
impl JournalTable for Takes {
    async fn put(&self, _event: &Envelope, _placing: &Placing) -> Result<bool, TableError> {
        Ok(true)
    }
}

async fn project<R: Row>(event: &EventBridgeEvent<Value>) {
    drop(
        aws::project_delivered(&MemoryStore::default(), &MemoryTable::<R>::default(), &StillHost::default(), event)
            .await,
    );
}

/// What the bus may hand to the projectors and to the process manager; and to who takes requests of other systems, and answers each.
pub fn bus_event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<EventBridgeEvent<Value>>(bytes) else { return };
    let (store, host) = (MemoryStore::default(), StillHost::default());
    runtime().block_on(async {
        project::<AccountRow>(&event).await;
        project::<StatementEntry>(&event).await;
        project::<TotalsRow>(&event).await;
        project::<TransactionRow>(&event).await;
        drop(journal_projector::handle(&store, &Takes, &host, &event).await);
        let deadline = aggregate::Timestamp::MAX;
        drop(transaction_process::begun(&store, &host, &event, deadline).await);
        assert!(bus_commands::handle(&store, &Takes, &host, &event, deadline).await.is_ok());
    });
}

/// What may stand in the events table: decoded, it writes down to itself; and folding it never panics.
pub fn event_json(bytes: &[u8]) {
    fn folded<A: aggregate::Aggregate>(envelope: &Envelope)
    where
        A::Event: PartialEq + std::fmt::Debug,
    {
        let Ok(decoded) = envelope.clone().decode::<A::Event>() else { return };
        let mut aggregate = A::default();
        aggregate.apply(&decoded.data);
        aggregate.apply(&decoded.data);
        let tagged = serde_json::to_value(&decoded.data).unwrap();
        let again = Envelope {
            schema_version: decoded.schema_version,
            data: tagged.get("data").cloned().unwrap_or_default(),
            ..envelope.clone()
        };
        assert_eq!(again.decode::<A::Event>().unwrap().data, decoded.data);
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) else { return };
    folded::<Account>(&envelope);
    folded::<Transaction>(&envelope);
    drop(envelope.clone().decode::<AccountEvent>());
    drop(envelope.decode::<TransactionEvent>());
}

fn a_cursor() -> Vec<u8> {
    let request = request(&gateway_event("GET /accounts", "", "")).unwrap();
    let call = Call::new(request, &StillHost::default());
    call.next_cursor(&CursorKeys::new("key", None), &"place").unwrap().into()
}

/// What a client may hand back as a cursor: only one that we made is taken.
pub fn cursor(bytes: &[u8]) {
    let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control() && *c != '"').collect();
    let Some(request) = request(&gateway_event("GET /accounts", "", &text)) else { return };
    let call = Call::new(request, &StillHost::default());
    let place = call.cursor::<String>(&CursorKeys::new("key", None));
    assert!(!matches!(place, Ok(Some(_))) || text.as_bytes() == a_cursor(), "{text}");
}

/// What a client may write as an amount: it is refused, or it is written down to the same amount.
pub fn amount(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for code in ["EUR", "JPY", "KWD"] {
        let currency = domain::Currency::from_code(code).unwrap();
        let Ok(amount) = Amount::parse(&text, currency) else { continue };
        let written = currency.format(amount.minor());
        assert_eq!(Amount::parse(&written, currency).unwrap(), amount, "{text}");
        assert!(amount.minor() > 0);
    }
}
