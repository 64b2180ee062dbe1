//! The process manager: drives transactions to their end.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::System;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

/// What a schedule's events have as their source (EventBridge user guide, "Creating a rule that runs on a schedule").
const SCHEDULE: &str = "aws.events";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let dynamodb = aws::dynamodb()?;
    let store = aws::DynamoEventStore::new(dynamodb.clone(), aws::required("EVENTS_TABLE")?);
    let transactions = aws::CurrentRows::new(dynamodb, aws::required("TRANSACTIONS_TABLE")?, "transaction_id");
    store.warm_up().await;
    let drive = async |event: LambdaEvent<EventBridgeEvent<Value>>| {
        let deadline = eventing::deadline(event.context.deadline);
        match event.payload.source.as_str() {
            SCHEDULE => Box::pin(transaction_process::sweep(&store, &System, &transactions, deadline)).await.map(drop),
            _ => Box::pin(transaction_process::begun(&store, &System, &event.payload, deadline)).await,
        }
    };
    run(service_fn(aws::reported(drive))).await
}
