//! Read model: every event of every aggregate, in time order.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::System;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let dynamodb = aws::dynamodb()?;
    let store = aws::DynamoEventStore::new(dynamodb.clone(), aws::required("EVENTS_TABLE")?);
    let journal = aws::Journal::new(dynamodb, aws::required("JOURNAL_TABLE")?);
    store.warm_up().await;
    let enter = async |event: LambdaEvent<EventBridgeEvent<Value>>| {
        journal_projector::handle(&store, &journal, &System, &event.payload).await
    };
    run(service_fn(aws::reported(enter))).await
}
