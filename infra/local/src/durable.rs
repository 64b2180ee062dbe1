//! What must survive a kill of the local cloud at any moment: deliveries on their way, queues, secrets, and how far streams
//! are read.
//!
//! Promises: what a function here returned from without an error is on its way to the disk and survives the process. One file,
//! one connection, one short transaction a call.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        function TEXT NOT NULL,
        detail_type TEXT NOT NULL,
        event TEXT NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        message_id TEXT NOT NULL,
        body TEXT NOT NULL,
        reason TEXT NOT NULL,
        sent_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    );
    CREATE TABLE IF NOT EXISTS checkpoints (
        mapping TEXT PRIMARY KEY,
        sequence_number TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS secrets (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        created_at INTEGER NOT NULL DEFAULT (unixepoch())
    );";

/// The file.
pub struct Durable {
    connection: Mutex<Connection>,
}

/// An event for a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub function: String,
    pub detail_type: String,
    /// JSON.
    pub event: String,
    /// How often the function has failed on it.
    pub failures: u32,
}

/// A message for a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub queue: String,
    pub body: String,
    /// Why it is there, in a few words.
    pub reason: String,
}

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: String,
    pub body: String,
    /// Since 1970.
    pub sent_at_ms: i64,
}

impl Durable {
    /// Opens the file, which is made where it does not exist.
    pub fn open(file: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        // A log that the operating system has survives us; only after a power failure may the last moments be gone.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Takes in what events on a bus have led to, all or nothing. Returns the deliveries' ids.
    pub fn accept(&self, deliveries: &[Delivery], messages: &[Message]) -> rusqlite::Result<Vec<i64>> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let mut ids = Vec::with_capacity(deliveries.len());
        for Delivery { function, detail_type, event, failures } in deliveries {
            transaction
                .prepare_cached(
                    "INSERT INTO deliveries (function, detail_type, event, failures) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![function, detail_type, event, failures])?;
            ids.push(transaction.last_insert_rowid());
        }
        for message in messages {
            insert(&transaction, message)?;
        }
        transaction.commit()?;
        Ok(ids)
    }

    /// The ids of all deliveries that have not come to an end, oldest first.
    pub fn pending(&self) -> rusqlite::Result<Vec<i64>> {
        self.connection().prepare("SELECT id FROM deliveries ORDER BY id")?.query_map([], |row| row.get(0))?.collect()
    }

    /// A delivery that has not come to an end.
    pub fn delivery(&self, id: i64) -> rusqlite::Result<Option<Delivery>> {
        self.connection()
            .prepare_cached("SELECT function, detail_type, event, failures FROM deliveries WHERE id = ?1")?
            .query_row([id], |row| {
                Ok(Delivery {
                    function: row.get(0)?,
                    detail_type: row.get(1)?,
                    event: row.get(2)?,
                    failures: row.get(3)?,
                })
            })
            .optional()
    }

    /// The function has failed on a delivery once more.
    pub fn count_failure(&self, id: i64) -> rusqlite::Result<()> {
        let connection = self.connection();
        connection
            .prepare_cached("UPDATE deliveries SET failures = failures + 1 WHERE id = ?1")?
            .execute([id])
            .map(drop)
    }

    /// A delivery has come to an end: the function has taken the event, or it lies in a queue as the message.
    pub fn finish(&self, id: i64, dead_letter: Option<&Message>) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        if let Some(message) = dead_letter {
            insert(&transaction, message)?;
        }
        transaction.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?.execute([id])?;
        transaction.commit()
    }

    /// How far the stream of a mapping has been read.
    pub fn checkpoint(&self, mapping: &str) -> rusqlite::Result<Option<String>> {
        self.connection()
            .prepare_cached("SELECT sequence_number FROM checkpoints WHERE mapping = ?1")?
            .query_row([mapping], |row| row.get(0))
            .optional()
    }

