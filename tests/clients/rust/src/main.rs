//! The README's walk with the Rust client that openapi-generator generates. Usage: `client-walk URL`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use daybook_client::{
    apis::{
        Error,
        accounts_api::{
            WithdrawMoneyError, create_account, deposit_money, get_account, get_statement, withdraw_money,
        },
        configuration::Configuration,
        transactions_api::{get_transaction, initiate_transaction},
    },
    models::{
        CreateAccountBody, MoneyBody, TransactionBody, create_account_body, transaction_view, withdraw_money_problem422,
    },
};

async fn client_of(url: &str, user: &str) -> Result<Configuration> {
    let token = reqwest::get(format!("{url}/_local/tokens/{user}")).await?.text().await?;
    let base_path = url.to_owned();
    Ok(Configuration { base_path, bearer_access_token: Some(token.trim().to_owned()), ..Configuration::default() })
}

fn money(amount: &str, description: &str) -> MoneyBody {
    let described = Some(Some(description.to_owned()));
    MoneyBody { description: described, ..MoneyBody::new(amount.to_owned(), "EUR".to_owned()) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).context("Give the URL of the local cloud.")?;
    let (alice, bob) = (client_of(&url, "alice").await?, client_of(&url, "bob").await?);
    let euros = || CreateAccountBody::new(create_account_body::Currency::Eur);

    let opened = create_account(&alice, euros(), Some("rust-euros"), None, None).await?;
    ensure!(opened.version == 1, "{opened:?}");
    let account = opened.id.to_string();

    for _ in 0..2 {
        let deposited =
            deposit_money(&alice, &account, money("1250.00", "Salary"), Some("salary"), None, None).await?;
        ensure!(deposited.version == 2, "{deposited:?}");
    }
    let withdrawn = withdraw_money(&alice, &account, money("50.50", "Cash"), Some("cash"), None, None).await?;
    ensure!(withdrawn.version == 3, "{withdrawn:?}");

    let refused = withdraw_money(&alice, &account, money("5000", "Too much"), None, None, None).await;
    let Err(Error::ResponseError(refused)) = refused else { anyhow::bail!("An overdraft is answered {refused:?}.") };
    let Some(WithdrawMoneyError::Status422(problem)) = refused.entity else { anyhow::bail!("{refused:?}") };
    ensure!(problem.r#type == withdraw_money_problem422::Type::InsufficientFunds, "{problem:?}");
    ensure!(problem.available.as_deref() == Some("1199.50"), "{problem:?}");

    let state = get_account(&alice, &account, Some(3), None, None, None).await?;
    ensure!((state.balance.as_str(), state.version) == ("1199.50", 3), "{state:?}");

    let page = get_statement(&alice, &account, None, None, Some(3), None, None).await?;
    let entries: Vec<_> = page.items.iter().map(|entry| (entry.version, entry.amount.as_str())).collect();
    ensure!(entries == [(3, "-50.50"), (2, "1250.00")], "{entries:?}");

    let bobs = create_account(&bob, euros(), Some("rust-euros"), None, None).await?.id;
    let rent = TransactionBody::new("800.00".to_owned(), "EUR".to_owned(), opened.id, bobs);
    let begun = initiate_transaction(&alice, rent, Some("rust-rent"), None, None).await?.id.to_string();
    let mut status = transaction_view::Status::Initiated;
    for _ in 0..200 {
        // The read model may not have the transaction yet, which is an error here.
        if let Ok(view) = get_transaction(&alice, &begun, None, None).await {
            status = view.status;
        }
        if status != transaction_view::Status::Initiated {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(status == transaction_view::Status::Completed, "The transaction is {status:?}.");
    let paid = get_account(&bob, &bobs.to_string(), Some(2), None, None, None).await?;
    ensure!(paid.balance == "800.00", "{paid:?}");
    println!("The walk of the Rust client is done.");
    Ok(())
}
