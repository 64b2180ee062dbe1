use domain::{AccountCommand, AccountEvent, Amount, Currency, Rejection};
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

#[test]
fn it_opens_only_in_money_of_today() {
    for code in ["HRK", "BGN", "ZWL", "SLL", "CUC", "ANG", "XAD", "CLF"] {
        check([], &create(code), Err(Rejection::NotCurrent(Currency::from_code(code).unwrap())));
    }
    let currency = Currency::from_code("VES").unwrap();
    check([], &create("VES"), Ok(vec![AccountEvent::AccountCreated { owner: owner(), currency }]));
}

#[test]
fn an_account_in_a_withdrawn_currency_goes_on() {
    let guilder = Currency::from_code("ANG").unwrap();
    let of_before = AccountEvent::AccountCreated { owner: owner(), currency: guilder };
    let amount = Amount::from_minor(1234, guilder).unwrap();
    let deposit = AccountCommand::DepositMoney { by: owner(), amount, description: None };
    check([of_before], &deposit, Ok(vec![AccountEvent::MoneyDeposited { amount, description: None }]));
}
