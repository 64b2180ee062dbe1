//! Stream records as Lambda hands them to a function, and as it tells of them when they are given up.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::batch::Part;
use crate::{
    console::Appended,
    engine::Engine,
    lambda::{PAYLOAD_BYTES_MAX, timestamp},
    names, stream_table,
};

/// What is around the records of an event.
const ENVELOPE_BYTES_MAX: usize = 1024;

/// A record on its way to the function.
pub struct Record {
    pub sequence_number: String,
    pub written: Timestamp,
    json: Value,
}

impl Record {
    /// The engine's record, as AWS would name its origin.
    pub fn new(json: &Value, table: &str) -> Option<Self> {
        let sequence_number = sequence_number(json)?;
        let written =
            stream_table::written_at_ms(&sequence_number).and_then(|ms| Timestamp::from_millisecond(ms).ok())?;
        let mut json = json.clone();
        json["awsRegion"] = json!(names::REGION);
        json["eventSourceARN"] = json!(names::stream_arn(table));
        Some(Self { sequence_number, written, json })
    }

    /// What the console wants to know of it.
    pub fn appended(&self, table: &str) -> Appended {
        let change = &self.json["dynamodb"];
        Appended {
            keys: change["Keys"].clone(),
            image: change["NewImage"].clone(),
            event_name: self.json["eventName"].as_str().unwrap_or_default().to_owned(),
            table: table.to_owned(),
            written_at_ms: self.written.as_millisecond(),
        }
    }
}

/// The event with these records.
pub fn event(records: &[Record]) -> String {
    let records: Vec<&Value> = records.iter().map(|record| &record.json).collect();
    json!({ "Records": records }).to_string()
}

/// Parts that each fit into an invocation.
pub fn parts_by_size(records: &[Record]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut bytes = 0;
    for (place, record) in records.iter().enumerate() {
        let record_bytes = record.json.to_string().len() + 1;
        bytes += record_bytes;
        match parts.last_mut() {
            Some(part) if bytes < PAYLOAD_BYTES_MAX - ENVELOPE_BYTES_MAX => part.to = place + 1,
            _ => {
                parts.push(Part { from: place, to: place + 1, failures: 0 });
                bytes = record_bytes;
            }
        }
    }
    parts
}

/// The message that Lambda sends to a queue for records that it gives up. It tells where they are, not what they are.
pub fn failure_message(lost: &[Record], table: &str, function: &str, condition: &str, failures: u64) -> Value {
    let (oldest, newest) = (lost.first(), lost.last());
    json!({
        "requestContext": {
            "requestId": uuid::Uuid::new_v4(),
            "functionArn": names::function_arn(function),
            "condition": condition,
            "approximateInvokeCount": failures,
        },
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "version": "1.0",
        "timestamp": timestamp(Timestamp::now()),
        "DDBStreamBatchInfo": {
            "shardId": Engine::shard_id(table),
            "startSequenceNumber": oldest.map(|record| &record.sequence_number),
            "endSequenceNumber": newest.map(|record| &record.sequence_number),
            "approximateArrivalOfFirstRecord": oldest.map(|record| timestamp(record.written)),
            "approximateArrivalOfLastRecord": newest.map(|record| timestamp(record.written)),
            "batchSize": lost.len(),
            "streamArn": names::stream_arn(table),
        },
    })
}

/// How far a page of a stream goes.
pub fn last_sequence_number(page: &[Value]) -> Option<String> {
    page.last().and_then(sequence_number)
}

fn sequence_number(record: &Value) -> Option<String> {
    record.pointer("/dynamodb/SequenceNumber")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64, filling: usize) -> Record {
        let sequence_number = format!("10000170000000{number:07}");
        let image = json!({ "x": { "S": "x".repeat(filling) } });
        let json = json!({ "eventName": "INSERT", "awsRegion": "?", "dynamodb": { "SequenceNumber": sequence_number, "NewImage": image } });
        Record::new(&json, "things").unwrap()
    }

    #[test]
    fn a_record_says_where_it_comes_from() {
        let record = record(0, 1);
        assert_eq!(record.json["awsRegion"], "us-east-1");
        assert_eq!(record.json["eventSourceARN"], "arn:aws:dynamodb:us-east-1:000000000000:table/things/stream/local");
        assert_eq!(record.written.to_string(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn records_that_do_not_fit_together_go_one_after_the_other() {
        let records: Vec<_> = (0..5).map(|number| record(number, 2_500_000)).collect();
        let parts = parts_by_size(&records);
        assert_eq!(parts.iter().map(|part| (part.from, part.to)).collect::<Vec<_>>(), [(0, 2), (2, 4), (4, 5)]);
        assert!(parts.iter().all(|part| event(&records[part.from..part.to]).len() <= PAYLOAD_BYTES_MAX));
    }

    #[test]
    fn what_is_given_up_is_told_as_lambda_tells_it() {
        let mut message = failure_message(&[record(1, 1), record(2, 1)], "things", "f", "RetryAttemptsExhausted", 3);
        assert!(message["timestamp"].take().is_string());
        assert!(message["requestContext"]["requestId"].take().is_string());
        let expected = json!({
            "requestContext": {
                "requestId": null, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": null,
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000001-things",
                "startSequenceNumber": "100001700000000000001", "endSequenceNumber": "100001700000000000002",
                "approximateArrivalOfFirstRecord": "2023-11-14T22:13:20.000Z",
                "approximateArrivalOfLastRecord": "2023-11-14T22:13:20.000Z",
                "batchSize": 2, "streamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/things/stream/local",
            },
        });
        assert_eq!(message, expected);
    }
}
