//! The event source mapping of a table's stream: reads records in order, hands them to a function in batches, and keeps what to do
//! about a batch that failed in one pure function, [`after_failure`].
//!
//! One batch is under way at a time, so the order of a stream is kept; where that is not to be had, a record is given up by the
//! template's limits, parked, and the next goes on.

use crate::bus::{Bus, now_ms};
use crate::console::Console;
use crate::durable::Durable;
use crate::engine::{Engine, Position};
use crate::pool::Pool;
use crate::template::{BatchRetry, StartingPosition, StreamMapping};
use crate::{names, stream_table};
use axum::body::Bytes;
use quamina::Quamina;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The waits between attempts of a batch grow from the first to the second.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long a batch waits for a process.
const PATIENCE: Duration = Duration::from_hours(1);

/// One mapping at work.
pub struct Feed {
    mapping: StreamMapping,
    name: String,
    filter: Option<Quamina<usize>>,
    pool: Arc<Pool>,
    engine: Engine,
    durable: Arc<Durable>,
    bus: Arc<Bus>,
    console: Arc<Console>,
}

/// What to do about a batch of `len` records that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The first so many are done; try the others, as the given attempt.
    Retry { done: usize, attempt: u64 },
    /// Try the first so many and then the others, each as a batch of its own.
    Halve { first: usize },
    /// Give the batch up.
    GiveUp,
}

/// Decides on a failed batch (Lambda developer guide, "Using AWS Lambda with DynamoDB", parameters of the mapping). `failed_from` is
/// the first record that failed where the function said which; `attempt` counts from 1.
#[must_use]
pub fn after_failure(rules: BatchRetry, len: usize, attempt: u64, failed_from: Option<usize>) -> Next {
    match failed_from.filter(|_| rules.reports_item_failures) {
        // Some were done: the others begin anew.
        Some(done) if done > 0 => Next::Retry { done, attempt: 1 },
        None if rules.bisects && len > 1 => Next::Halve { first: len / 2 },
        // Out of retries with others behind it: the first record stands alone, so that only it is given up.
        Some(_) if rules.bisects && len > 1 && rules.retries.is_exceeded_by(attempt) => Next::Halve { first: 1 },
        _ if rules.retries.is_exceeded_by(attempt) => Next::GiveUp,
        _ => Next::Retry { done: 0, attempt: attempt + 1 },
    }
}

impl Feed {
    pub fn new(
        mapping: StreamMapping,
        pool: Arc<Pool>,
        engine: Engine,
        durable: Arc<Durable>,
        bus: Arc<Bus>,
        console: Arc<Console>,
    ) -> Result<Self, String> {
        let mut filter = Quamina::new();
        for (index, pattern) in mapping.filters.iter().enumerate() {
            let refused = |error| format!("a filter of the stream of {} is not played here: {error}", mapping.table);
            filter.add_pattern(index, pattern).map_err(refused)?;
        }
        let filter = (!mapping.filters.is_empty()).then_some(filter);
        let name = format!("{} -> {}", mapping.table, mapping.function);
        Ok(Self { mapping, name, filter, pool, engine, durable, bus, console })
    }

    /// Feeds the function for ever.
    pub async fn run(self, mut writes: watch::Receiver<i64>) {
        loop {
            writes.borrow_and_update();
            match self.feed_once().await {
                Ok(true) => {}
                Ok(false) => {
                    if writes.changed().await.is_err() {
                        return;
                    }
                }
                Err(problem) => {
                    self.console.trouble(&format!("the stream of {}: {problem}", self.mapping.table));
                    tokio::time::sleep(BACKOFF_MAX).await;
                }
            }
        }
    }

    /// Handles the next records, if there are any.
    async fn feed_once(&self) -> Result<bool, String> {
        let checkpoint = self.durable.checkpoint(&self.name).map_err(|error| error.to_string())?;
        let from = checkpoint.map_or(Position::TrimHorizon, Position::After);
        let mut records = self.engine.stream_records(&self.mapping.table, &from, self.mapping.batch_records_max)?;
        let Some(last) = records.last().map(sequence_number) else { return Ok(false) };
        // Without a checkpoint, LATEST passes over what was there before; TRIM_HORIZON does not.
        if from == Position::TrimHorizon && self.mapping.starting_position == StartingPosition::Latest {
            records.clear();
        }
        records.retain(|record| {
            let text = record.to_string();
            self.filter.as_ref().is_none_or(|filter| filter.has_matches(text.as_bytes()).unwrap_or(true))
        });
        for record in &records {
            self.console.appended(record, stream_table::written_at_ms(&sequence_number(record)));
        }
        self.hand_on(records).await?;
        self.checkpoint(&last)?;
        Ok(true)
    }

    /// Hands on a batch, in parts where it must be.
    async fn hand_on(&self, records: Vec<Value>) -> Result<(), String> {
        let mut parts = vec![(records, 1)];
        while let Some((mut part, attempt)) = parts.pop() {
            self.give_up_expired(&mut part)?;
            let Some(last) = part.last().map(sequence_number) else { continue };
            let failed = match self.invoke(&part).await {
                Ok(None) => {
                    self.checkpoint(&last)?;
                    continue;
                }
                Ok(Some(failed_from)) => (Some(failed_from), "it reported failed records".to_owned()),
                Err(problem) => (None, problem),
            };
            match after_failure(self.mapping.retry, part.len(), attempt, failed.0) {
                Next::Halve { first } => {
                    let second = part.split_off(first);
                    parts.push((second, attempt));
                    parts.push((part, attempt));
                }
                Next::Retry { done, attempt } => {
                    let rest = part.split_off(done);
                    if let Some(done) = part.last() {
                        self.checkpoint(&sequence_number(done))?;
                    }
                    parts.push((rest, attempt));
                    self.console
                        .trouble(&format!("{} will be tried again with records: {}", self.mapping.function, failed.1));
                    let doublings = u32::try_from(attempt).unwrap_or(u32::MAX);
                    let wait = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(BACKOFF_MAX);
                    tokio::time::sleep(wait).await;
                }
                Next::GiveUp => self.give_up(&part, "RetryAttemptsExhausted", attempt, &failed.1)?,
            }
        }
        Ok(())
    }

