//! Everything that the local cloud knows about a private table of the engine: its stream records.
//!
//! The engine finds a stream record's place with `MAX(CAST(sequence_number AS INTEGER))`, for which it has no index, so every
//! write costs as much as all stream records before it. An index on that expression makes the cost flat. It never forgets
//! a record either, which AWS does after a day. Both are put right here, through a second connection to the same file, and
//! nowhere else; the workspace pins the engine's exact version for it.

use std::{
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tokio::sync::watch;

/// How long a stream keeps its records (`DynamoDB` Streams).
const RETENTION_HOURS: i64 = 24;

/// How often the engine's file is looked at for writes while there may be some.
const LOOK_INTERVAL_BUSY: Duration = Duration::from_millis(2);
/// And when nobody is known to write. A person with a command line can; a wake-up costs up to 0.1 ms of a core.
const LOOK_INTERVAL_IDLE: Duration = Duration::from_millis(50);
/// How long there may be writes after the last sign of some.
const BUSY: Duration = Duration::from_secs(2);

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
pub fn written_at_ms(sequence_number: &str) -> Option<i64> {
    stored_sequence_number(sequence_number).map(|microseconds| microseconds / 1000)
}

/// Looks out for writes. Told that some are likely, it looks more often.
#[derive(Clone)]
pub struct Lookout(SyncSender<()>);

impl Lookout {
    /// Somebody is at work who may write.
    pub fn expect_writes(&self) {
        // A sign that still waits to be seen is enough.
        let _ = self.0.try_send(());
    }
}

/// A signal that something in the engine was written; it may come without reason. A thread of its own looks for as long as
/// there is a lookout: `PRAGMA data_version` changes with every commit of another connection, and locks nobody out.
pub fn watch_writes(file: &str) -> rusqlite::Result<(Lookout, watch::Receiver<i64>)> {
    let connection = Connection::open(file)?;
    let version = move || connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get::<_, i64>(0));
    let (sender, receiver) = watch::channel(version()?);
    let (sign, signs) = sync_channel(1);
    thread::spawn(move || {
        let mut last_sign = Instant::now();
        loop {
            let interval = if last_sign.elapsed() < BUSY { LOOK_INTERVAL_BUSY } else { LOOK_INTERVAL_IDLE };
            let sign = signs.recv_timeout(interval);
            if sign == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            // A version that cannot be read says nothing; the next look is near.
            let changed = version()
                .is_ok_and(|version| sender.send_if_modified(|last| std::mem::replace(last, version) != version));
            if changed || sign.is_ok() {
                last_sign = Instant::now();
            }
        }
    });
    Ok((Lookout(sign), receiver))
}

fn stored_sequence_number(public: &str) -> Option<i64> {
    i64::try_from(public.parse::<u128>().ok()?.checked_sub(SEQUENCE_NUMBER_OFFSET)?).ok()
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;
    use rusqlite::StatementStatus;

    use super::*;
    use crate::data::Data;

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
            let (_lookout, mut writes) = watch_writes(&file).unwrap();
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
