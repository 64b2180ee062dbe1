//! The event source mapping from a table's stream to a function.
//!
//! Promises: records reach the function in the order in which they were written, one batch at a time, and are not passed over
//! until the function has taken them or the mapping's limits give them up; how far it has come is durable. What is given up is
//! told to the failure destination, with where to find it, as Lambda does: the records themselves stay in the stream.

mod batch;
mod record;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use batch::{Outcome, Part, Plan, outcome, plan};
use jiff::Timestamp;
use record::{Record, parts_by_size};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    console::Console,
    durable::{Durable, Message},
    engine::{Engine, Position},
    lambda::{Event, Failure, Pool},
    patterns::Patterns,
    template::{StartingPosition, StreamMapping},
};

/// The wait before the first retry; each further one is twice as long. Lambda does not tell its own.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(100);
/// And no longer than this.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// A mapping at work.
pub struct Mapping {
    source: StreamMapping,
    filters: Patterns,
    pool: Arc<Pool>,
    engine: Engine,
    durable: Arc<Durable>,
    console: Arc<Console>,
    /// Time in which the local cloud did not run does not make a record older.
    started: Timestamp,
}

impl Mapping {
    /// A filter that cannot be matched as AWS would is an error that names the function.
    pub fn new(
        mapping: StreamMapping,
        pool: Arc<Pool>,
        engine: Engine,
        durable: Arc<Durable>,
        console: Arc<Console>,
    ) -> Result<Self, String> {
        let mut filters = Patterns::default();
        for (place, pattern) in mapping.filters.iter().enumerate() {
            let parsed = serde_json::from_str(pattern).map_err(|error| error.to_string());
            let added = parsed.and_then(|pattern| filters.add(place, &pattern));
            added
                .map_err(|problem| format!("function {}: its filter cannot be played: {problem}", mapping.function))?;
        }
        Ok(Self { source: mapping, filters, pool, engine, durable, console, started: Timestamp::now() })
    }

    /// Hands records over until the local cloud stops; waits for `writes` when there are none.
    pub async fn run(self, mut writes: watch::Receiver<i64>) {
        while let Err(problem) = self.follow(&mut writes).await {
            self.console.notice(&format!("the stream of {} stands still: {problem}", self.source.table));
            tokio::time::sleep(RETRY_WAIT_MAX).await;
        }
    }

    async fn follow(&self, writes: &mut watch::Receiver<i64>) -> Result<(), String> {
        let mut position = self.position()?;
        loop {
            // Before reading: a write after it wakes us again.
            writes.borrow_and_update();
            let page = self.engine.stream_records(&self.source.table, &position, self.source.batch_records_max)?;
            match record::last_sequence_number(&page) {
                Some(last) => {
                    if !self.hand_over(&page).await? {
                        return Ok(());
                    }
                    self.checkpoint(&last, None)?;
                    position = Position::After(last);
                }
                None if writes.changed().await.is_err() => return Ok(()),
                None => {}
            }
        }
    }

    /// Where to go on.
    fn position(&self) -> Result<Position, String> {
        if let Some(checkpoint) = self.durable.checkpoint(&self.source.key()).map_err(|error| error.to_string())? {
            return Ok(Position::After(checkpoint));
        }
        let mut position = Position::TrimHorizon;
        if self.source.starting_position == StartingPosition::Latest {
            let next = |from: &Position| self.engine.stream_records(&self.source.table, from, usize::MAX);
            while let Some(last) = record::last_sequence_number(&next(&position)?) {
                position = Position::After(last);
            }
        }
        Ok(position)
    }

