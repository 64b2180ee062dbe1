use aws::DynamoEventStore;
use tests::Engine;

eventing::event_store_contract!(DynamoEventStore::new(Engine::start().await.client, "events"));
