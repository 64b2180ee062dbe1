//! What could not be handled. Whoever gave up (EventBridge, an asynchronous invocation, a stream's mapping, a rule) writes in a form
//! of its own; nearly all of them lead to recorded events, and to redrive a dead letter is to publish those once more. So nothing
//! that lay in a queue is trusted: the events come from the store, and everybody downstream knows one by its id.
//! A request of another system is not recorded: its sender, who has no answer, repeats it.

use std::time::Duration;

use aggregate::{AggregateId, Timestamp, Version};
use aws::DynamoEventStore;
use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName},
};
use clap::Subcommand;
use serde::Serialize;
use serde_json::Value;

use crate::{Error, Options, Scan, Verdict, republish};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// What waits, without its content.
    List(Queue),
    /// One of them, whole. It may hold what a person wrote.
    Show {
        /// Its id, from `list`.
        id: String,
        #[command(flatten)]
        queue: Queue,
    },
    /// Publishes the events of dead letters once more, from the store, and takes the letters out of the queue.
    Redrive {
        /// Their ids, from `list`.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that wait.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        #[command(flatten)]
        queue: Queue,
        /// The bus.
        #[arg(long, env = "EVENT_BUS", default_value = "daybook")]
        event_bus: String,
        #[command(flatten)]
        scan: Scan,
    },
    /// Takes dead letters out of the queue, and does nothing about them.
    Delete {
        /// Their ids, from `list`.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        queue: Queue,
    },
}

#[derive(Debug, clap::Args)]
pub struct Queue {
    /// The queue, without the prefix.
    #[arg(long, default_value = "dead-letters")]
    queue: String,
}

/// What a dead letter is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "about")]
pub enum About {
    /// One recorded event.
    Event { event_type: String, aggregate_id: AggregateId, version: Version },
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
struct Letter {
    id: String,
    sent_at: Option<Timestamp>,
    #[serde(flatten)]
    about: About,
    /// Who gave up and why, as far as it says.
    reason: String,
    #[serde(skip)]
    receipt: String,
    #[serde(skip)]
    body: String,
}

/// How long what is looked at is hidden from others who look.
const HIDDEN: Duration = Duration::from_mins(1);
/// How long what is redriven is.
const HIDDEN_FOR_REDRIVE: Duration = Duration::from_mins(15);

pub async fn run(options: &Options, store: &DynamoEventStore, command: &Command) -> Result<Verdict, Error> {
    let queue = match command {
        Command::List(queue)
        | Command::Show { queue, .. }
        | Command::Redrive { queue, .. }
        | Command::Delete { queue, .. } => &queue.queue,
    };
    let letters = Letters::connect(&format!("{}{queue}", options.table_prefix)).await?;
    match command {
        Command::List(_) => {
            let all = letters.look().await?;
            for letter in &all {
                options.tell(letter, &letter.in_words());
            }
            if all.is_empty() && !options.json {
                println!("nothing waits in {queue}");
            }
            Ok(if all.is_empty() { Verdict::Well } else { Verdict::NotWell })
        }
        Command::Show { id, .. } => {
            let all = letters.look().await?;
            let letter = all.iter().find(|letter| letter.id == *id).ok_or_else(|| no_letter(id))?;
            let body: Value = serde_json::from_str(&letter.body).unwrap_or_else(|_| Value::String(letter.body.clone()));
            println!("{}", if options.json { body.to_string() } else { format!("{body:#}") });
            Ok(Verdict::Well)
        }
        Command::Redrive { ids, all, event_bus, scan, .. } => {
            let bus = republish::connect(event_bus)?;
            let wanted = letters.take(ids, *all).await?;
            let mut verdict = Verdict::Well;
            for letter in wanted {
                match letter.redrive(store, &bus, *scan).await {
                    Ok(events) => {
                        // Only now: whoever is stopped before this redrives the letter once more.
                        letters.delete(&letter).await?;
                        let json = serde_json::json!({ "id": letter.id, "events": events });
                        options.tell(&json, &format!("{}: {events} events published", letter.id));
                    }
                    Err(error) => {
                        verdict = Verdict::NotWell;
                        letters.put_back(std::slice::from_ref(&letter)).await?;
                        let error = eventing::causes(&*error);
                        let json = serde_json::json!({ "id": letter.id, "error": error });
                        options.tell(&json, &format!("{}: stays, {error}", letter.id));
                    }
                }
            }
            Ok(verdict)
        }
        Command::Delete { ids, .. } => {
            for letter in letters.take(ids, false).await? {
                letters.delete(&letter).await?;
                options.tell(&serde_json::json!({ "id": letter.id }), &format!("{}: deleted", letter.id));
            }
            Ok(Verdict::Well)
        }
    }
}

fn no_letter(id: &str) -> Error {
    format!("no dead letter {id} waits; it may be hidden for a minute after somebody looked").into()
}

/// A queue of dead letters.
struct Letters {
    client: Client,
    url: String,
}

impl Letters {
    async fn connect(queue: &str) -> Result<Self, Error> {
        let client = sqs().map_err(|error| error.to_string())?;
        let url = client.get_queue_url().queue_name(queue).send().await?.queue_url;
        Ok(Self { client, url: url.ok_or("the queue has no URL")? })
    }

