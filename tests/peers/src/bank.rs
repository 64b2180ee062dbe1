//! The engine, and every system on it three times: to count units, to count bytes, and to measure times without either.

use std::sync::Arc;

use aggregate::AggregateId;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use tests::{Engine, dynamodb, tables_without_streams};
use uuid::Uuid;

use crate::{
    adapter::Adapter,
    cqrs::{DynamoEs, Kind},
    daybook::Daybook,
    floor::Floor,
    proxy::Proxy,
    system::System,
    untokened::Untokened,
};

/// All systems, in the same order each time; the floor is the first.
pub type Systems = Vec<Arc<dyn System>>;

/// What everything is measured on.
pub struct Bank {
    /// The engine, with the meter of `metered`.
    pub engine: Engine,
    /// What `proxied` goes through.
    pub proxy: Proxy,
    /// The systems with a client that counts requests and units.
    pub metered: Systems,
    /// The systems with a client that goes through the proxy.
    pub proxied: Systems,
    /// The systems with a client that does neither.
    pub plain: Systems,
}

impl Bank {
    /// With empty tables. None of them has a stream: this engine would look through all its records at every write.
    pub async fn start() -> Self {
        let mut tables = tables_without_streams();
        tables.push(Floor::table());
        tables.extend(DynamoEs::tables());
        tables.extend(Adapter::tables());
        let engine = Engine::start_with(tables).await;
        let proxy = Proxy::start(&engine.url).await;
        let item_bytes = item_bytes(&engine.client).await;
        let metered = systems(&engine.client, item_bytes).await;
        let proxied = systems(&dynamodb(&proxy.url), item_bytes).await;
        let config = dynamodb(&engine.url).config().to_builder().interceptor(Untokened).build();
        let plain = systems(&Client::from_conf(config), item_bytes).await;
        Self { engine, proxy, metered, proxied, plain }
    }
}

async fn systems(client: &Client, item_bytes: usize) -> Systems {
    let mut systems: Systems = vec![
        Arc::new(Floor::new(client.clone(), item_bytes)),
        Arc::new(Daybook::new(client.clone(), false)),
        Arc::new(Daybook::new(client.clone(), true)),
    ];
    for kind in [Kind::Events, Kind::Snapshots, Kind::EverySnapshot] {
        systems.push(Arc::new(DynamoEs::new(client, kind)));
    }
    for adapter in Adapter::all(client).await {
        systems.push(Arc::new(adapter));
    }
    systems
}

/// The size of the item that Daybook writes for a deposit.
async fn item_bytes(client: &Client) -> usize {
    let account = AggregateId(Uuid::now_v7());
    Daybook::new(client.clone(), false).fill(account, 1_000).await;
    let query = client.query().table_name("events").key_condition_expression("aggregate_id = :id");
    let query = query.expression_attribute_values(":id", AttributeValue::S(account.to_string()));
    let newest = query.scan_index_forward(false).limit(1).send().await.unwrap();
    aws::item_bytes(&newest.items()[0])
}
