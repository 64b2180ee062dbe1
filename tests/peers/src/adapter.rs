//! `event-store-adapter-rs`: a repository as its documentation writes one. It reads the latest snapshot and the events after
//! it, and appends an event, with or without a new snapshot; how often it takes one is the repository's own decision.

use aggregate::{Aggregate as _, AggregateId};
use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    config::{AsyncSleep, Sleep},
};
use chrono::Utc;
use domain::{Account, AccountEvent};
use event_store_adapter_rs::{
    DynamoDbOptions, DynamoDbTables, EventEnvelope, EventStoreError, EventStoreForDynamoDB, SeqNr, SnapshotEnvelope,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::system::{Metadata, Recorded, Refusal, System, balance, deposit, event_type, history};

/// The id of an account, as the store wants it.
#[derive(Debug, Clone)]
struct AccountId(AggregateId);

impl event_store_adapter_rs::AggregateId for AccountId {
    fn type_name(&self) -> String {
        "Account".to_owned()
    }

    fn value(&self) -> String {
        self.0.to_string()
    }
}

/// What is stored of an event. The store has no place for metadata, so they go with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Happened {
    event: AccountEvent,
    metadata: Metadata,
}

/// How the store waits: it wants the client to say so.
#[derive(Debug)]
struct Sleeper;

impl AsyncSleep for Sleeper {
    fn sleep(&self, duration: std::time::Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration))
    }
}

/// `event-store-adapter-rs`.
pub struct Adapter {
    name: &'static str,
    remark: &'static str,
    /// After how many events a snapshot is taken, if any is.
    snapshot_every: Option<SeqNr>,
    store: EventStoreForDynamoDB<AccountId, Account, Happened>,
}

impl Adapter {
    /// All ways to use it that are compared.
    pub async fn all(client: &Client) -> [Self; 3] {
        let tables = DynamoDbTables {
            journal_table_name: "adapter-journal".to_owned(),
            snapshot_table_name: "adapter-snapshot".to_owned(),
            head_table_name: "adapter-head".to_owned(),
            snapshot_history_index_name: "history".to_owned(),
        };
        let client = Client::from_conf(client.config().to_builder().sleep_impl(Sleeper).build());
        let store = EventStoreForDynamoDB::open(client, tables, DynamoDbOptions::default()).await.unwrap();
        [
            ("event-store-adapter", "no key, no second try; an event is written to its journal and its head", None),
            ("event-store-adapter, snapshot every 100", "likewise; the application counts to 100", Some(100)),
            ("event-store-adapter, snapshot each time", "likewise; events need not be read, and are not", Some(1)),
        ]
        .map(|(name, remark, snapshot_every)| Self { name, remark, snapshot_every, store: store.clone() })
    }

    /// The requests for its tables.
    pub fn tables() -> Vec<Value> {
        let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
        let keys = |sort: Option<&str>| {
            let mut keys = vec![json!({ "AttributeName": "aid", "KeyType": "HASH" })];
            keys.extend(sort.map(|sort| json!({ "AttributeName": sort, "KeyType": "RANGE" })));
            keys
        };
        let (id, number) = (attribute("aid", "S"), |name: &str| attribute(name, "N"));
        vec![
            json!({
                "TableName": "adapter-journal", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [id, number("seq_nr")], "KeySchema": keys(Some("seq_nr")),
            }),
            json!({
                "TableName": "adapter-snapshot", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [id, number("skey"), number("active_history_seq_nr")],
                "KeySchema": keys(Some("skey")),
                "GlobalSecondaryIndexes": [{
                    "IndexName": "history", "KeySchema": keys(Some("active_history_seq_nr")),
                    "Projection": { "ProjectionType": "KEYS_ONLY" },
                }],
            }),
            json!({
                "TableName": "adapter-head", "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [id], "KeySchema": keys(None),
            }),
        ]
    }

    /// The account and its version.
    async fn load(&self, id: &AccountId) -> Result<(Account, SeqNr), EventStoreError> {
        // Who takes no snapshots need not look for one.
        let latest = match self.snapshot_every {
            Some(_) => self.store.get_latest_snapshot_by_id(id).await?,
            None => None,
        };
        let head = latest.as_ref().map_or(0, event_store_adapter_rs::SnapshotRead::head_seq_nr);
        let snapshot = latest.and_then(|latest| latest.into_parts().0);
        let (mut account, mut version) = match snapshot {
            Some(snapshot) => (snapshot.aggregate().clone(), snapshot.seq_nr()),
            None => (Account::default(), 0),
        };
        if version < head || self.snapshot_every.is_none() {
            for event in self.store.get_events_by_id_since_seq_nr(id, version + 1).await? {
                version = event.seq_nr();
                account.apply(&event.into_payload().event);
            }
        }
        Ok((account, version))
    }

    async fn append(
        &self,
        id: &AccountId,
        version: SeqNr,
        event: AccountEvent,
        account: &Account,
    ) -> Result<(), EventStoreError> {
        let manifest = event_type(&event);
        let happened = Happened { event, metadata: Metadata::new() };
        let event = EventEnvelope::new(id.clone(), version, Utc::now(), happened).with_manifest(manifest);
        if self.snapshot_every.is_some_and(|every| version.is_multiple_of(every)) {
            let snapshot = SnapshotEnvelope::new(account.clone(), version);
            self.store.persist_event_and_snapshot(event, snapshot).await
        } else {
            self.store.persist_event(event).await
        }
    }
}

#[async_trait]
impl System for Adapter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn remark(&self) -> &'static str {
        self.remark
    }

    async fn fill(&self, account: AggregateId, events: u64) {
        let mut state = Account::default();
        for (event, version) in history(events).zip(1..) {
            state.apply(&event);
            self.append(&AccountId(account), version, event, &state).await.unwrap();
        }
    }

    async fn deposit(&self, account: AggregateId) -> Result<(), Refusal> {
        let id = AccountId(account);
        let other = |error: &dyn std::error::Error| Refusal::Other(error.to_string());
        let (mut account, version) = self.load(&id).await.map_err(|error| other(&error))?;
        let event = account.handle(&deposit()).map_err(|error| other(&error))?.remove(0);
        account.apply(&event);
        self.append(&id, version + 1, event, &account).await.map_err(|error| match error {
            EventStoreError::OptimisticLock { .. } => Refusal::Conflict,
            error => other(&error),
        })
    }

    async fn recorded(&self, account: AggregateId) -> Recorded {
        let id = AccountId(account);
        let events = self.store.get_events_by_id_since_seq_nr(&id, 0).await.unwrap().len() as u64;
        let (account, _) = self.load(&id).await.unwrap();
        Recorded { events, balance: balance(&account) }
    }
}
