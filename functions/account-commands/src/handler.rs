//! From a request to a command, and from its outcome to an answer.

use std::pin::pin;

use api::{Call, CreateAccountBody, MoneyBody, OverdraftLimitBody, Problem, Response};
use domain::{Account, AccountCommand};
use eventing::{EventStore, Host, execute};
use lambda_http::{Request, http::StatusCode};

/// Answers one request. The routes are the template's.
pub async fn handle(store: &impl EventStore, host: &impl Host, request: Request) -> Response {
    let call = Call::new(request, host);
    let work = pin!(async {
        match call.route() {
            "POST /accounts" => create(store, host, &call).await,
            "POST /accounts/{id}/deposits" => deposit(store, host, &call).await,
            "POST /accounts/{id}/withdrawals" => withdraw(store, host, &call).await,
            "POST /accounts/{id}/close" => close(store, host, &call).await,
            "POST /accounts/{id}/freeze" => {
                administrate(store, host, &call, || Ok(AccountCommand::FreezeAccount)).await
            }
            "POST /accounts/{id}/unfreeze" => {
                administrate(store, host, &call, || Ok(AccountCommand::UnfreezeAccount)).await
            }
            "PUT /accounts/{id}/overdraft-limit" => {
                administrate(store, host, &call, || call.body().map(OverdraftLimitBody::command)).await
            }
            _ => Err(api::no_such_route(call.method_and_path().1)),
        }
    });
    call.answer(host, work).await
}

async fn create(store: &impl EventStore, host: &impl Host, call: &Call) -> Result<Response, Problem> {
    let metadata = call.metadata()?;
    let body = call.body::<CreateAccountBody>()?.command(metadata.user_id.clone());
    let id = Call::new_id::<Account>(&metadata, host);
    let executed = execute::<Account>(store, host, &call.command(id, body, metadata)?).await?;
    call.created(StatusCode::CREATED, "/accounts", id, &executed)
}

async fn deposit(store: &impl EventStore, host: &impl Host, call: &Call) -> Result<Response, Problem> {
    let metadata = call.metadata()?;
    let MoneyBody { amount, description, .. } = call.body()?;
    let body = AccountCommand::DepositMoney { by: metadata.user_id.clone(), amount, description };
    change(store, host, call, metadata, body).await
}

async fn withdraw(store: &impl EventStore, host: &impl Host, call: &Call) -> Result<Response, Problem> {
    let metadata = call.metadata()?;
    let MoneyBody { amount, description, .. } = call.body()?;
    let body = AccountCommand::WithdrawMoney { by: metadata.user_id.clone(), amount, description };
    change(store, host, call, metadata, body).await
}

async fn close(store: &impl EventStore, host: &impl Host, call: &Call) -> Result<Response, Problem> {
    let metadata = call.metadata()?;
    let body = AccountCommand::CloseAccount { by: metadata.user_id.clone() };
    change(store, host, call, metadata, body).await
}

/// A command that only an administrator may send, on anybody's account.
async fn administrate(
    store: &impl EventStore,
    host: &impl Host,
    call: &Call,
    body: impl FnOnce() -> Result<AccountCommand, Problem>,
) -> Result<Response, Problem> {
    let metadata = call.metadata()?;
    call.admin_only()?;
    change(store, host, call, metadata, body()?).await
}

/// Executes a command on the account that the path names.
async fn change(
    store: &impl EventStore,
    host: &impl Host,
    call: &Call,
    metadata: aggregate::Metadata,
    body: AccountCommand,
) -> Result<Response, Problem> {
    let id = call.id()?;
    let executed = execute::<Account>(store, host, &call.command(id, body, metadata)?).await?;
    call.changed(id, &executed)
}
