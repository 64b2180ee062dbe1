//! A dead letter: what it is about, by the forms of all who give up, and how the events that it is about are published once more.

use std::time::Duration;

use aggregate::{AggregateId, Timestamp, Version};
use aws::DynamoEventStore;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Error,
    republish::{self, Destination},
};

/// What a publisher's own source has after the source of the events that it publishes.
const PUBLISHERS: &str = ".event-publisher";

/// What a dead letter is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "about")]
pub enum About {
    /// One recorded event, and the source under which it was published.
    Event { event_type: String, aggregate_id: AggregateId, version: Version, source: String },
    /// Records of the stream that were given up without a look at what is in them, from and to when they arrived.
    Records { number: u64, from: Timestamp, to: Timestamp },
    /// A request of another system, by the id of its event. Who sent it has no answer yet, and repeats it.
    Request { source: String, event_id: String },
    /// A schedule, which comes again by itself.
    Schedule,
    /// Nothing that this program knows.
    Unknown,
}

/// A dead letter.
#[derive(Debug, Clone, Serialize)]
pub struct Letter {
    pub id: String,
    pub sent_at: Option<Timestamp>,
    #[serde(flatten)]
    pub about: About,
    /// Who gave up and why, as far as it says.
    pub reason: String,
    #[serde(skip)]
    pub receipt: String,
    #[serde(skip)]
    pub body: String,
}

impl Letter {
    pub fn new(message: Message) -> Self {
        let sent = message.attributes.and_then(|mut all| all.remove(&MessageSystemAttributeName::SentTimestamp));
        let sent_at =
            sent.and_then(|millis| millis.parse::<i64>().ok()).map(|millis| Timestamp::from_micros(millis * 1_000));
        let body = message.body.unwrap_or_default();
        let (about, reason) = read(&serde_json::from_str(&body).unwrap_or_default());
        let (id, receipt) = (message.message_id.unwrap_or_default(), message.receipt_handle.unwrap_or_default());
        Self { id, sent_at, about, reason, receipt, body }
    }

    /// One line for people, whatever a letter has in it.
    pub fn in_words(&self) -> String {
        let about = match &self.about {
            About::Event { event_type, aggregate_id, version, .. } => {
                format!("{event_type} {aggregate_id} version {version}")
            }
            About::Records { number, from, to } => format!("{number} stream records of {from} to {to}"),
            About::Request { source, event_id } => format!("request of {source}, event {event_id}"),
            About::Schedule => "a schedule".to_owned(),
            About::Unknown => "not known to this program".to_owned(),
        };
        let sent_at = self.sent_at.map(|at| at.to_string()).unwrap_or_default();
        terminal::line(&format!("{}  {sent_at}  {about}: {}", self.id, self.reason)).into_owned()
    }

    /// Publishes the event that it is about; the number of events.
    pub async fn redrive(&self, store: &DynamoEventStore, bus: &Destination) -> Result<u64, Error> {
        match &self.about {
            About::Event { aggregate_id, version, source, .. } => {
                let versions = *version..=*version;
                match republish::of_aggregate(store, bus, Some(source), *aggregate_id, versions).await?.events {
                    0 => Err(format!("{aggregate_id} has no event of version {version}").into()),
                    events => Ok(events),
                }
            }
            // To put on the bus what lay in a queue would be to trust it with money.
            About::Request { source, .. } => {
                Err(format!("{source} repeats it, under the same request_id; then `delete` it").into())
            }
            About::Schedule => Ok(0),
            About::Records { .. } | About::Unknown => Err("not known to this program; look at it with `show`".into()),
        }
    }

    /// How many of the stream's records it is about, if it is about such.
    pub fn records(&self) -> Option<u64> {
        match self.about {
            About::Records { number, .. } => Some(number),
            _ => None,
        }
    }

    /// The times between which the events were decided that were in the stream's records, if it is about such.
    pub fn time(&self) -> Option<(Timestamp, Timestamp)> {
        /// An event is recorded, and so arrives in the stream, after it was decided; and clocks differ. What is published without
        /// need does no harm.
        const BEFORE: Duration = Duration::from_hours(1);
        const AFTER_MICROS: i64 = 3_600_000_000;
        let About::Records { from, to, .. } = self.about else { return None };
        Some((from.earlier_by(BEFORE), Timestamp::from_micros(to.as_micros() + AFTER_MICROS)))
    }
}

/// What a message is about, and who gave up why.
fn read(body: &Value) -> (About, String) {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let function = text("/requestContext/functionArn").rsplit("function:").next().unwrap_or_default();
    let gave_up = format!("{} {}", function.trim_end_matches(":$LATEST"), text("/requestContext/condition"));
    if let Some(records) = body.get("DDBStreamBatchInfo") {
        let time = |name: &str| records.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
        let number = records.get("batchSize").and_then(Value::as_u64).unwrap_or_default();
        let about = match (time("approximateArrivalOfFirstRecord"), time("approximateArrivalOfLastRecord")) {
            (Some(from), Some(to)) => About::Records { number, from, to },
            _ => About::Unknown,
        };
        return (about, gave_up);
    }
    // A failed invocation has the event inside; a rule or a target that could not be reached hands the event itself on.
    match body.get("requestPayload") {
        Some(event) => (of_event(event), format!("{gave_up}: {}", text("/responsePayload/errorMessage"))),
        None => (of_event(body), text("/detail/reason").to_owned()),
    }
}

