//! The floor: one row an account, read and replaced on the condition that nobody else did. No history, no metadata that is
//! worth anything: an item as large as one of Daybook's, in the two requests that any decision on a state needs.

use std::collections::HashMap;

use aggregate::AggregateId;
use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use serde_json::{Value, json};

use crate::system::{DEPOSIT, Recorded, Refusal, System};

const TABLE: &str = "floor";

/// The floor.
pub struct Floor {
    client: Client,
    padding: String,
}

impl Floor {
    /// With items of `item_bytes` bytes, as DynamoDB counts them.
    pub fn new(client: Client, item_bytes: usize) -> Self {
        let bare = aws::item_bytes(&item(AggregateId(uuid::Uuid::nil()), 1_000, ""));
        Self { client, padding: "x".repeat(item_bytes.saturating_sub(bare)) }
    }

    /// The request for its table.
    pub fn table() -> Value {
        json!({
            "TableName": TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        })
    }

    async fn version(&self, account: AggregateId) -> u64 {
        let key = AttributeValue::S(account.to_string());
        let found = self.client.get_item().table_name(TABLE).key("id", key).consistent_read(true).send().await.unwrap();
        found.item.unwrap()["version"].as_n().unwrap().parse().unwrap()
    }
}

fn item(account: AggregateId, version: u64, padding: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("id".to_owned(), AttributeValue::S(account.to_string())),
        ("version".to_owned(), AttributeValue::N(version.to_string())),
        ("padding".to_owned(), AttributeValue::S(padding.to_owned())),
    ])
}

#[async_trait]
impl System for Floor {
    fn name(&self) -> &'static str {
        "GetItem + PutItem"
    }

    fn remark(&self) -> &'static str {
        "the floor: one row of the size of Daybook's item, replaced on its version; no history, no decision, no event"
    }

    async fn fill(&self, account: AggregateId, events: u64) {
        let item = item(account, events, &self.padding);
        self.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    async fn deposit(&self, account: AggregateId) -> Result<(), Refusal> {
        let seen = self.version(account).await;
        let put = self.client.put_item().table_name(TABLE).set_item(Some(item(account, seen + 1, &self.padding)));
        let put = put.condition_expression("version = :seen");
        let put = put.expression_attribute_values(":seen", AttributeValue::N(seen.to_string()));
        match put.send().await.map_err(aws_sdk_dynamodb::Error::from) {
            Ok(_) => Ok(()),
            Err(aws_sdk_dynamodb::Error::ConditionalCheckFailedException(_)) => Err(Refusal::Conflict),
            Err(error) => Err(Refusal::Other(error.to_string())),
        }
    }

    async fn recorded(&self, account: AggregateId) -> Recorded {
        let events = self.version(account).await;
        let balance = i64::try_from((events - 1) * DEPOSIT).unwrap();
        Recorded { events, balance }
    }
}
