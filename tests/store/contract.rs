//! The event store's contract, on the embedded engine, and on another where the environment names one.

use aws::DynamoEventStore;
use tests::engine_with;

/// The store on the engine that is asked for.
pub async fn store() -> DynamoEventStore {
    let (client, table) = engine_with("events").await;
    DynamoEventStore::new(client, table)
}

eventing::event_store_contract!(store().await);
