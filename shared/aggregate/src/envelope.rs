//! An event together with everything that is recorded about it: one type for the store, the stream and the bus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::value::MapDeserializer};
use serde_json::Value;
use uuid::Uuid;

use crate::{AggregateId, CommandId, CorrelationId, Event, Timestamp, UserId, Version};

/// One recorded event. With the default `D` it is the form on the wire, with its data as JSON; [`Envelope::decode`] gives
/// it the domain's own type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(bound = "D: JsonSchema + Default + Serialize")]
pub struct Envelope<D = Value> {
    /// Unique for ever: what a consumer recognises a duplicate by. A UUID version 7.
    pub event_id: Uuid,
    /// The aggregate that it happened to.
    pub aggregate_id: AggregateId,
    /// That aggregate's type.
    pub aggregate_type: String,
    /// The event's place in the aggregate's history, from 1, without gaps.
    #[schemars(range(min = 1))]
    pub version: Version,
    /// The event's type.
    pub event_type: String,
    /// The version of the data's form, from 1.
    #[schemars(range(min = 1))]
    pub schema_version: u32,
    /// When it was decided. Never earlier than the event before it, whatever the clocks say; order is by `version` alone.
    pub created_at: Timestamp,
    /// Who and why.
    pub metadata: Metadata,
    /// What happened. `null` on the bus where it is too large for the bus: the event store has it.
    #[serde(default)]
    pub data: D,
}

/// Who caused an event, and in the course of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// The user on whose behalf it happened.
    pub user_id: UserId,
    /// Joins everything that one request led to.
    pub correlation_id: CorrelationId,
    /// The direct cause: the id of the request, or of the event that was reacted to.
    pub causation_id: String,
    /// The command that decided it, where that carried an idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<CommandId>,
}

/// A recorded event that this code cannot read. Caller does: park it and go on with the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event_type} with schema version {schema_version} cannot be read: {reason}")]
pub struct Unreadable {
    /// The type that the event claims.
    pub event_type: String,
    /// The schema version that it claims.
    pub schema_version: u32,
    /// What is wrong; names fields, never shows their values.
    pub reason: String,
}

impl Envelope<Value> {
    /// The same event in today's form of the domain's own type.
    ///
    /// # Errors
    /// When the type is unknown, the schema version newer than this code, or the data not of its form.
    pub fn decode<E: Event>(self) -> Result<Envelope<E>, Unreadable> {
        let Self { event_type, schema_version, data, .. } = self;
        let current = E::schema_version(&event_type);
        let newest = E::newest_readable(&event_type).max(current);
        match today(&event_type, schema_version, newest, data) {
            Ok(data) => Ok(Envelope {
                event_id: self.event_id,
                aggregate_id: self.aggregate_id,
                aggregate_type: self.aggregate_type,
                version: self.version,
                event_type,
                schema_version: current,
                created_at: self.created_at,
                metadata: self.metadata,
                data,
            }),
            Err(reason) => Err(Unreadable { event_type, schema_version, reason }),
        }
    }
}

/// Data of any schema version up to the `newest` one in today's form; what is wrong where it has none.
fn today<E: Event>(event_type: &str, schema_version: u32, newest: u32, data: Value) -> Result<E, String> {
    if !(1..=newest).contains(&schema_version) {
        return Err(format!("this code reads schema versions 1 to {newest}"));
    }
    let data = E::upcast(event_type, schema_version, data)?;
    // The type first: serde would set aside data of a type that it does not know yet.
    let tagged = [("event_type", Value::from(event_type)), ("data", data)];
    let data = MapDeserializer::<_, serde_json::Error>::new(tagged.into_iter());
    serde_path_to_error::deserialize(data).map_err(|error| wrong_at(error.path()))
}

/// The place of a mistake, by the names of fields. The message of `serde_json` is left out: it quotes the value, which may be
/// personal, and this goes to logs and dead letters.
fn wrong_at(path: &serde_path_to_error::Path) -> String {
    match path.to_string().as_str() {
        "event_type" => "this code does not know the type".to_owned(),
        path => format!("`{path}` has another form, or lacks a field"),
    }
}
