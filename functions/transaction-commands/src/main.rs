//! Begins transactions: money from one account to another.

use eventing::System;
use lambda_http::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let store = aws::DynamoEventStore::new(aws::dynamodb()?, aws::required("EVENTS_TABLE")?);
    store.warm_up().await;
    let answer = async |request: Request| api::answered(transaction_commands::handle(&store, &System, request).await);
    run(service_fn(aws::reported(answer))).await
}