    /// All that wait, which stay where they are.
    async fn look(&self) -> Result<Vec<Letter>, Error> {
        let letters = self.receive(HIDDEN).await?;
        self.put_back(&letters).await?;
        Ok(letters)
    }

    /// All that wait, hidden from others for so long.
    async fn receive(&self, hidden: Duration) -> Result<Vec<Letter>, Error> {
        /// One request may miss what waits on another of the queue's servers (SQS developer guide, "short polling").
        const EMPTY_ANSWERS: u32 = 2;
        let (mut letters, mut empty) = (Vec::new(), 0);
        while empty < EMPTY_ANSWERS {
            let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
            let hidden = i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX);
            let messages = receive.visibility_timeout(hidden).send().await?.messages.unwrap_or_default();
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            letters.extend(messages.into_iter().map(Letter::new));
        }
        Ok(letters)
    }

    /// Those with these ids, or all, hidden from others; none where one of them is missing.
    async fn take(&self, ids: &[String], all: bool) -> Result<Vec<Letter>, Error> {
        let found = self.receive(HIDDEN_FOR_REDRIVE).await?;
        let (wanted, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|letter| all || ids.contains(&letter.id));
        self.put_back(&others).await?;
        if let Some(missing) = ids.iter().find(|id| !wanted.iter().any(|letter| letter.id == **id)) {
            self.put_back(&wanted).await?;
            return Err(no_letter(missing));
        }
        Ok(wanted)
    }

    async fn put_back(&self, letters: &[Letter]) -> Result<(), Error> {
        for letter in letters {
            let change = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(&letter.receipt);
            change.visibility_timeout(0).send().await?;
        }
        Ok(())
    }

    async fn delete(&self, letter: &Letter) -> Result<(), Error> {
        self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt).send().await?;
        Ok(())
    }
}

fn sqs() -> Result<Client, aws::ConfigError> {
    Ok(aws::client!(aws_sdk_sqs, "AWS_ENDPOINT_URL_SQS"))
}

impl Letter {
    fn new(message: Message) -> Self {
        let sent = message.attributes.and_then(|mut all| all.remove(&MessageSystemAttributeName::SentTimestamp));
        let sent_at =
            sent.and_then(|millis| millis.parse::<i64>().ok()).map(|millis| Timestamp::from_micros(millis * 1_000));
        let body = message.body.unwrap_or_default();
        let (about, reason) = read(&serde_json::from_str(&body).unwrap_or_default());
        let (id, receipt) = (message.message_id.unwrap_or_default(), message.receipt_handle.unwrap_or_default());
        Self { id, sent_at, about, reason, receipt, body }
    }

    fn in_words(&self) -> String {
        let about = match &self.about {
            About::Event { event_type, aggregate_id, version } => {
                format!("{event_type} {aggregate_id} version {version}")
            }
            About::Records { number, from, to } => format!("{number} stream records of {from} to {to}"),
            About::Request { source, event_id } => format!("request of {source}, event {event_id}"),
            About::Schedule => "a schedule".to_owned(),
            About::Unknown => "not known to this program".to_owned(),
        };
        let sent_at = self.sent_at.map(|at| at.to_string()).unwrap_or_default();
        format!("{}  {sent_at}  {about}: {}", self.id, self.reason)
    }

    /// Publishes what it is about; the number of events.
    async fn redrive(&self, store: &DynamoEventStore, bus: &aws::EventBridge, scan: Scan) -> Result<u64, Error> {
        /// An event is recorded, and so arrives in the stream, after it was decided; and clocks differ.
        const MARGIN: Duration = Duration::from_mins(5);
        match &self.about {
            About::Event { aggregate_id, version, .. } => {
                match republish::of_aggregate(store, bus, *aggregate_id, *version, *version).await?.events {
                    0 => Err(format!("{aggregate_id} has no event of version {version}").into()),
                    events => Ok(events),
                }
            }
            About::Records { from, to, .. } => {
                let (from, to) = (from.earlier_by(MARGIN), Timestamp::from_micros(to.as_micros() + 60_000_000));
                Ok(republish::of_time(store, bus, Some(from), Some(to), scan).await?.events)
            }
            // To put on the bus what lay in a queue would be to trust it with money.
            About::Request { source, .. } => {
                Err(format!("{source} repeats it, under the same request_id; then `delete` it").into())
            }
            About::Schedule => Ok(0),
            About::Unknown => Err("not known to this program; look at it with `show`".into()),
        }
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
            About::Event { event_type: event_type.to_owned(), aggregate_id, version }
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
        About::Event { event_type: event_type.to_owned(), aggregate_id: AggregateId(ID.parse().unwrap()), version: 7 }
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