fn of_event(event: &Value) -> About {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    if text("/source") == Some("aws.events") {
        return About::Schedule;
    }
    let request = |source: &str, event_id: &str| About::Request {
        source: text(source).unwrap_or_default().to_owned(),
        event_id: text(event_id).unwrap_or_default().to_owned(),
    };
    match text("/detail-type") {
        Some("DepositRequested") => return request("/source", "/id"),
        Some("DepositRequestUnreadable") => return request("/detail/source", "/detail/event_id"),
        _ => {}
    }
    // A number in an envelope, a text in the report of a record that cannot be read.
    let version = event.pointer("/detail/version");
    let version = version.and_then(|version| version.as_u64().or_else(|| version.as_str()?.parse().ok()));
    let aggregate_id = text("/detail/aggregate_id").and_then(|id| id.parse().ok()).map(AggregateId);
    match (text("/detail-type"), aggregate_id, version) {
        (Some(event_type), Some(aggregate_id), Some(version)) => {
            let source = text("/source").unwrap_or_default();
            // The publisher's report of a record that it could not read has a source of the publisher's own.
            let source = source.strip_suffix(PUBLISHERS).unwrap_or(source).to_owned();
            About::Event { event_type: event_type.to_owned(), aggregate_id, version, source }
        }
        _ => About::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn event() -> Value {
        json!({ "source": "daybook", "detail-type": "MoneyDeposited", "detail": { "aggregate_id": ID, "version": 7 } })
    }

    fn about_event(event_type: &str) -> About {
        let (aggregate_id, source) = (AggregateId(ID.parse().unwrap()), "daybook".to_owned());
        About::Event { event_type: event_type.to_owned(), aggregate_id, version: 7, source }
    }

    /// The record of a failed asynchronous invocation (Lambda developer guide, "Capturing records of invocations").
    fn failed(event: &Value) -> Value {
        json!({
            "version": "1.0",
            "requestContext": {
                "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:account-projector:$LATEST",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": 3,
            },
            "requestPayload": event,
            "responsePayload": { "errorType": "Error", "errorMessage": "the read table did not answer" },
        })
    }

    #[test]
    fn a_letter_is_one_line_that_does_not_command_the_terminal() {
        let event = json!({ "source": "evil\n\u{1b}[2J", "id": "\u{9b}\u{202e}", "detail-type": "DepositRequested" });
        let letter = Letter::new(Message::builder().message_id("1").body(failed(&event).to_string()).build());
        let shown = letter.in_words();
        assert_eq!(terminal::line(&shown), shown);
        assert!(shown.contains(r"request of evil\u000a\u001b[2J, event \u009b\u202e"), "{shown}");
    }

    #[test]
    fn every_kind_of_dead_letter_is_read() {
        let (about, reason) = read(&failed(&event()));
        assert_eq!(about, about_event("MoneyDeposited"));
        assert_eq!(reason, "account-projector RetriesExhausted: the read table did not answer");
        // A target that could not be reached at all: the event itself.
        assert_eq!(read(&event()).0, about_event("MoneyDeposited"));
        // The publisher's report has its numbers as texts.
        let detail = json!({ "aggregate_id": ID, "version": "7", "reason": "why" });
        let report =
            json!({ "source": "daybook.event-publisher", "detail-type": "StreamRecordUnreadable", "detail": detail });
        assert_eq!(read(&report), (about_event("StreamRecordUnreadable"), "why".to_owned()));
        let schedule = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
        assert_eq!(read(&failed(&schedule)).0, About::Schedule);
        // Another system's request that failed, and one that could not be read.
        let about = About::Request { source: "payments".to_owned(), event_id: "e".to_owned() };
        let request = json!({ "source": "payments", "id": "e", "detail-type": "DepositRequested", "detail": {} });
        assert_eq!(read(&failed(&request)).0, about);
        let detail = json!({ "source": "payments", "event_id": "e", "reason": "why" });
        let report =
            json!({ "source": "daybook.bus-commands", "detail-type": "DepositRequestUnreadable", "detail": detail });
        assert_eq!(read(&report), (about, "why".to_owned()));
    }

    #[test]
    fn what_a_stream_gave_up_is_a_time() {
        let batch = json!({
            "shardId": "s", "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": 2,
            "approximateArrivalOfFirstRecord": "2026-11-23T09:30:00Z",
            "approximateArrivalOfLastRecord": "2026-11-23T09:31:00Z",
            "streamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/events/stream/x",
        });
        let context = json!({
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:event-publisher",
            "condition": "RetryAttemptsExhausted",
        });
        let (about, reason) = read(&json!({ "requestContext": context, "DDBStreamBatchInfo": batch }));
        let [from, to] = ["2026-11-23T09:30:00Z", "2026-11-23T09:31:00Z"].map(|text| text.parse().unwrap());
        assert_eq!(
            (about, reason.as_str()),
            (About::Records { number: 2, from, to }, "event-publisher RetryAttemptsExhausted")
        );
    }

    #[test]
    fn what_is_not_understood_is_said_to_be_so() {
        for body in [json!(null), json!({}), json!({ "detail": { "version": -1 } }), json!([1]), failed(&json!("text"))]
        {
            assert_eq!(read(&body).0, About::Unknown, "{body}");
        }
    }
}
