//! Read model: what the bank holds and moves, by currency.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use domain::TotalsRow;
use eventing::System;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let dynamodb = aws::dynamodb()?;
    let store = aws::DynamoEventStore::new(dynamodb.clone(), aws::required("EVENTS_TABLE")?);
    let table = aws::Counters::new(dynamodb, aws::required("TOTALS_TABLE")?);
    store.warm_up().await;
    table.warm_up().await;
    let project = async |event: LambdaEvent<EventBridgeEvent<Value>>| {
        aws::project_delivered::<TotalsRow>(&store, &table, &System, &event.payload).await
    };
    run(service_fn(aws::reported(project))).await
}
