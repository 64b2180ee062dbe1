//! The journal: every event of every aggregate, in an order that a reader can follow without missing one.
//!
//! An event stands at the time when it was decided. Events arrive a little later than that, so a reader is shown only what
//! is older than [`HOLD_BACK`]. One that arrives so late that a reader may have passed its place enters at the time of its
//! arrival instead, and a note at its own place keeps it from entering twice. So nobody who keeps reading misses an event,
//! however late it comes; only its place is then later than its time.
//!
//! The journal is cut into [`SHARDS`] by aggregate, so that no partition takes all writes; a reader merges them.

use std::{fmt, future::Future, time::Duration};

use aggregate::{AggregateId, Envelope, Timestamp};

use crate::TableError;

/// Partitions that the journal is written to: eight times 1,000 events of 1 KB a second (DynamoDB's limit for a partition).
/// Never changes: that an event enters once, and where a sum is found, rests on it.
pub const SHARDS: u8 = 8;
/// An event that arrives within this time after it was decided enters at its own time.
const ON_TIME: Duration = Duration::from_secs(5);
/// The time within which the write of an entry ends, with all its attempts: a [`JournalTable`] gives up by then.
pub const ENTRY_WRITE_MAX: Duration = Duration::from_secs(4);
/// The most by which the clocks of two machines may differ.
const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(3);
/// How far readers stay behind the clock: an event that enters at its own time has arrived and is written by then.
pub const HOLD_BACK: Duration = ON_TIME.saturating_add(ENTRY_WRITE_MAX).saturating_add(CLOCKS_DIFFER_MAX);

/// A place in the journal. Text order is the journal's order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(String);

impl Position {
    /// The place of `event` if it enters at `time`: unique to the event.
    #[must_use]
    pub fn of(event: &Envelope, time: Timestamp) -> Self {
        // As wide as the largest version.
        Self(format!("{time}#{}#{:020}", event.aggregate_id, event.version))
    }

    /// The place before everything that enters at `time` or later.
    #[must_use]
    pub fn before(time: Timestamp) -> Self {
        Self(time.to_string())
    }

    /// The place before everything.
    #[must_use]
    pub fn start() -> Self {
        Self(String::new())
    }

    /// How far readers may go at the time `now`.
    #[must_use]
    pub fn horizon(now: Timestamp) -> Self {
        Self::before(now.earlier_by(HOLD_BACK))
    }

    /// A place as it was written.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The time of the place; `None` at the start.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.0.split('#').next()?.parse().ok()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an event enters the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placing {
    /// At its own time.
    OnTime(Position),
    /// Too late for that.
    Late {
        /// Its own place, which gets a note.
        own: Position,
        /// The place that it gets.
        enters: Position,
    },
}

/// What became of an event on its way into the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It stands at its own time.
    OnTime,
    /// It came late, and stands at the time when it came.
    Late,
    /// It was there before.
    Before,
}

/// Where the journal's entries are kept.
pub trait JournalTable: Send + Sync {
    /// Puts the entry of `event`, and its note where it is late, together and only if nothing is at the event's own place.
    /// False: something is. Ends within [`ENTRY_WRITE_MAX`].
    fn put(&self, event: &Envelope, placing: &Placing) -> impl Future<Output = Result<bool, TableError>> + Send;
}

/// Enters an event, which has arrived at `now`, into the journal; once, however often this is done.
///
/// # Errors
/// When the table does not answer. The event has entered or not: enter it again.
pub async fn enter(table: &impl JournalTable, event: &Envelope, now: Timestamp) -> Result<Entered, TableError> {
    let placing = place(event, now);
    let is_new = table.put(event, &placing).await?;
    Ok(match placing {
        _ if !is_new => Entered::Before,
        Placing::OnTime(_) => Entered::OnTime,
        Placing::Late { .. } => Entered::Late,
    })
}

/// Where `event`, which has arrived at `now`, enters the journal.
#[must_use]
pub fn place(event: &Envelope, now: Timestamp) -> Placing {
    let own = Position::of(event, event.created_at);
    if event.created_at.until(now) <= ON_TIME {
        Placing::OnTime(own)
    } else {
        Placing::Late { own, enters: Position::of(event, now) }
    }
}

/// The shard of an aggregate, for ever.
#[must_use]
pub fn shard(aggregate_id: AggregateId) -> u8 {
    // The last byte of a UUID of version 5 or 7 is evenly spread.
    aggregate_id.0.as_bytes()[15] % SHARDS
}

/// The journal, as queries read it.
pub trait JournalReader: Send + Sync {
    /// The first `limit` entries of one shard after the place `after` and up to `end`, of `event_type` where one is given; sees every
    /// entry that was put before the call.
    fn read_shard(
        &self,
        shard: u8,
        after: &Position,
        end: &Position,
        event_type: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<ShardPage, TableError>> + Send;
}

/// Some events of the journal, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalPage {
    /// The events.
    pub events: Vec<Envelope>,
    /// The place up to which this is everything, and after which to go on.
    pub up_to: Position,
}

/// Items that are read of each shard where only events of one type are wanted, so that rare ones are found.
const SHARD_ITEMS_OF_TYPE: usize = 250;