    /// Brings every record of a page to its end. Returns false when the local cloud stops before that.
    async fn hand_over(&self, page: &[Value]) -> Result<bool, String> {
        let mut records = Vec::new();
        for json in page {
            if self.source.filters.is_empty() || !self.filters.matching(&json.to_string())?.is_empty() {
                records.extend(Record::new(json, &self.source.table));
            }
        }
        for record in &records {
            self.console.appended(record.appended(&self.source.table));
        }
        let mut parts: VecDeque<Part> = parts_by_size(&records).into();
        while let Some(part) = parts.pop_front() {
            let expired = self.expired(&records[part.from..part.to]);
            if expired > 0 {
                let old = Part { to: part.from + expired, ..part };
                self.give_up(&records[old.from..old.to], old.failures, "RecordAgeExceeded", "too old")?;
                if old.to < part.to {
                    parts.push_front(Part { from: old.to, ..part });
                }
                continue;
            }
            let Some((outcome, reason)) = self.attempt(&records, part).await else { return Ok(false) };
            let Plan { done_to, retry, give_up } = plan(part, outcome, &self.source.retry);
            // That the whole page is done is written down once, by our caller.
            if done_to > part.from && done_to < records.len() {
                self.checkpoint(&records[done_to - 1].sequence_number, None)?;
            }
            if let Some(lost) = give_up {
                self.give_up(&records[lost.from..lost.to], lost.failures, "RetryAttemptsExhausted", &reason)?;
            }
            if let Some(failed) = retry.first().filter(|failed| failed.failures > part.failures) {
                let wait = retry_wait(failed.failures);
                self.console.batch_failed(&self.source.function, failed.to - failed.from, &reason, wait);
                tokio::time::sleep(wait).await;
            }
            retry.into_iter().rev().for_each(|part| parts.push_front(part));
        }
        Ok(true)
    }

    /// Hands a part to the function. Nothing when the local cloud stops; else how it ended, and in words why it failed.
    async fn attempt(&self, records: &[Record], part: Part) -> Option<(Outcome, String)> {
        let records = &records[part.from..part.to];
        match self.pool.invoke(Event::new(record::event(records)), None).await {
            Ok(answer) => {
                let numbers: Vec<_> = records.iter().map(|record| record.sequence_number.as_str()).collect();
                let outcome = outcome(&answer, &numbers, part.from, &self.source.retry);
                Some((outcome, "the function reports them as not done".to_owned()))
            }
            Err(Failure::Function(error)) => Some((Outcome::Failed, error.to_string())),
            Err(Failure::Stopping | Failure::Throttled) => None,
        }
    }

    /// How many records in front are older than the mapping allows.
    fn expired(&self, records: &[Record]) -> usize {
        let now = Timestamp::now();
        let age_s = |record: &Record| now.as_second().abs_diff(record.written.max(self.started).as_second());
        records.iter().take_while(|record| self.source.retry.record_age_s.is_exceeded_by(age_s(record))).count()
    }

    fn give_up(&self, lost: &[Record], failures: u64, condition: &str, reason: &str) -> Result<(), String> {
        let Some(newest) = lost.last() else { return Ok(()) };
        let StreamMapping { function, table, on_failure, .. } = &self.source;
        let reason = match failures {
            0 => reason.to_owned(),
            failures => format!("{function} failed {failures} times: {reason}"),
        };
        let body = record::failure_message(lost, table, function, condition, failures);
        let message = on_failure.as_ref().map(|queue| Message {
            queue: queue.clone(),
            body: body.to_string(),
            reason: reason.clone(),
        });
        self.checkpoint(&newest.sequence_number, message.as_ref())?;
        let what = format!("{} from the stream of {table}", crate::console::counted(lost.len(), "record"));
        self.console.dead_letter(on_failure.as_deref(), &what, &reason);
        Ok(())
    }

    fn checkpoint(&self, sequence_number: &str, dead_letter: Option<&Message>) -> Result<(), String> {
        self.durable.set_checkpoint(&self.source.key(), sequence_number, dead_letter).map_err(|error| error.to_string())
    }
}

fn retry_wait(failures: u64) -> Duration {
    const DOUBLINGS_MAX: u32 = 16;
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(DOUBLINGS_MAX).min(DOUBLINGS_MAX);
    (RETRY_WAIT_MIN * 2_u32.pow(doublings)).min(RETRY_WAIT_MAX)
}
