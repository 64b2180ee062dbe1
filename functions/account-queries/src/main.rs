//! Answers reads: from the read tables, and from the events where a caller asks for a version that has not arrived there.

use eventing::System;
use lambda_http::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    aws::init_telemetry();
    let dynamodb = aws::dynamodb()?;
    let queries = account_queries::Queries {
        store: aws::DynamoEventStore::new(dynamodb.clone(), aws::required("EVENTS_TABLE")?),
        accounts: aws::CurrentRows::new(dynamodb.clone(), aws::required("ACCOUNTS_TABLE")?, "account_id"),
        statement: aws::RowHistory::new(dynamodb.clone(), aws::required("STATEMENT_TABLE")?, "account_id"),
        transactions: aws::CurrentRows::new(dynamodb, aws::required("TRANSACTIONS_TABLE")?, "transaction_id"),
        cursor_keys: aws::RotatedSecret::new(aws::secrets_manager()?, aws::required("CURSOR_KEYS")?),
    };
    queries.store.warm_up().await;
    let answer = async |request: Request| api::answered(queries.handle(&System, request).await);
    run(service_fn(aws::reported(answer))).await
}
