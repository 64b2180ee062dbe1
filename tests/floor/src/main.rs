//! A function that does nothing but what every function of Daybook must do: it makes a client from the environment, opens its
//! connection at init with one request, and sends one request an invocation. No log, no type of its own, no HTTP edge.

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::AttributeValue,
};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let [table, region, key, secret] =
        ["EVENTS_TABLE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(std::env::var);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region?))
        .credentials_provider(Credentials::new(key?, secret?, None, None, "environment"));
    let endpoint = std::env::var("AWS_ENDPOINT_URL_DYNAMODB").ok();
    let config = endpoint.into_iter().fold(config, aws_sdk_dynamodb::config::Builder::endpoint_url);
    let (client, table) = (Client::from_conf(config.build()), table?);
    let ask = async || -> Result<Value, Error> {
        let query = client.query().table_name(&table).key_condition_expression("aggregate_id = :id");
        let answer = query.expression_attribute_values(":id", AttributeValue::S("nobody".to_owned())).send().await?;
        Ok(answer.count().into())
    };
    ask().await?;
    run(service_fn(async |_: LambdaEvent<Value>| ask().await)).await
}
