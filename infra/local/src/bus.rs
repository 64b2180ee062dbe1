//! EventBridge: takes events, matches them with the template's rules, and delivers them. A delivery is on disk before
//! `PutEvents` is answered, so nothing accepted is lost when the local cloud is killed.
//!
//! Like the real one it promises no order, and that an event comes at least once.

use crate::console::Console;
use crate::durable::{Delivery, Durable};
use crate::names;
use crate::pool::Pools;
use crate::sandbox::Failure;
use crate::template::{Target, Template};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use quamina::Quamina;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use uuid::Uuid;

/// Entries and bytes of one `PutEvents` (EventBridge API reference).
const ENTRIES_MAX: usize = 10;
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Lambda waits a minute and then two between the attempts of an asynchronous invocation; here one watches.
const RETRY_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// An asynchronous invocation waits in a queue, not in a connection.
const PATIENCE: Duration = Duration::from_hours(6);

/// All buses of the template.
pub struct Bus {
    rules: Vec<(String, Quamina<usize>)>,
    targets: Vec<Vec<Target>>,
    pools: Arc<Pools>,
    durable: Arc<Durable>,
    console: Arc<Console>,
}

impl Bus {
    pub fn new(
        template: &Template,
        pools: Arc<Pools>,
        durable: Arc<Durable>,
        console: Arc<Console>,
    ) -> Result<Self, String> {
        let mut by_bus: BTreeMap<&str, Quamina<usize>> =
            template.buses.iter().map(|bus| (bus.as_str(), Quamina::new())).collect();
        for (index, rule) in template.rules.iter().enumerate() {
            let matcher = by_bus.entry(&rule.bus).or_default();
            matcher
                .add_pattern(index, &rule.pattern.to_string())
                .map_err(|error| format!("the pattern of rule {} is not played here: {error}", rule.name))?;
        }
        let rules = by_bus.into_iter().map(|(bus, matcher)| (bus.to_owned(), matcher)).collect();
        let targets = template.rules.iter().map(|rule| rule.targets.clone()).collect();
        Ok(Self { rules, targets, pools, durable, console })
    }

