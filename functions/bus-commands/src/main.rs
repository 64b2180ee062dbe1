//! Executes what other systems ask for on the bus, and answers there.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use eventing::System;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let store = aws::DynamoEventStore::new(aws::dynamodb()?, aws::required("EVENTS_TABLE")?);
    let bus = aws::EventBridge::new(aws::eventbridge()?, aws::required("EVENT_BUS")?);
    store.warm_up().await;
    let take = async |event: LambdaEvent<EventBridgeEvent<Value>>| {
        let deadline = eventing::deadline(event.context.deadline);
        bus_commands::handle(&store, &bus, &System, &event.payload, deadline).await
    };
    run(service_fn(aws::reported(take))).await
}
