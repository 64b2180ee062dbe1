//! Read model: every account as it stands now.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use domain::AccountRow;
use eventing::System;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let dynamodb = aws::dynamodb()?;
    let store = aws::DynamoEventStore::new(dynamodb.clone(), aws::required("EVENTS_TABLE")?);
    let table = aws::CurrentRows::new(dynamodb, aws::required("ACCOUNTS_TABLE")?, "account_id");
    store.warm_up().await;
    let project = async |event: LambdaEvent<EventBridgeEvent<Value>>| {
        aws::project_delivered::<AccountRow>(&store, &table, &System, &event.payload).await
    };
    run(service_fn(aws::reported(project))).await
}
