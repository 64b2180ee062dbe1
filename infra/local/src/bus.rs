//! EventBridge: takes events and hands each to the targets of the rules that match it.
//!
//! Promises: an entry that was answered with an id has led to a durable delivery for every function, and a message in every
//! queue, that a rule leads it to; killing the local cloud afterwards loses nothing. Order is not promised, as on AWS.

mod entries;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::post,
};
pub use entries::Entry;
use entries::{ENTRIES_MAX, EntryError, Event, PutEvents, REQUEST_BYTES_MAX};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    aws_json::{self, error, respond},
    console::{Console, Published, now_ms},
    deliveries::Deliveries,
    durable::{Delivery, Durable, Message},
    names,
    patterns::Patterns,
    template::{Rule, Target},
};

/// The one action that functions need.
const PUT_EVENTS: &str = "AWSEvents.PutEvents";
/// The action with which an operator's tools check the name of a bus.
const DESCRIBE_EVENT_BUS: &str = "AWSEvents.DescribeEventBus";

/// A body's limit: the entries' own, escaped into JSON once more, with room to spare.
const BODY_BYTES_MAX: usize = 8 * REQUEST_BYTES_MAX;

/// The bus of requests that name none.
const DEFAULT_BUS: &str = "default";

#[derive(Deserialize)]
struct DescribeEventBus {
    #[serde(rename = "Name")]
    name: Option<String>,
}

/// The event buses.
pub struct Bus {
    /// By name.
    buses: BTreeMap<String, RuleSet>,
    durable: Arc<Durable>,
    deliveries: Arc<Deliveries>,
    console: Arc<Console>,
}

/// The rules of one bus.
#[derive(Default)]
struct RuleSet {
    rules: Vec<Rule>,
    patterns: Patterns,
}

/// An event that was taken, with what it leads to.
struct Taken {
    event: Event,
    deliveries: Vec<Delivery>,
    messages: Vec<Message>,
}

impl Bus {
    /// The buses with their rules; a pattern that cannot be matched as AWS would is an error that names its rule.
    pub fn new(
        buses: Vec<String>,
        rules: Vec<Rule>,
        durable: Arc<Durable>,
        deliveries: Arc<Deliveries>,
        console: Arc<Console>,
    ) -> Result<Self, String> {
        let mut buses: BTreeMap<String, RuleSet> = buses.into_iter().map(|bus| (bus, RuleSet::default())).collect();
        for rule in rules {
            let set = buses.entry(rule.bus.clone()).or_default();
            let added = set.patterns.add(set.rules.len(), &rule.pattern);
            added.map_err(|problem| format!("rule {}: its pattern cannot be played: {problem}", rule.name))?;
            set.rules.push(rule);
        }
        Ok(Self { buses, durable, deliveries, console })
    }

    /// EventBridge's API.
    pub fn router(self) -> Router {
        Router::new().route("/", post(handle)).with_state(Arc::new(self))
    }

