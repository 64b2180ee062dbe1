//! Another engine than the embedded one, where an environment variable names it: an independent emulator, Amazon's DynamoDB
//! Local, or DynamoDB itself.

use aws_sdk_dynamodb::{Client, operation::create_table::CreateTableError, types::TableStatus};
use serde_json::Value;

use crate::{Engine, dynamodb, repository};

/// The endpoint of the other engine, or `aws` for DynamoDB with the region and the credentials in the environment.
const VARIABLE: &str = "DAYBOOK_TEST_DYNAMODB";

/// Before the names of the tables that are made there, and kept for the next run: tests work on aggregates of their own.
const PREFIX: &str = "daybook-contract-";

/// A client of the engine that is asked for, and the name of the template's table `table` there.
pub async fn engine_with(table: &str) -> (Client, String) {
    let Ok(endpoint) = std::env::var(VARIABLE) else { return (Engine::start().await.client, table.to_owned()) };
    let client = if endpoint == "aws" { aws::dynamodb().unwrap() } else { dynamodb(&endpoint) };
    let name = format!("{PREFIX}{table}");
    if client.describe_table().table_name(&name).send().await.is_err() {
        create(&client, table, &name).await;
    }
    loop {
        let described = client.describe_table().table_name(&name).send().await.unwrap().table.unwrap();
        if described.table_status == Some(TableStatus::Active) {
            return (client, name);
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// Makes a table as the template has it.
async fn create(client: &Client, table: &str, name: &str) {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
        Projection, ProjectionType,
    };
    let template = local::template::load(&repository().join("template.yaml")).unwrap();
    let table = &template.tables.iter().find(|one| one.name == table).unwrap().create;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let keys = |of: &Value| -> Vec<KeySchemaElement> {
        let key = |key: &Value| {
            let kind = KeyType::from(text(&key["KeyType"]).as_str());
            KeySchemaElement::builder().attribute_name(text(&key["AttributeName"])).key_type(kind).build().unwrap()
        };
        of["KeySchema"].as_array().unwrap().iter().map(key).collect()
    };
    let attribute = |attribute: &Value| {
        let kind = text(&attribute["AttributeType"]).as_str().into();
        let attribute = AttributeDefinition::builder().attribute_name(text(&attribute["AttributeName"]));
        attribute.attribute_type(kind).build().unwrap()
    };
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let local = |index: &Value| {
        let built = LocalSecondaryIndex::builder().index_name(text(&index["IndexName"])).projection(projection.clone());
        built.set_key_schema(Some(keys(index))).build().unwrap()
    };
    let global = |index: &Value| {
        let built =
            GlobalSecondaryIndex::builder().index_name(text(&index["IndexName"])).projection(projection.clone());
        built.set_key_schema(Some(keys(index))).build().unwrap()
    };
    let list = |name: &str| table[name].as_array();
    let made = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(list("AttributeDefinitions").map(|all| all.iter().map(attribute).collect()))
        .set_key_schema(Some(keys(table)))
        .set_local_secondary_indexes(list("LocalSecondaryIndexes").map(|all| all.iter().map(local).collect()))
        .set_global_secondary_indexes(list("GlobalSecondaryIndexes").map(|all| all.iter().map(global).collect()))
        .send()
        .await;
    // Another test may have been faster.
    if let Err(error) = made {
        assert!(error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception), "{error:?}");
    }
}
