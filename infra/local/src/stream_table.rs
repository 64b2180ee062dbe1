//! Everything that the local cloud knows about a private table of the engine: its stream records.
//!
//! The engine finds a stream record's place with `MAX(CAST(sequence_number AS INTEGER))`, for which it has no index, so every
//! write costs as much as all stream records before it. An index on that expression makes the cost flat. It never forgets
//! a record either, which AWS does after a day. Both are put right here, through a second connection to the same file, and
//! nowhere else; the workspace pins the engine's exact version for it.

use rusqlite::{Connection, params};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// How long a stream keeps its records (`DynamoDB` Streams).
const RETENTION_HOURS: i64 = 24;

/// How often the engine's file is looked at for changes: a few milliseconds between a write and its delivery, for less than
/// a hundredth of a core.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// The engine's public sequence numbers are its stored ones plus this, which gives them DynamoDB's 21 digits.
const SEQUENCE_NUMBER_OFFSET: u128 = 100_000_000_000_000_000_000;

const ADD_INDEX: &str = "CREATE INDEX IF NOT EXISTS stream_records_in_order
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// Makes the cost of a write independent of the number of stream records.
pub fn add_index(file: &str) -> rusqlite::Result<()> {
    Connection::open(file)?.execute_batch(ADD_INDEX)
}

/// Forgets the records of `table` that are past their retention and also past `checkpoint`, up to which everybody has read
/// them. On AWS the second half of that is missing: there a reader that is away for a day loses records. Here it would be
/// the whole cloud that was away, and then nothing ought to be lost.
pub fn trim(file: &str, table: &str, checkpoint: &str) -> rusqlite::Result<usize> {
    let Some(stored) = stored_sequence_number(checkpoint) else { return Ok(0) };
    Connection::open(file)?.execute(
        "DELETE FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2
            AND created_at < unixepoch() - ?3 * 3600",
        params![table, stored, RETENTION_HOURS],
    )
}

/// The time of a write in milliseconds since 1970. The engine numbers records by the microsecond at which they were written,
/// unless two fall in one; its own time of creation is in whole seconds.
#[must_use]
pub fn written_at_ms(sequence_number: &str) -> Option<i64> {
    stored_sequence_number(sequence_number).map(|microseconds| microseconds / 1000)
}

/// A signal that something in the engine was written; it may come without reason. A thread of its own looks for as long as
/// someone listens: `PRAGMA data_version` costs a few microseconds and locks nothing.
pub fn watch_writes(file: &str) -> rusqlite::Result<watch::Receiver<i64>> {
    let connection = Connection::open(file)?;
    let version = move || connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0));
    let (sender, receiver) = watch::channel(version()?);
    thread::spawn(move || {
        while !sender.is_closed() {
            thread::sleep(LOOK_INTERVAL);
            // A version that cannot be read says nothing; the next look is near.
            if let Ok(version) = version() {
                sender.send_if_modified(|last| std::mem::replace(last, version) != version);
            }
        }
    });
    Ok(receiver)
}

fn stored_sequence_number(public: &str) -> Option<i64> {
    i64::try_from(public.parse::<u128>().ok()?.checked_sub(SEQUENCE_NUMBER_OFFSET)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use dynoxide::Database;
    use rusqlite::StatementStatus;

    /// How the engine asks for the next sequence number.
    const NEXT_SEQUENCE_NUMBER: &str =
        "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 't'";

    fn write(connection: &Connection, sequence_number: u32, age_h: u32) {
        let insert =
            "INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
            VALUES ('t', 'INSERT', '{}', ?1, 's', unixepoch() - ?2 * 3600)";
        connection.execute(insert, params![sequence_number.to_string(), age_h]).unwrap();
    }

    #[test]
    fn a_write_costs_the_same_however_many_were_before_it() {
        let file = Data::in_memory().engine_file();
        let _engine = Database::new(&file).unwrap();
        add_index(&file).unwrap();
        let connection = Connection::open(&file).unwrap();
        let steps_after = |records: std::ops::Range<u32>| {
            records.for_each(|sequence_number| write(&connection, sequence_number, 0));
            let mut statement = connection.prepare(NEXT_SEQUENCE_NUMBER).unwrap();
            statement.query_row([], |row| row.get::<_, i64>(0)).unwrap();
            statement.get_status(StatementStatus::VmStep)
        };
        assert_eq!(steps_after(1..10), steps_after(10..1000));
    }

    #[test]
    fn only_old_records_that_were_read_are_forgotten() {
        let file = Data::in_memory().engine_file();
        let _engine = Database::new(&file).unwrap();
        let connection = Connection::open(&file).unwrap();
        for (sequence_number, age_h) in [(1, 30), (2, 30), (3, 1), (4, 30)] {
            write(&connection, sequence_number, age_h);
        }
        assert_eq!(trim(&file, "t", "100000000000000000003").unwrap(), 2);
        let left: String = connection
            .query_row("SELECT group_concat(sequence_number) FROM _stream_records", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, "3,4");
    }

    #[test]
    fn a_sequence_number_tells_when_the_record_was_written() {
        assert_eq!(written_at_ms("100001700000000123456"), Some(1_700_000_000_123));
        assert_eq!(written_at_ms("5"), None);
    }

    #[tokio::test]
    async fn a_write_is_noticed_in_memory_and_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        for data in [Data::in_memory(), Data::in_folder(folder.path(), false).unwrap()] {
            let file = data.engine_file();
            let engine = Database::new(&file).unwrap();
            let mut writes = watch_writes(&file).unwrap();
            let table = serde_json::json!({
                "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            });
            engine.create_table(serde_json::from_value(table).unwrap()).unwrap();
            tokio::time::timeout(Duration::from_secs(5), writes.changed()).await.unwrap().unwrap();
        }
    }
}