/// The events after the place `after`, at the time `now`: up to `limit`, in order, of `event_type` where one is given. A
/// page may be shorter than that and even empty; only [`JournalPage::up_to`] says how far it goes.
///
/// # Errors
/// When the table does not answer.
pub async fn read_journal(
    journal: &impl JournalReader,
    after: &Position,
    now: Timestamp,
    event_type: Option<&str>,
    limit: usize,
) -> Result<JournalPage, TableError> {
    let end = Position::horizon(now);
    if *after >= end {
        return Ok(JournalPage { events: Vec::new(), up_to: after.clone() });
    }
    // Twice its part of the page for each shard: enough for most, and little that is read in vain.
    let of_shard = event_type.map_or(2 * limit.div_ceil(SHARDS.into()), |_| SHARD_ITEMS_OF_TYPE);
    let shards = (0..SHARDS).map(|shard| journal.read_shard(shard, after, &end, event_type, of_shard));
    let shards = futures_util::future::try_join_all(shards).await?;
    let (events, up_to) = merge(shards, end, limit);
    Ok(JournalPage { events, up_to })
}

/// What was read of one shard.
#[derive(Debug, Clone)]
pub struct ShardPage {
    /// Entries in order.
    pub entries: Vec<(Position, Envelope)>,
    /// Up to where the shard was read; `None`: up to the end of what was asked for.
    pub read_up_to: Option<Position>,
}

/// The first `limit` events of all shards in order, and the place up to which that is everything. The shards were read from
/// one place on, up to `end` at most.
#[must_use]
pub fn merge(shards: Vec<ShardPage>, end: Position, limit: usize) -> (Vec<Envelope>, Position) {
    let complete = shards.iter().filter_map(|shard| shard.read_up_to.clone()).min().unwrap_or(end);
    let mut entries: Vec<_> = shards.into_iter().flat_map(|shard| shard.entries).collect();
    entries.retain(|(position, _)| *position <= complete);
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let cut = entries.len() > limit;
    entries.truncate(limit);
    let up_to = entries.last().filter(|_| cut).map_or(complete, |(position, _)| position.clone());
    (entries.into_iter().map(|(_, event)| event).collect(), up_to)
}

#[cfg(test)]
mod tests {
    use aggregate::{CorrelationId, Metadata, UserId};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn event(aggregate: u8, version: u64, micros: i64) -> Envelope {
        Envelope {
            event_id: Uuid::nil(),
            aggregate_id: AggregateId(Uuid::from_u128(aggregate.into())),
            aggregate_type: "Thing".to_owned(),
            version,
            event_type: "Happened".to_owned(),
            schema_version: 1,
            created_at: Timestamp::from_micros(micros),
            metadata: Metadata {
                user_id: UserId::new("u").unwrap(),
                correlation_id: CorrelationId::new("c").unwrap(),
                causation_id: String::new(),
                command_id: None,
            },
            data: serde_json::Value::Null,
        }
    }

    #[test]
    fn an_event_enters_at_its_own_time_unless_a_reader_may_have_passed_it() {
        let (decided, second) = (1_763_891_400_000_000, 1_000_000);
        let event = event(1, 7, decided);
        let at = |seconds: i64| place(&event, Timestamp::from_micros(decided + seconds * second));
        let own = Position::of(&event, event.created_at);
        // Also where this machine's clock is behind the one that decided.
        assert_eq!([at(-60), at(0), at(5)], [0, 1, 2].map(|_| Placing::OnTime(own.clone())));
        let Placing::Late { own: note, enters } = at(3600) else { panic!("is late") };
        assert_eq!(note, own);
        assert!(enters > Position::horizon(Timestamp::from_micros(decided + 3600 * second)));
        assert_eq!(enters.time(), Some(Timestamp::from_micros(decided + 3600 * second)));
    }

    #[test]
    fn places_are_ordered_by_time_and_then_unique() {
        let time = Timestamp::from_micros(5);
        let places = [Position::start(), Position::before(time)]
            .into_iter()
            .chain([event(1, 9, 5), event(1, 10, 5), event(2, 1, 5), event(1, 1, 6)].map(|event| {
                let time = event.created_at;
                Position::of(&event, time)
            }))
            .chain([Position::before(Timestamp::from_micros(7))]);
        let places: Vec<_> = places.collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }

    proptest! {
        /// Whatever the pages of the shards and of the reader, who reads on from each place sees every event once, in order.
        #[test]
        fn a_reader_misses_nothing_and_sees_nothing_twice(
            times in prop::collection::vec((0u8..16, 0i64..20), 0..60),
            limit in 1usize..7,
            shard_limit in 1usize..5,
        ) {
            let events: Vec<_> =
                times.iter().zip(1..).map(|((aggregate, micros), version)| event(*aggregate, version, *micros)).collect();
            let mut all: Vec<_> = events.iter().map(|event| Position::of(event, event.created_at)).collect();
            all.sort();
            let end = Position::before(Timestamp::from_micros(1_000));
            let (mut seen, mut after) = (Vec::new(), Position::start());
            while after < end {
                let read = |number: u8| {
                    let of_shard = events.iter().filter(|event| shard(event.aggregate_id) == number);
                    let mut entries: Vec<_> =
                        of_shard.map(|event| (Position::of(event, event.created_at), event.clone())).collect();
                    entries.retain(|(position, _)| *position > after);
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                    let more = entries.len() > shard_limit;
                    entries.truncate(shard_limit);
                    ShardPage { read_up_to: entries.last().filter(|_| more).map(|(position, _)| position.clone()), entries }
                };
                let (page, up_to) = merge((0..SHARDS).map(read).collect(), end.clone(), limit);
                prop_assert!(up_to > after, "it goes on");
                prop_assert!(page.len() <= limit);
                seen.extend(page.iter().map(|event| Position::of(event, event.created_at)));
                after = up_to;
            }
            prop_assert_eq!(seen, all);
        }
    }
}
