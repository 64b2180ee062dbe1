//! SQS: the messages in the template's queues, for whoever looks after them.
//!
//! Promises: a message that is received stays hidden from others for as long as they said, or until this process ends, and stays
//! in the queue until it is deleted. Functions and rules put messages in; nobody sends one over this API.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    aws_json::{self, error, respond},
    durable::{Durable, Waiting},
    names,
};

const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a received message is hidden where nobody says otherwise (SQS default).
const VISIBILITY_TIMEOUT_S: u64 = 30;

/// The queues.
pub struct Queues {
    names: Vec<String>,
    durable: Arc<Durable>,
    /// By message.
    hidden_until: Mutex<HashMap<String, Instant>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: String,
    #[serde(default = "one")]
    max_number_of_messages: usize,
    visibility_timeout: Option<u64>,
    /// The older name of the next field, which SQS still takes.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneMessage {
    queue_url: String,
    receipt_handle: String,
    #[serde(default)]
    visibility_timeout: u64,
}

impl Queues {
    /// The queues `names`.
    pub fn new(names: Vec<String>, durable: Arc<Durable>) -> Self {
        Self { names, durable, hidden_until: Mutex::default() }
    }

    /// SQS's API.
    pub fn router(self) -> Router {
        Router::new().route("/", post(handle)).with_state(Arc::new(self))
    }

    async fn answer(&self, headers: &HeaderMap, body: Body) -> Result<Value, Refused> {
        let action = aws_json::action(headers);
        match action.strip_prefix("AmazonSQS.") {
            Some("GetQueueUrl") => {
                let asked: GetQueueUrl = aws_json::request(action, headers, body, BODY_BYTES_MAX).await?;
                let queue = self.names.iter().find(|name| **name == asked.queue_name).ok_or_else(no_queue)?;
                Ok(json!({ "QueueUrl": names::queue_url(queue) }))
            }
            Some("GetQueueAttributes") => {
                let asked: GetQueueAttributes = aws_json::request(action, headers, body, BODY_BYTES_MAX).await?;
                let all = self.durable.messages(self.queue(&asked.queue_url)?).map_err(broken)?;
                let seen = self.visible(all.clone());
                let (waiting, hidden) = (seen.len().to_string(), (all.len() - seen.len()).to_string());
                let attributes = [
                    ("ApproximateNumberOfMessages", waiting),
                    ("ApproximateNumberOfMessagesNotVisible", hidden),
                    ("ApproximateNumberOfMessagesDelayed", "0".to_owned()),
                ];
                Ok(json!({ "Attributes": asked_for(&asked.attribute_names, attributes) }))
            }
            Some("ReceiveMessage") => {
                let asked: ReceiveMessage = aws_json::request(action, headers, body, BODY_BYTES_MAX).await?;
                let timeout = Duration::from_secs(asked.visibility_timeout.unwrap_or(VISIBILITY_TIMEOUT_S));
                let messages = self.receive(self.queue(&asked.queue_url)?, asked.max_number_of_messages, timeout)?;
                let names = [asked.attribute_names, asked.message_system_attribute_names].concat();
                Ok(json!({ "Messages": messages.iter().map(|message| shown(message, &names)).collect::<Vec<_>>() }))
            }
            Some("DeleteMessage") => {
                let asked: OneMessage = aws_json::request(action, headers, body, BODY_BYTES_MAX).await?;
                let queue = self.queue(&asked.queue_url)?;
                self.durable.delete_message(queue, &asked.receipt_handle).map_err(broken)?;
                Ok(json!({}))
            }
            Some("ChangeMessageVisibility") => {
                let asked: OneMessage = aws_json::request(action, headers, body, BODY_BYTES_MAX).await?;
                self.queue(&asked.queue_url)?;
                self.hide(asked.receipt_handle, Duration::from_secs(asked.visibility_timeout));
                Ok(json!({}))
            }
            _ => Ok(aws_json::request("SQS for receiving and deleting", headers, body, BODY_BYTES_MAX).await?),
        }
    }

    fn queue(&self, url: &str) -> Result<&str, Refused> {
        self.names.iter().map(String::as_str).find(|name| names::queue_url(name) == url).ok_or_else(no_queue)
    }

    fn receive(&self, queue: &str, messages_max: usize, timeout: Duration) -> Result<Vec<Waiting>, Refused> {
        let mut messages = self.visible(self.durable.messages(queue).map_err(broken)?);
        messages.truncate(messages_max);
        for message in &messages {
            self.hide(message.id.clone(), timeout);
        }
        Ok(messages)
    }

    /// Those that nobody hides.
    fn visible(&self, mut messages: Vec<Waiting>) -> Vec<Waiting> {
        let now = Instant::now();
        let mut hidden_until = self.hidden_until.lock().unwrap_or_else(PoisonError::into_inner);
        hidden_until.retain(|_, until| *until > now);
        messages.retain(|message| !hidden_until.contains_key(&message.id));
        messages
    }

    fn hide(&self, message: String, timeout: Duration) {
        let mut hidden_until = self.hidden_until.lock().unwrap_or_else(PoisonError::into_inner);
        hidden_until.insert(message, Instant::now() + timeout);
    }
}

/// An answer that says no.
struct Refused(Box<Response>);

impl From<Box<Response>> for Refused {
    fn from(answer: Box<Response>) -> Self {
        Self(answer)
    }
}

/// A message as SQS shows it, with the attributes `names`. Its receipt is its id: nothing is received twice at the same time.
fn shown(message: &Waiting, names: &[String]) -> Value {
    let Waiting { id, body, sent_at_ms } = message;
    let attributes = asked_for(names, [("SentTimestamp", sent_at_ms.to_string())]);
    json!({ "MessageId": id, "ReceiptHandle": id, "Body": body, "Attributes": attributes })
}

/// Those of `attributes` that a request asks for by name. SQS answers no others.
fn asked_for<const N: usize>(
    names: &[String],
    attributes: [(&'static str, String); N],
) -> BTreeMap<&'static str, String> {
    let is_asked_for = |attribute: &str| names.iter().any(|name| name == attribute || name == "All");
    attributes.into_iter().filter(|(attribute, _)| is_asked_for(attribute)).collect()
}

fn no_queue() -> Refused {
    Refused(Box::new(error(StatusCode::BAD_REQUEST, "QueueDoesNotExist", "The specified queue does not exist.")))
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can be handed to `map_err`")]
fn broken(problem: rusqlite::Error) -> Refused {
    Refused(Box::new(error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &problem.to_string())))
}

async fn handle(State(queues): State<Arc<Queues>>, headers: HeaderMap, body: Body) -> Response {
    match queues.answer(&headers, body).await {
        Ok(answer) => respond(StatusCode::OK, &answer),
        Err(Refused(answer)) => *answer,
    }
}
