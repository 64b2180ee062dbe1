//! What the local cloud must not forget when it is killed: deliveries under way, queues, and how far streams are read.
//!
//! Promises: what a method has returned from outlives the process, though not a power cut (`synchronous = OFF`).

use rusqlite::{Connection, OptionalExtension, params};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One SQLite file.
pub struct Durable {
    connection: Mutex<Connection>,
}

/// An event on its way to a function.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: i64,
    pub function: String,
    pub payload: String,
    /// Invocations so far.
    pub attempts: u32,
    /// Milliseconds since 1970.
    pub accepted_at_ms: i64,
}

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS deliveries (id INTEGER PRIMARY KEY, function TEXT NOT NULL, payload TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, accepted_at_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, body TEXT NOT NULL, sent_at_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS checkpoints (mapping TEXT PRIMARY KEY, sequence_number TEXT NOT NULL);";

impl Durable {
    pub fn open(file: &str) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(TABLES)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Each method is one statement or one transaction, so a panic elsewhere left nothing half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts everything or nothing: payloads for functions, bodies for queues.
    pub fn accept(
        &self,
        to_functions: &[(String, String)],
        to_queues: &[(String, String)],
        now_ms: i64,
    ) -> rusqlite::Result<Vec<Delivery>> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let mut deliveries = Vec::new();
        for (function, payload) in to_functions {
            let insert = "INSERT INTO deliveries (function, payload, accepted_at_ms) VALUES (?1, ?2, ?3)";
            transaction.execute(insert, params![function, payload, now_ms])?;
            deliveries.push(Delivery {
                id: transaction.last_insert_rowid(),
                function: function.clone(),
                payload: payload.clone(),
                attempts: 0,
                accepted_at_ms: now_ms,
            });
        }
        for (queue, body) in to_queues {
            let insert = "INSERT INTO messages (queue, body, sent_at_ms) VALUES (?1, ?2, ?3)";
            transaction.execute(insert, params![queue, body, now_ms])?;
        }
        transaction.commit()?;
        Ok(deliveries)
    }

    /// What an earlier run left under way.
    pub fn deliveries(&self) -> rusqlite::Result<Vec<Delivery>> {
        let connection = self.lock();
        let mut select =
            connection.prepare("SELECT id, function, payload, attempts, accepted_at_ms FROM deliveries ORDER BY id")?;
        let rows = select.query_map([], |row| {
            Ok(Delivery {
                id: row.get(0)?,
                function: row.get(1)?,
                payload: row.get(2)?,
                attempts: row.get(3)?,
                accepted_at_ms: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    pub fn attempted(&self, delivery: i64, attempts: u32) -> rusqlite::Result<()> {
        let update = "UPDATE deliveries SET attempts = ?2 WHERE id = ?1";
        self.lock().execute(update, params![delivery, attempts]).map(drop)
    }

    pub fn delivered(&self, delivery: i64) -> rusqlite::Result<()> {
        self.lock().execute("DELETE FROM deliveries WHERE id = ?1", [delivery]).map(drop)
    }

    /// Ends a delivery that failed for good, in a queue where there is one.
    pub fn given_up(&self, delivery: i64, message: Option<(&str, &str)>, now_ms: i64) -> rusqlite::Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        if let Some((queue, body)) = message {
            let insert = "INSERT INTO messages (queue, body, sent_at_ms) VALUES (?1, ?2, ?3)";
            transaction.execute(insert, params![queue, body, now_ms])?;
        }
        transaction.execute("DELETE FROM deliveries WHERE id = ?1", [delivery])?;
        transaction.commit()
    }

    pub fn checkpoint(&self, mapping: &str) -> rusqlite::Result<Option<String>> {
        let select = "SELECT sequence_number FROM checkpoints WHERE mapping = ?1";
        self.lock().query_row(select, [mapping], |row| row.get(0)).optional()
    }

    pub fn set_checkpoint(&self, mapping: &str, sequence_number: &str) -> rusqlite::Result<()> {
        let upsert = "INSERT OR REPLACE INTO checkpoints (mapping, sequence_number) VALUES (?1, ?2)";
        self.lock().execute(upsert, [mapping, sequence_number]).map(drop)
    }

    /// How many messages lie in queues.
    pub fn messages(&self) -> rusqlite::Result<u64> {
        self.lock().query_row("SELECT COUNT(*) FROM messages", [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cloud.db").display().to_string();
        let first = Durable::open(&file).unwrap();
        let payload = ("f".to_owned(), "{}".to_owned());
        let accepted = first.accept(&[payload.clone(), payload], &[("q".to_owned(), "m".to_owned())], 7).unwrap();
        first.attempted(accepted[1].id, 2).unwrap();
        first.delivered(accepted[0].id).unwrap();
        first.set_checkpoint("m", "5").unwrap();
        drop(first);
        let second = Durable::open(&file).unwrap();
        let left = second.deliveries().unwrap();
        assert_eq!((left.len(), left[0].id, left[0].attempts), (1, accepted[1].id, 2));
        assert_eq!(second.checkpoint("m").unwrap().as_deref(), Some("5"));
        second.given_up(left[0].id, Some(("q", "dead")), 8).unwrap();
        assert_eq!((second.deliveries().unwrap().len(), second.messages().unwrap()), (0, 2));
    }
}