    /// Invokes the function: `None` when all is done, else the first record that is not.
    async fn invoke(&self, records: &[Value]) -> Result<Option<usize>, String> {
        let arn = names::stream_arn(&self.mapping.table);
        let records: Vec<Value> = records.iter().map(|record| event_record(record, &arn)).collect();
        let payload = Bytes::from(json!({ "Records": records }).to_string());
        let answer = self.pool.invoke(payload, PATIENCE).await.map_err(|failure| format!("{failure:?}"))?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let none = Vec::new();
        let failures = answer["batchItemFailures"].as_array().unwrap_or(&none);
        let place = |failure: &Value| {
            let failed = failure["itemIdentifier"].as_str().unwrap_or_default();
            records.iter().position(|record| sequence_number(record) == failed)
        };
        // An identifier that is not of this batch means the whole of it.
        Ok(failures.iter().map(|failure| place(failure).unwrap_or(0)).min())
    }

    /// Gives up leading records that are older than the template allows.
    fn give_up_expired(&self, part: &mut Vec<Value>) -> Result<(), String> {
        let age_s = |record: &Value| {
            let written_at = stream_table::written_at_ms(&sequence_number(record)).unwrap_or_else(now_ms);
            u64::try_from((now_ms() - written_at) / 1000).unwrap_or(0)
        };
        let expired =
            part.iter().take_while(|record| self.mapping.retry.record_age_s.is_exceeded_by(age_s(record))).count();
        let rest = part.split_off(expired);
        let expired = std::mem::replace(part, rest);
        if expired.is_empty() { Ok(()) } else { self.give_up(&expired, "RecordAgeExceeded", 0, "too old") }
    }

    /// Parks where the records are, as Lambda does; the records themselves stay in the table.
    fn give_up(&self, records: &[Value], condition: &str, attempts: u64, why: &str) -> Result<(), String> {
        let (first, last) = (records.first().map(sequence_number), records.last().map(sequence_number));
        let message = json!({
            "requestContext": {
                "functionArn": names::function_arn(&self.mapping.function),
                "condition": condition, "approximateInvokeCount": attempts,
            },
            "version": "1.0", "timestamp": jiff::Timestamp::now().to_string(),
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000000-local", "startSequenceNumber": first, "endSequenceNumber": last,
                "batchSize": records.len(), "streamArn": names::stream_arn(&self.mapping.table),
            },
        });
        match &self.mapping.on_failure {
            Some(queue) => self.bus.park(queue, &message, why).map_err(|error| error.to_string())?,
            None => self.console.parked("nowhere: no failure destination", why),
        }
        last.map_or(Ok(()), |last| self.checkpoint(&last))
    }

    fn checkpoint(&self, sequence_number: &str) -> Result<(), String> {
        self.durable.set_checkpoint(&self.name, sequence_number).map_err(|error| error.to_string())
    }
}

fn sequence_number(record: &Value) -> String {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A record as Lambda hands it on; the engine gives all but the ARN.
fn event_record(record: &Value, arn: &str) -> Value {
    let mut record = record.clone();
    record["eventSourceARN"] = json!(arn);
    record["eventSource"] = json!("aws:dynamodb");
    record["awsRegion"] = json!(names::REGION);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Limit;

    fn rules(reports: bool, bisects: bool, retries: u64) -> BatchRetry {
        BatchRetry {
            reports_item_failures: reports,
            bisects,
            retries: Limit::AtMost(retries),
            record_age_s: Limit::Unlimited,
        }
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        assert_eq!(after_failure(rules(true, true, 2), 5, 2, Some(3)), Next::Retry { done: 3, attempt: 1 });
    }

    #[test]
    fn a_record_that_keeps_failing_is_given_up_after_its_retries() {
        assert_eq!(after_failure(rules(true, true, 2), 5, 1, Some(0)), Next::Retry { done: 0, attempt: 2 });
        assert_eq!(after_failure(rules(true, true, 2), 5, 2, Some(0)), Next::Retry { done: 0, attempt: 3 });
        assert_eq!(after_failure(rules(true, true, 2), 5, 3, Some(0)), Next::Halve { first: 1 });
        assert_eq!(after_failure(rules(true, false, 0), 1, 1, None), Next::GiveUp);
    }

    #[test]
    fn a_failure_without_a_place_is_halved_down_to_the_record() {
        assert_eq!(after_failure(rules(true, true, 2), 5, 3, None), Next::Halve { first: 2 });
        assert_eq!(after_failure(rules(true, true, 2), 1, 3, None), Next::GiveUp);
        assert_eq!(after_failure(rules(true, false, 2), 5, 1, None), Next::Retry { done: 0, attempt: 2 });
    }

    #[test]
    fn a_place_that_was_not_asked_for_is_not_looked_at() {
        assert_eq!(after_failure(rules(false, false, 2), 5, 1, Some(3)), Next::Retry { done: 0, attempt: 2 });
    }
}
