use domain::{AccountCommand, AccountEvent, Currency, Rejection};
use tests::{check, opened, owner};

fn create(currency: &str) -> AccountCommand {
    AccountCommand::CreateAccount { owner: owner(), currency: Currency::from_code(currency).unwrap() }
}

#[test]
fn an_account_opens_empty_for_its_owner_in_its_currency() {
    let currency = Currency::from_code("JPY").unwrap();
    check([], &create("JPY"), Ok(vec![AccountEvent::AccountCreated { owner: owner(), currency }]));
}

#[test]
fn it_opens_once() {
    check([opened()], &create("EUR"), Err(Rejection::AlreadyOpen));
}
