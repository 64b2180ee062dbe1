//! What one append writes.

use aggregate::{Aggregate, AggregateId, CommandId, Envelope, Event, Metadata, Timestamp, Unreadable, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Host, ReadError};

/// All the events of one command, which are recorded together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The aggregate they happened to.
    pub aggregate_id: AggregateId,
    /// That aggregate's type.
    pub aggregate_type: String,
    /// The version of the first event; the next commit's version is this plus the number of events.
    pub version: Version,
    /// When the command was decided; never earlier than the commit before.
    pub created_at: Timestamp,
    /// Who and why, the same for all its events.
    pub metadata: Metadata,
    /// What tells a repetition of the command from another command with the same id. Set together with `metadata.command_id`.
    pub command_digest: Option<Uuid>,
    /// The events, at least one.
    pub events: Vec<RecordedEvent>,
    /// The aggregate's state after the last of them. A cache: it may be missing, and removing it changes no answer.
    pub state: Option<Snapshot>,
}

/// What of a recorded event is its own and not its commit's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedEvent {
    /// Unique for ever. The first event's id also names the commit: it tells our own write from another's.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: String,
    /// The version of the data's form.
    pub schema_version: u32,
    /// What happened.
    pub data: Value,
}

/// An aggregate's state as stored beside its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`Aggregate::STATE_SCHEMA`] of the code that wrote it.
    pub schema: u32,
    /// The state.
    pub data: Value,
}

impl Commit {
    /// Which commit this is, for ever: the id of its first event.
    #[must_use]
    pub fn id(&self) -> Option<Uuid> {
        self.events.first().map(|event| event.event_id)
    }

    /// The version of its last event: the aggregate's version after this commit.
    #[must_use]
    pub fn last_version(&self) -> Version {
        self.version + self.events.len() as Version - 1
    }

    /// Its events as they are published, in order.
    pub fn envelopes(&self) -> impl Iterator<Item = Envelope> + '_ {
        self.events.iter().zip(self.version..).map(|(event, version)| Envelope {
            event_id: event.event_id,
            aggregate_id: self.aggregate_id,
            aggregate_type: self.aggregate_type.clone(),
            version,
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            created_at: self.created_at,
            metadata: self.metadata.clone(),
            data: event.data.clone(),
        })
    }

    /// Its events in the domain's own type.
    ///
    /// # Errors
    /// When this code cannot read one of them.
    pub fn decode<E: Event>(&self) -> Result<Vec<Envelope<E>>, Unreadable> {
        self.envelopes().map(Envelope::decode).collect()
    }
}

impl RecordedEvent {
    /// A decided event, ready to be recorded under a new id.
    ///
    /// # Errors
    /// When the event does not serialise to its `event_type` and `data`: a mistake in the domain's types.
    pub fn new<E: Event>(event: &E, host: &impl Host) -> Result<Self, serde_json::Error> {
        /// The form that [`Event`] asks for.
        #[derive(Deserialize)]
        struct Tagged {
            event_type: String,
            data: Value,
        }
        let Tagged { event_type, data } = serde_json::from_value(serde_json::to_value(event)?)?;
        let schema_version = E::schema_version(&event_type);
        Ok(Self { event_id: host.new_id(), event_type, schema_version, data })
    }
}

impl Snapshot {
    /// The state of `aggregate`, ready to be stored.
    ///
    /// # Errors
    /// When the state does not serialise: a mistake in the domain's types.
    pub fn of<A: Aggregate>(aggregate: &A) -> Result<Self, serde_json::Error> {
        Ok(Self { schema: A::STATE_SCHEMA, data: serde_json::to_value(aggregate)? })
    }

    /// The aggregate again.
    ///
    /// # Errors
    /// When the state is not of the form that its tag promises.
    pub fn restore<A: Aggregate>(self) -> Result<A, ReadError> {
        serde_json::from_value(self.data)
            .map_err(|_| ReadError::Corrupt("a state does not have its schema's form".into()))
    }
}

/// What identifies a commit's command beside its id: see [`Commit::command_digest`].
pub(crate) fn digest<C: Serialize>(command: &C, command_id: CommandId) -> Result<Uuid, serde_json::Error> {
    Ok(Uuid::new_v5(&command_id.0, &serde_json::to_vec(command)?))
}