    fn put_events(&self, request: PutEvents) -> Response {
        let entries = request.entries.len();
        if !(1..=ENTRIES_MAX).contains(&entries) {
            let problem = format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: \
                 Member must have length from 1 to {ENTRIES_MAX}, not {entries}"
            );
            return error(StatusCode::BAD_REQUEST, "ValidationException", &problem);
        }
        if request.entries.iter().map(Entry::bytes).sum::<usize>() >= REQUEST_BYTES_MAX {
            let problem = "Total size of the entries in the request is over the limit.";
            return error(StatusCode::BAD_REQUEST, "ValidationException", problem);
        }
        let results: Vec<_> = request.entries.into_iter().map(|entry| self.take(entry)).collect();
        let taken = || results.iter().flatten();
        let deliveries: Vec<_> = taken().flat_map(|taken| taken.deliveries.clone()).collect();
        let messages: Vec<_> = taken().flat_map(|taken| taken.messages.clone()).collect();
        let mut ids = match self.durable.accept(&deliveries, &messages) {
            Ok(ids) => ids.into_iter(),
            Err(problem) => return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &problem.to_string()),
        };
        for taken in taken() {
            self.begin(taken, ids.by_ref().take(taken.deliveries.len()).collect());
        }
        answer(&results)
    }

    fn describe(&self, request: &DescribeEventBus) -> Response {
        match self.named(request.name.as_deref().unwrap_or(DEFAULT_BUS)) {
            Ok((name, _)) => respond(StatusCode::OK, &json!({ "Name": name, "Arn": names::bus_arn(name) })),
            Err(EntryError(code, message)) => error(StatusCode::BAD_REQUEST, code, &message),
        }
    }

    /// The bus with this name or ARN.
    fn named(&self, bus: &str) -> Result<(&String, &RuleSet), EntryError> {
        let found = self.buses.iter().find(|(name, _)| *name == bus || names::bus_arn(name) == bus);
        found.ok_or_else(|| EntryError("ResourceNotFoundException", format!("Event bus {bus} does not exist.")))
    }

    /// What an entry leads to, which happens only when the whole request is durable.
    fn take(&self, entry: Entry) -> Result<Taken, EntryError> {
        let bus = entry.event_bus_name.clone().unwrap_or_else(|| DEFAULT_BUS.to_owned());
        let event = entry.into_event()?;
        // EventBridge drops events for a bus that does not exist, silently; here it is a mistake that one wants to see.
        let (_, set) = self.named(&bus)?;
        let text = event.json.to_string();
        let matching = set.patterns.matching(&text).map_err(|problem| EntryError("InternalFailure", problem))?;
        let mut taken = Taken { event, deliveries: Vec::new(), messages: Vec::new() };
        for rule in matching.into_iter().map(|place| &set.rules[place]) {
            for target in &rule.targets {
                match target {
                    Target::Function(function) => taken.deliveries.push(Delivery {
                        function: function.clone(),
                        detail_type: taken.event.detail_type.clone(),
                        event: text.clone(),
                        failures: 0,
                    }),
                    Target::Queue(queue) => taken.messages.push(Message {
                        queue: queue.clone(),
                        body: text.clone(),
                        reason: match taken.event.json.pointer("/detail/reason").and_then(Value::as_str) {
                            Some(reason) => format!("rule {}: {reason}", rule.name),
                            None => format!("rule {}", rule.name),
                        },
                    }),
                }
            }
        }
        Ok(taken)
    }

    /// Begins the deliveries of an event that is durable, under the `ids` that they have got.
    fn begin(&self, taken: &Taken, ids: Vec<i64>) {
        let Taken { event, deliveries, messages } = taken;
        let functions = deliveries.iter().map(|delivery| delivery.function.clone());
        if messages.is_empty() || !ids.is_empty() {
            self.console.published(Published {
                detail_type: event.detail_type.clone(),
                detail: event.json["detail"].clone(),
                at_ms: now_ms(),
                deliveries: ids.iter().copied().zip(functions).collect(),
            });
        }
        for message in messages {
            self.console.queued(&message.queue, &message.reason, &event.detail_type);
        }
        for id in ids {
            self.deliveries.begin(id);
        }
    }
}

async fn handle(State(bus): State<Arc<Bus>>, headers: HeaderMap, body: Body) -> Response {
    if aws_json::action(&headers) == DESCRIBE_EVENT_BUS {
        return match aws_json::request(DESCRIBE_EVENT_BUS, &headers, body, BODY_BYTES_MAX).await {
            Ok(request) => bus.describe(&request),
            Err(answer) => *answer,
        };
    }
    match aws_json::request(PUT_EVENTS, &headers, body, BODY_BYTES_MAX).await {
        Ok(request) => bus.put_events(request),
        Err(answer) => *answer,
    }
}

fn answer(results: &[Result<Taken, EntryError>]) -> Response {
    let entries: Vec<Value> = results
        .iter()
        .map(|result| match result {
            Ok(taken) => json!({ "EventId": taken.event.id }),
            Err(EntryError(code, message)) => json!({ "ErrorCode": code, "ErrorMessage": message }),
        })
        .collect();
    let failed = results.iter().filter(|result| result.is_err()).count();
    respond(StatusCode::OK, &json!({ "FailedEntryCount": failed, "Entries": entries }))
}
