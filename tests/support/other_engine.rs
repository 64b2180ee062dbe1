//! Another engine than the embedded one, where an environment variable names it: an independent emulator, Amazon's DynamoDB
//! Local, or DynamoDB itself.

use aws_sdk_dynamodb::{Client, operation::create_table::CreateTableError, types::TableStatus};
use serde_json::Value;

use crate::{dynamodb, repository};

/// The endpoint of the other engine, or `aws` for DynamoDB with the region and the credentials in the environment.
const VARIABLE: &str = "DAYBOOK_TEST_DYNAMODB";

/// The one table that is made there, and kept for the next run: tests work on aggregates of their own.
const TABLE: &str = "daybook-contract-events";

/// A client of the other engine and the name of an events table there, where there is one.
pub async fn other_engine() -> Option<(Client, &'static str)> {
    let endpoint = std::env::var(VARIABLE).ok()?;
    let client = if endpoint == "aws" { aws::dynamodb().unwrap() } else { dynamodb(&endpoint) };
    if client.describe_table().table_name(TABLE).send().await.is_err() {
        create(&client).await;
    }
    loop {
        let table = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
        if table.table_status == Some(TableStatus::Active) {
            return Some((client, TABLE));
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// Makes the events table as the template has it.
async fn create(client: &Client) {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection, ProjectionType,
    };
    let template = local::template::load(&repository().join("template.yaml")).unwrap();
    let table = template.tables.iter().find(|table| table.name == "events").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let keys = |schema: &Value| -> Vec<KeySchemaElement> {
        let key = |key: &Value| {
            let kind = KeyType::from(text(&key["KeyType"]).as_str());
            KeySchemaElement::builder().attribute_name(text(&key["AttributeName"])).key_type(kind).build().unwrap()
        };
        schema.as_array().unwrap().iter().map(key).collect()
    };
    let attribute = |attribute: &Value| {
        let kind = text(&attribute["AttributeType"]).as_str().into();
        let attribute = AttributeDefinition::builder().attribute_name(text(&attribute["AttributeName"]));
        attribute.attribute_type(kind).build().unwrap()
    };
    let index = |index: &Value| {
        let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let built = LocalSecondaryIndex::builder().index_name(text(&index["IndexName"])).projection(projection);
        built.set_key_schema(Some(keys(&index["KeySchema"]))).build().unwrap()
    };
    let list = |name: &str| table.create[name].as_array().unwrap().clone();
    let made = client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(list("AttributeDefinitions").iter().map(attribute).collect()))
        .set_key_schema(Some(keys(&table.create["KeySchema"])))
        .set_local_secondary_indexes(Some(list("LocalSecondaryIndexes").iter().map(index).collect()))
        .send()
        .await;
    // Another test may have been faster.
    if let Err(error) = made {
        assert!(error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception), "{error:?}");
    }
}
