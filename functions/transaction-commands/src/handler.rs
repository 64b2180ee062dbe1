//! From an HTTP request to a transaction that has begun. What follows is the process manager's (`transaction-process`).

use std::pin::pin;

use aggregate::{AggregateId, Version};
use api::{Call, Problem, Response, TransactionBody};
use domain::{Account, Transaction, TransactionCommand};
use eventing::{EventStore, Host, ReadError, execute, load};
use lambda_http::{Request, http::StatusCode};

/// Answers one request. The routes are the template's.
pub async fn handle(store: &impl EventStore, host: &impl Host, request: Request) -> Response {
    let call = Call::new(request, host);
    let work = pin!(async {
        match call.route() {
            "POST /transactions" => initiate(store, host, &call).await,
            _ => Err(api::no_such_route(call.method_and_path().1)),
        }
    });
    call.answer(host, work).await
}

async fn initiate(store: &impl EventStore, host: &impl Host, call: &Call) -> Result<Response, Problem> {
    let metadata = call.metadata()?;
    let order = call.body::<TransactionBody>()?.order(metadata.user_id.clone());
    let source = account(store, order.source).await?;
    let destination = account(store, order.destination).await?;
    let id = Call::new_id::<Transaction>(&metadata, host);
    let body = TransactionCommand::InitiateTransaction { order, source, destination };
    let executed = execute::<Transaction>(store, host, &call.command(id, body, metadata)?).await?;
    call.created(StatusCode::ACCEPTED, "/transactions", id, &executed)
}

/// The account as it stands. What has the id but is none is as if there were nothing.
async fn account(store: &impl EventStore, id: AggregateId) -> Result<Account, ReadError> {
    match load::<Account>(store, id, Version::MAX).await {
        Ok(loaded) => Ok(loaded.aggregate),
        Err(ReadError::AnotherType) => Ok(Account::default()),
        Err(error) => Err(error),
    }
}
