//! The vocabulary of event sourcing, and nothing else: what an aggregate is, what an event looks like once it is recorded,
//! how a read model's row follows from events.
//!
//! A domain is written against this crate alone, so it stays pure: no async, no clock, no randomness, no I/O, no AWS. The
//! mechanism (`eventing`) is written against it too and knows no domain. That is why a team can take `aggregate`,
//! `eventing` and `aws` for a domain of its own.

mod envelope;
mod ids;
mod text;
mod timestamp;

pub use envelope::{Envelope, Metadata, Unreadable};
pub use ids::{AggregateId, CommandId, CorrelationId, UserId, Version};
pub use text::{Alphabet, InvalidText, TextRule};
pub use timestamp::{InvalidTimestamp, Timestamp};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The unit of consistency: it decides commands into events and folds events into state.
///
/// Both directions are synchronous and pure. Whatever a decision needs from outside (who asks, which time, which new id)
/// arrives inside the command, so a decision can be tested, replayed and simulated without a fake of anything.
///
/// The default value is the aggregate before its first event.
pub trait Aggregate: Default + Clone + Serialize + DeserializeOwned + Send + Sync {
    /// The aggregate's type: what its events say.
    const TYPE: &'static str = Self::Event::AGGREGATE_TYPE;

    /// The tag of the serialised state. Raise it whenever the state's form, or what `apply` makes of an old event, changes:
    /// stored states with another tag are then passed over and rebuilt from the events.
    const STATE_SCHEMA: u32;

    /// What may be asked of the aggregate, in the imperative. Its serialised form tells a repeated command from another one
    /// sent with the same idempotency key, so the form is for ever: no field of a command is renamed or moved, and a new one
    /// is left out where it says nothing (`skip_serializing_if`). It is the same every time: a `BTreeMap`, and no `HashMap`.
    type Command: Serialize + Send + Sync;
    /// What happened to the aggregate, in the past tense.
    type Event: Event;
    /// A business answer of "no". Never a technical failure.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// Decides: the events that `command` leads to in this state, in order. An empty list means that there is nothing to do.
    ///
    /// # Errors
    /// The rejection that tells the caller why nothing happened.
    fn handle(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Folds one event into the state. Never fails: what is recorded has happened.
    fn apply(&mut self, event: &Self::Event);

    /// What is wrong with the history, where `apply` met an event that cannot have happened. An aggregate with damage is not loaded,
    /// so nothing is decided or shown that would follow from it.
    fn damage(&self) -> Option<&'static str> {
        None
    }
}

/// The events of one aggregate: an enum with `#[serde(tag = "event_type", content = "data")]`, whose variants without fields
/// are written `Happened {}`. The variants' names are the event types as stored and published.
///
/// Events are for ever. A change of an event type's form is a new schema version, an upcaster and a golden file; additive
/// fields get a default, and nothing is renamed.
pub trait Event: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// The type of the aggregate that they happen to, as stored and published, for example `Account`. Never changes.
    const AGGREGATE_TYPE: &'static str;

    /// The schema version in which events of `event_type` are written today, from 1.
    #[must_use]
    fn schema_version(_event_type: &str) -> u32 {
        1
    }

    /// The newest schema version of `event_type` that this code reads; the one that it writes, where nothing else is said.
    ///
    /// A new version needs two deployments, for old code and new run side by side while one goes on: first code that reads it, then
    /// code that writes it.
    #[must_use]
    fn newest_readable(event_type: &str) -> u32 {
        Self::schema_version(event_type)
    }

    /// Turns the data of another schema version that this code reads into the form that it writes.
    ///
    /// # Errors
    /// A sentence that says why the data cannot be understood.
    fn upcast(_event_type: &str, _schema_version: u32, data: Value) -> Result<Value, String> {
        Ok(data)
    }
}

/// One row of a read model that follows one aggregate: a pure fold of the aggregate's events.
///
/// It serialises to a map. The read tables of `aws` look for two attributes in it: the one that their key is named, with the
/// aggregate's id, and `version`; `Counters` keeps `part` and `of` for itself. What is added to a row's form later has a default
/// (`#[serde(default)]`), for rows in the old form are there until the read model is rebuilt.
///
/// A row is either replaced by its successor (an account as it stands) or followed by it (a statement's entries); which of
/// the two is the read table's business, not the fold's.
pub trait Row: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// The events that the row is folded from.
    type Event: Event;

    /// The version of the newest event that is folded in.
    fn version(&self) -> Version;

    /// The row after one more event. `previous` is the row at `event.version - 1`, or `None` for the first event; `None` comes
    /// back where a history cannot begin with that event.
    fn next(previous: Option<&Self>, event: &Envelope<Self::Event>) -> Option<Self>;
}

/// A row that says what its event adds to counters which many aggregates share. Counters are written together with the row,
/// so each event counts once, however often it is delivered.
pub trait Tally: Row {
    /// The aggregate that the row is of.
    fn aggregate_id(&self) -> AggregateId;

    /// What the row's event adds. Nothing, for many; to no more than 99 counters of different group and name (a DynamoDB transaction
    /// has 100 items, and one is the row).
    fn additions(&self) -> Vec<Addition>;
}

/// So much more on one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The group of counters that are read together, for example those of a day. Without `/`, which stands after a generation.
    pub group: String,
    /// What within the group is counted, for example a currency.
    pub of: String,
    /// The counter's name.
    pub counter: &'static str,
    /// What is added; negative: taken away.
    pub amount: i64,
}
