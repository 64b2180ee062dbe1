//! Shows the API's contract and what each problem means, to everybody.

use eventing::System;
use lambda_http::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let answer = async |request: Request| api::answered(api_docs::handle(&System, request).await);
    run(service_fn(aws::reported(answer))).await
}
