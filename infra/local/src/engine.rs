//! The tables: a DynamoDB engine in this process (`dynoxide`, on SQLite).
//!
//! Promises: every table of the template exists, as the template has it, before anything is served; an existing table that
//! is not as the template has it stops the start instead of being changed or deleted. Functions reach the engine over HTTP
//! with AWS's own SDK; the local cloud itself only reads streams, in process.

mod api;

use axum::Router;
use dynoxide::{
    Database,
    actions::{get_records::GetRecordsRequest, get_shard_iterator::GetShardIteratorRequest},
    streams::{shard_id, stream_arn},
};
use serde_json::{Value, json};

use crate::{data::Data, stream_table, template::Table};

/// The largest page of a stream (`GetRecords` quota).
const STREAM_PAGE_RECORDS_MAX: usize = 1000;

/// The engine. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    database: Database,
}

/// Where in a stream to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At the oldest record.
    TrimHorizon,
    /// After the record with this sequence number.
    After(String),
}

impl Engine {
    /// The engine on `data`, with every one of `tables`.
    pub fn open(data: &Data, tables: &[Table]) -> Result<Self, String> {
        let file = data.engine_file();
        let database = Database::new(&file).map_err(|error| format!("cannot open the tables in {file}: {error}"))?;
        let engine = Self { database };
        for table in tables {
            engine.create(table).map_err(|problem| format!("table {}: {problem}", table.name))?;
        }
        stream_table::add_index(&file).map_err(|error| format!("cannot index the streams in {file}: {error}"))?;
        Ok(engine)
    }

    /// DynamoDB's API.
    pub fn router(self) -> Router {
        api::router(self.database)
    }

    /// Up to `limit` records of a table's stream, oldest first, as `GetRecords` gives them.
    pub fn stream_records(&self, table: &str, from: &Position, limit: usize) -> Result<Vec<Value>, String> {
        let (kind, sequence_number) = match from {
            Position::TrimHorizon => ("TRIM_HORIZON", None),
            Position::After(sequence_number) => ("AFTER_SEQUENCE_NUMBER", Some(sequence_number.clone())),
        };
        let iterator = GetShardIteratorRequest {
            stream_arn: stream_arn(table, "any"),
            shard_id: shard_id(table),
            shard_iterator_type: kind.to_owned(),
            sequence_number,
        };
        let shard_iterator = self
            .database
            .get_shard_iterator(iterator)
            .map_err(|error| error.to_string())?
            .shard_iterator
            .unwrap_or_default();
        let request = GetRecordsRequest { shard_iterator, limit: Some(limit.min(STREAM_PAGE_RECORDS_MAX)) };
        let page = self.database.get_records(request).map_err(|error| error.to_string())?;
        page.records.into_iter().map(|record| serde_json::to_value(record).map_err(|error| error.to_string())).collect()
    }

    /// The one shard of a table's stream.
    pub fn shard_id(table: &str) -> String {
        shard_id(table)
    }

    fn create(&self, table: &Table) -> Result<(), String> {
        let existing = self.database.get_table_metadata(&table.name).map_err(|error| error.to_string())?;
        if existing.is_none() {
            let request = serde_json::from_value(table.create.clone()).map_err(|error| error.to_string())?;
            return self.database.create_table(request).map(drop).map_err(|error| error.to_string());
        }
        let request = serde_json::from_value(json!({ "TableName": table.name })).map_err(|error| error.to_string())?;
        let existing = self.database.describe_table(request).map_err(|error| error.to_string())?;
        let existing = serde_json::to_value(existing.table).map_err(|error| error.to_string())?;
        match difference(&table.create, &existing) {
            None => Ok(()),
            Some(part) => Err(format!(
                "its {part} is no longer as in the template, and the local cloud does not change tables; \
                 begin anew with --reset, or elsewhere with --data-dir"
            )),
        }
    }
}

/// The first part of a table that is not as wanted.
fn difference(wanted: &Value, existing: &Value) -> Option<&'static str> {
    const PARTS: [&str; 4] = ["KeySchema", "LocalSecondaryIndexes", "GlobalSecondaryIndexes", "StreamSpecification"];
    PARTS.into_iter().find(|part| !says_the_same(&wanted[part], &existing[part]))
}

/// Whether `existing` has everything that is wanted. It may say more: sizes, states and ARNs. But it may not have an index
/// more; and indexes come in no particular order.
fn says_the_same(wanted: &Value, existing: &Value) -> bool {
    match (wanted, existing) {
        (Value::Object(wanted), Value::Object(existing)) => {
            wanted.iter().all(|(key, value)| existing.get(key).is_some_and(|existing| says_the_same(value, existing)))
        }
        (Value::Array(wanted), Value::Array(existing)) => {
            let has = |item: &Value| existing.iter().any(|other| says_the_same(item, other));
            wanted.len() == existing.len() && wanted.iter().all(has)
        }
        (wanted, existing) => wanted == existing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(sort_key: &str) -> Table {
        let create = json!({
            "TableName": "things",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                { "AttributeName": "id", "AttributeType": "S" }, { "AttributeName": sort_key, "AttributeType": "N" },
            ],
            "KeySchema": [
                { "AttributeName": "id", "KeyType": "HASH" }, { "AttributeName": sort_key, "KeyType": "RANGE" },
            ],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" },
        });
        Table { name: "things".to_owned(), create }
    }

    fn put(engine: &Engine, version: u32) {
        let request =
            json!({ "TableName": "things", "Item": { "id": { "S": "a" }, "version": { "N": version.to_string() } } });
        engine.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    fn versions(records: &[Value]) -> Vec<&str> {
        records.iter().filter_map(|record| record.pointer("/dynamodb/Keys/version/N")?.as_str()).collect()
    }

    #[test]
    fn a_stream_is_read_from_anywhere_in_the_order_of_writing() {
        let engine = Engine::open(&Data::in_memory(), &[table("version")]).unwrap();
        (1..=12).for_each(|version| put(&engine, version));
        let first = engine.stream_records("things", &Position::TrimHorizon, 10).unwrap();
        assert_eq!(versions(&first), ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
        let last = first[9].pointer("/dynamodb/SequenceNumber").unwrap().as_str().unwrap().to_owned();
        let rest = engine.stream_records("things", &Position::After(last), 10).unwrap();
        assert_eq!(versions(&rest), ["11", "12"]);
    }

    #[test]
    fn tables_outlive_the_process_and_are_never_changed() {
        let folder = tempfile::tempdir().unwrap();
        let open = |sort_key| {
            let data = Data::in_folder(folder.path(), false).unwrap();
            Engine::open(&data, &[table(sort_key)])
        };
        put(&open("version").unwrap(), 1);
        assert_eq!(open("version").unwrap().stream_records("things", &Position::TrimHorizon, 10).unwrap().len(), 1);
        let refused = open("position").err().unwrap();
        assert!(refused.contains("table things: its KeySchema is no longer as in the template"), "{refused}");
    }
}
