//! `dynamo-es`, the DynamoDB store of `cqrs-es`: an account as its documentation writes an aggregate, in its three kinds of
//! store. Its tables are those of its own `db/create_tables.sh`.
//!
//! In cqrs-es 0.5.0 `EventSink::write` applies an event to the aggregate, as its documentation says, and when a snapshot is
//! taken `PersistedEventStore::commit` applies it once more. The events are right, and so is a state that is restored from
//! them alone; a snapshot is not. Costs do not depend on it.

use std::collections::HashMap;

use aggregate::{Aggregate as _, AggregateId, Event as _};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use cqrs_es::{
    Aggregate, AggregateError, CqrsFramework, DomainEvent, EventStore,
    event_sink::EventSink,
    persist::{PersistedEventRepository, PersistedEventStore, SerializedEvent},
};
use domain::{AccountCommand, AccountEvent, Rejection};
use dynamo_es::DynamoEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::system::{Metadata, Recorded, Refusal, System, after, balance, deposit, event_type, history};

/// Names of our own, because this engine does not tell `Events` from Daybook's `events`.
const EVENTS: &str = "dynamo-es-events";
const SNAPSHOTS: &str = "dynamo-es-snapshots";
/// After how many events a snapshot is taken: the figure in the documentation of `new_snapshot_store`.
const SNAPSHOT_EVERY: usize = 100;
/// How many events a history is filled with at once: a transaction takes 25 items.
const FILL_EVENTS: usize = 20;

/// An account, as the framework wants it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Account(domain::Account);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Happened(AccountEvent);

impl DomainEvent for Happened {
    fn event_type(&self) -> String {
        event_type(&self.0)
    }

    fn event_version(&self) -> String {
        AccountEvent::schema_version(&event_type(&self.0)).to_string()
    }
}

impl Aggregate for Account {
    type Command = AccountCommand;
    type Error = Rejection;
    type Event = Happened;
    type Services = ();

    const TYPE: &'static str = "Account";

    async fn handle(
        &mut self,
        command: AccountCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Rejection> {
        for event in self.0.handle(&command)? {
            sink.write(Happened(event), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Happened) {
        self.0.apply(&event.0);
    }
}

/// Where the framework finds the state to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In all events.
    Events,
    /// In a snapshot and the events after it.
    Snapshots,
    /// In a snapshot taken with every command.
    EverySnapshot,
}

/// `dynamo-es`.
pub struct DynamoEs {
    kind: Kind,
    framework: CqrsFramework<Account, PersistedEventStore<DynamoEventRepository, Account>>,
    store: PersistedEventStore<DynamoEventRepository, Account>,
    repository: DynamoEventRepository,
}

impl DynamoEs {
    /// A store of this kind.
    pub fn new(client: &Client, kind: Kind) -> Self {
        let repository = || DynamoEventRepository::new(client.clone()).with_tables(EVENTS, SNAPSHOTS);
        let store = || match kind {
            Kind::Events => PersistedEventStore::new_event_store(repository()),
            Kind::Snapshots => PersistedEventStore::new_snapshot_store(repository(), SNAPSHOT_EVERY),
            Kind::EverySnapshot => PersistedEventStore::new_aggregate_store(repository()),
        };
        Self { kind, framework: CqrsFramework::new(store(), Vec::new(), ()), store: store(), repository: repository() }
    }

    /// The requests for its tables.
    pub fn tables() -> Vec<Value> {
        let table = |name: &str, keys: &[(&str, &str, &str)]| {
            let attributes: Vec<Value> =
                keys.iter().map(|(name, kind, _)| json!({ "AttributeName": name, "AttributeType": kind })).collect();
            let schema: Vec<Value> =
                keys.iter().map(|(name, _, role)| json!({ "AttributeName": name, "KeyType": role })).collect();
            json!({
                "TableName": name, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": attributes, "KeySchema": schema,
            })
        };
        let id = ("AggregateTypeAndId", "S", "HASH");
        vec![table(EVENTS, &[id, ("AggregateIdSequence", "N", "RANGE")]), table(SNAPSHOTS, &[id])]
    }
}

fn metadata() -> HashMap<String, String> {
    let Metadata { user_id, correlation_id, causation_id } = Metadata::new();
    [("user_id", user_id), ("correlation_id", correlation_id), ("causation_id", causation_id)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

#[async_trait]
impl System for DynamoEs {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Events => "dynamo-es",
            Kind::Snapshots => "dynamo-es, snapshot every 100",
            Kind::EverySnapshot => "dynamo-es, aggregate store",
        }
    }

    fn remark(&self) -> &'static str {
        match self.kind {
            Kind::Events => "no key, no second try; reads one page, at most 1 MB, of a history",
            Kind::Snapshots => {
                "likewise; reads the events after a snapshot eventually consistent; its snapshot has the newest event twice"
            }
            Kind::EverySnapshot => "likewise, and reads no events; its snapshot has the newest event twice",
        }
    }

    async fn fill(&self, account: AggregateId, events: u64) {
        let all: Vec<SerializedEvent> = history(events)
            .zip(1..)
            .map(|(event, sequence)| {
                let event = Happened(event);
                SerializedEvent {
                    aggregate_id: account.to_string(),
                    sequence,
                    aggregate_type: Account::TYPE.to_owned(),
                    event_type: event.event_type(),
                    event_version: event.event_version(),
                    payload: serde_json::to_value(event).unwrap(),
                    metadata: serde_json::to_value(metadata()).unwrap(),
                }
            })
            .collect();
        let mut snapshots = 0;
        for events in all.chunks(FILL_EVENTS) {
            let last = events.last().unwrap().sequence;
            let due = match self.kind {
                Kind::Events => false,
                Kind::Snapshots => last.is_multiple_of(SNAPSHOT_EVERY),
                Kind::EverySnapshot => true,
            };
            snapshots += usize::from(due);
            let state = || serde_json::to_value(after(last as u64)).unwrap();
            let snapshot = due.then(|| (account.to_string(), state(), snapshots));
            self.repository.persist::<Account>(events, snapshot).await.unwrap();
        }
    }

    async fn deposit(&self, account: AggregateId) -> Result<(), Refusal> {
        let id = account.to_string();
        match self.framework.execute_with_metadata(&id, deposit(), metadata()).await {
            Ok(()) => Ok(()),
            Err(AggregateError::AggregateConflict) => Err(Refusal::Conflict),
            Err(error) => Err(Refusal::Other(error.to_string())),
        }
    }

    async fn recorded(&self, account: AggregateId) -> Recorded {
        let id = account.to_string();
        let events = self.store.load_events(&id).await.unwrap().len() as u64;
        let context = self.store.load_aggregate(&id).await.unwrap();
        Recorded { events, balance: balance(&context.aggregate.0) }
    }
}