    /// The stream of a mapping has been read up to and with `sequence_number`; what was given up lies in a queue.
    pub fn set_checkpoint(
        &self,
        mapping: &str,
        sequence_number: &str,
        dead_letter: Option<&Message>,
    ) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        if let Some(message) = dead_letter {
            insert(&transaction, message)?;
        }
        transaction
            .prepare_cached("INSERT OR REPLACE INTO checkpoints (mapping, sequence_number) VALUES (?1, ?2)")?
            .execute([mapping, sequence_number])?;
        transaction.commit()
    }

    /// Every queue that has messages, with how many.
    pub fn queues(&self) -> rusqlite::Result<Vec<(String, usize)>> {
        self.connection()
            .prepare("SELECT queue, count(*) FROM messages GROUP BY queue ORDER BY queue")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// The messages of a queue with their ids, oldest first.
    pub fn messages(&self, queue: &str) -> rusqlite::Result<Vec<Waiting>> {
        let select = "SELECT message_id, body, CAST(1000 * (julianday(sent_at) - 2440587.5) * 86400 AS INTEGER)
            FROM messages WHERE queue = ?1 ORDER BY id";
        self.connection()
            .prepare_cached(select)?
            .query_map([queue], |row| Ok(Waiting { id: row.get(0)?, body: row.get(1)?, sent_at_ms: row.get(2)? }))?
            .collect()
    }

    /// A message is dealt with.
    pub fn delete_message(&self, queue: &str, id: &str) -> rusqlite::Result<()> {
        let delete = "DELETE FROM messages WHERE queue = ?1 AND message_id = ?2";
        self.connection().prepare_cached(delete)?.execute([queue, id]).map(drop)
    }

    /// The value of a secret, which is `fresh` where it had none, and when it got that, in seconds since 1970.
    pub fn secret(&self, name: &str, fresh: &str) -> rusqlite::Result<(String, i64)> {
        let connection = self.connection();
        connection.execute("INSERT OR IGNORE INTO secrets (name, value) VALUES (?1, ?2)", [name, fresh])?;
        let select = "SELECT value, created_at FROM secrets WHERE name = ?1";
        connection.query_row(select, [name], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(connection: &Connection, message: &Message) -> rusqlite::Result<()> {
    let Message { queue, body, reason } = message;
    connection
        .prepare_cached("INSERT INTO messages (queue, message_id, body, reason) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![queue, uuid::Uuid::new_v4().to_string(), body, reason])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;

    fn delivery(function: &str) -> Delivery {
        Delivery { function: function.to_owned(), detail_type: "Seen".to_owned(), event: "{}".to_owned(), failures: 0 }
    }

    fn message(body: &str) -> Message {
        Message { queue: "q".to_owned(), body: body.to_owned(), reason: "because".to_owned() }
    }

    #[test]
    fn deliveries_and_their_failures_survive_until_they_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cloud.db").display().to_string();
        let ids = Durable::open(&file).unwrap().accept(&[delivery("a"), delivery("b")], &[message("m")]).unwrap();

        let durable = Durable::open(&file).unwrap();
        assert_eq!(durable.pending().unwrap(), ids);
        durable.count_failure(ids[0]).unwrap();
        assert_eq!(durable.delivery(ids[0]).unwrap(), Some(Delivery { failures: 1, ..delivery("a") }));
        durable.finish(ids[0], Some(&message("dead"))).unwrap();
        durable.finish(ids[1], None).unwrap();
        assert_eq!(durable.pending().unwrap(), Vec::<i64>::new());
        assert_eq!(durable.queues().unwrap(), [("q".to_owned(), 2)]);
    }

    #[test]
    fn a_secret_keeps_its_first_value() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cloud.db").display().to_string();
        let values = ["a", "b"].map(|fresh| Durable::open(&file).unwrap().secret("s", fresh).unwrap().0);
        assert_eq!(values, ["a", "a"]);
    }

    #[test]
    fn a_checkpoint_moves_together_with_what_was_given_up() {
        let durable = Durable::open(&Data::in_memory().cloud_file()).unwrap();
        assert_eq!(durable.checkpoint("m").unwrap(), None);
        durable.set_checkpoint("m", "1", None).unwrap();
        durable.set_checkpoint("m", "2", Some(&message("given up"))).unwrap();
        assert_eq!(durable.checkpoint("m").unwrap().as_deref(), Some("2"));
        assert_eq!(durable.queues().unwrap(), [("q".to_owned(), 1)]);
    }

    #[test]
    fn a_message_waits_until_it_is_dealt_with() {
        let durable = Durable::open(&Data::in_memory().cloud_file()).unwrap();
        durable.accept(&[], &[message("one"), message("two")]).unwrap();
        let waiting = durable.messages("q").unwrap();
        assert_eq!(waiting.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert!((jiff::Timestamp::now().as_millisecond() - waiting[0].sent_at_ms).abs() < 60_000);
        durable.delete_message("q", &waiting[0].id).unwrap();
        assert_eq!(durable.messages("q").unwrap(), waiting[1..]);
    }
}