    /// Answers the EventBridge API.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let routes = Router::new()
            .route("/", post(answer))
            .layer(axum::extract::DefaultBodyLimit::max(2 * REQUEST_BYTES_MAX))
            .with_state(self);
        let _ = axum::serve(listener, routes).await;
    }

    /// Goes on with what an earlier run left under way.
    pub fn resume(self: &Arc<Self>) -> Result<(), String> {
        let left = self.durable.deliveries().map_err(|error| error.to_string())?;
        if !left.is_empty() {
            self.console.say(&format!("going on with {} deliveries of an earlier run", left.len()));
        }
        for delivery in left {
            self.spawn(delivery);
        }
        Ok(())
    }

    /// Puts a message into a queue.
    pub fn park(&self, queue: &str, body: &Value, why: &str) -> rusqlite::Result<()> {
        self.durable.accept(&[], &[(queue.to_owned(), body.to_string())], now_ms())?;
        self.console.parked(queue, why);
        Ok(())
    }

    fn put_events(self: &Arc<Self>, request: &Value) -> Result<Value, (&'static str, String)> {
        let none = Vec::new();
        let entries = request["Entries"].as_array().unwrap_or(&none);
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            return Err(("ValidationException", format!("Entries must have 1 to {ENTRIES_MAX} members")));
        }
        let (mut results, mut to_functions, mut to_queues) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match self.event(entry) {
                Err((code, message)) => results.push(json!({ "ErrorCode": code, "ErrorMessage": message })),
                Ok((bus, event)) => {
                    results.push(json!({ "EventId": event["id"] }));
                    let text = event.to_string();
                    let rules = self.rules.iter().find(|(name, _)| *name == bus);
                    let matched = rules.map(|(_, matcher)| matcher.matches_for_event(text.as_bytes()));
                    let matched = matched.transpose().map_err(|error| ("InternalException", error.to_string()))?;
                    for target in matched.unwrap_or_default().into_iter().flat_map(|rule| &self.targets[rule]) {
                        match target {
                            Target::Function(function) => to_functions.push((function.clone(), text.clone())),
                            Target::Queue(queue) => to_queues.push((queue.clone(), text.clone())),
                        }
                    }
                    self.console.published(&event);
                }
            }
        }
        let accepted = self.durable.accept(&to_functions, &to_queues, now_ms());
        let deliveries = accepted.map_err(|error| ("InternalException", error.to_string()))?;
        for (queue, body) in &to_queues {
            let event: Value = serde_json::from_str(body).unwrap_or_default();
            let reason = event["detail"]["reason"].as_str().unwrap_or_default();
            self.console.parked(queue, &format!("{} {reason}", event["detail-type"].as_str().unwrap_or_default()));
        }
        for delivery in deliveries {
            self.spawn(delivery);
        }
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": results }))
    }

    /// The event of an entry, and the bus it goes to.
    fn event(&self, entry: &Value) -> Result<(String, Value), (&'static str, String)> {
        let text = |name: &str| {
            let text = entry[name].as_str().filter(|text| !text.is_empty());
            text.ok_or_else(|| {
                ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
            })
        };
        let (source, detail_type, detail) = (text("Source")?, text("DetailType")?, text("Detail")?);
        let detail: Value = serde_json::from_str(detail).unwrap_or_default();
        if !detail.is_object() {
            return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
        }
        let bus = entry["EventBusName"].as_str().unwrap_or("default");
        let known = self.rules.iter().map(|(name, _)| name).find(|name| *name == bus || names::bus_arn(name) == bus);
        let time = entry["Time"].as_f64().map_or_else(jiff::Timestamp::now, |seconds| {
            #[allow(clippy::cast_possible_truncation, reason = "seconds since 1970 fit by far")]
            jiff::Timestamp::from_second(seconds as i64).unwrap_or_else(|_| jiff::Timestamp::now())
        });
        let event = json!({
            "version": "0", "id": Uuid::new_v4(), "detail-type": detail_type, "source": source,
            "account": names::ACCOUNT_ID, "time": format!("{time:.0}"), "region": names::REGION,
            "resources": entry["Resources"].as_array().cloned().unwrap_or_default(), "detail": detail,
        });
        Ok((known.map_or_else(|| bus.to_owned(), Clone::clone), event))
    }

    fn spawn(self: &Arc<Self>, delivery: Delivery) {
        let bus = self.clone();
        tokio::spawn(async move {
            if let Err(error) = bus.deliver(delivery).await {
                bus.console.trouble(&format!("a delivery cannot be written down: {error}"));
            }
        });
    }

    /// Invokes the function until it succeeds or its retries are used up.
    async fn deliver(&self, mut delivery: Delivery) -> rusqlite::Result<()> {
        let event: Value = serde_json::from_str(&delivery.payload).unwrap_or_default();
        let Some(pool) = self.pools.get(&delivery.function) else {
            self.console
                .trouble(&format!("{} is no longer in the template; its delivery is dropped", delivery.function));
            return self.durable.given_up(delivery.id, None, now_ms());
        };
        let rules = &pool.function.async_invoke;
        loop {
            let outcome = pool.invoke(Bytes::from(delivery.payload.clone()), PATIENCE).await;
            let Err(failure) = outcome else {
                self.durable.delivered(delivery.id)?;
                self.console.delivered(&delivery.function, &event);
                return Ok(());
            };
            delivery.attempts += 1;
            self.durable.attempted(delivery.id, delivery.attempts)?;
            let age_ms = u64::try_from(now_ms() - delivery.accepted_at_ms).unwrap_or(0);
            let condition = if delivery.attempts > rules.retries {
                "RetriesExhausted"
            } else if Duration::from_millis(age_ms) > rules.event_age {
                "EventAgeExceeded"
            } else {
                self.console.failed(&delivery.function, &event, &describe(&failure), delivery.attempts);
                let wait = RETRY_WAITS.get(delivery.attempts as usize - 1).unwrap_or(&RETRY_WAITS[1]);
                tokio::time::sleep(*wait).await;
                continue;
            };
            let message = destination_record(&delivery, &event, condition, &failure).to_string();
            let queue = rules.on_failure.as_deref();
            self.durable.given_up(delivery.id, queue.map(|queue| (queue, message.as_str())), now_ms())?;
            self.console.parked(
                queue.unwrap_or("nowhere: no failure destination"),
                &format!("{}: {}", delivery.function, describe(&failure)),
            );
            return Ok(());
        }
    }
}

fn describe(failure: &Failure) -> String {
    match failure {
        Failure::NotTaken => "no process took it up".to_owned(),
        Failure::Error { kind, message } => format!("{kind}: {message}"),
    }
}

/// What Lambda sends to a failure destination (developer guide, "Retaining records of asynchronous invocations").
fn destination_record(delivery: &Delivery, event: &Value, condition: &str, failure: &Failure) -> Value {
    let (kind, message) = match failure {
        Failure::NotTaken => ("Runtime.ExitError", ""),
        Failure::Error { kind, message } => (kind.as_str(), message.as_str()),
    };
    json!({
        "version": "1.0", "timestamp": jiff::Timestamp::now().to_string(),
        "requestContext": {
            "requestId": Uuid::new_v4(), "functionArn": format!("{}:$LATEST", names::function_arn(&delivery.function)),
            "condition": condition, "approximateInvokeCount": delivery.attempts,
        },
        "requestPayload": event,
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": { "errorType": kind, "errorMessage": message },
    })
}

async fn answer(State(bus): State<Arc<Bus>>, headers: HeaderMap, body: Bytes) -> Response {
    let action = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let result = match action {
        "AWSEvents.PutEvents" => serde_json::from_slice(&body)
            .map_err(|error| ("SerializationException", error.to_string()))
            .and_then(|request| bus.put_events(&request)),
        other => Err(("UnknownOperationException", format!("{other} is not played by the local cloud"))),
    };
    let (status, answer) = match result {
        Ok(answer) => (StatusCode::OK, answer),
        Err((code, message)) => (StatusCode::BAD_REQUEST, json!({ "__type": code, "message": message })),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response()
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
