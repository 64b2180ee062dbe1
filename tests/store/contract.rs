//! The event store's contract, on the embedded engine, and on another where the environment names one.

use aws::DynamoEventStore;
use tests::{Engine, other_engine};

/// The store on the engine that is asked for.
pub async fn store() -> DynamoEventStore {
    match other_engine().await {
        Some((client, table)) => DynamoEventStore::new(client, table),
        None => DynamoEventStore::new(Engine::start().await.client, "events"),
    }
}

eventing::event_store_contract!(store().await);
