//! Answers administrators: the journal, and the bank's totals.

use eventing::System;
use lambda_http::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let dynamodb = aws::dynamodb()?;
    let queries = admin_queries::Queries {
        journal: aws::Journal::new(dynamodb.clone(), aws::required("JOURNAL_TABLE")?),
        totals: aws::Counters::new(dynamodb, aws::required("TOTALS_TABLE")?),
        cursor_keys: aws::RotatedSecret::new(aws::secrets_manager()?, aws::required("CURSOR_KEYS")?),
    };
    let answer = async |request: Request| api::answered(queries.handle(&System, request).await);
    run(service_fn(aws::reported(answer))).await
}
