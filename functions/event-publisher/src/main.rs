//! Publishes every appended event on the bus.

use aws_lambda_events::dynamodb::Event;
use eventing::System;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let bus = aws::EventBridge::new(aws::eventbridge()?, aws::required("EVENT_BUS")?);
    let publish = async |event: LambdaEvent<Event>| event_publisher::handle(&bus, &System, event.payload).await;
    run(service_fn(aws::reported(publish))).await
}
