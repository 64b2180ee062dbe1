use domain::{AccountCommand, AccountEvent, Amount, Currency, Rejection};
use tests::{check, eur, opened, owner, withdrawn};

fn set(limit: Option<Amount>) -> AccountCommand {
    AccountCommand::SetOverdraftLimit { limit }
}

fn limited(minor: u64) -> AccountEvent {
    AccountEvent::OverdraftLimitSet { limit_minor: minor }
}

fn withdraw(minor: u64) -> AccountCommand {
    AccountCommand::WithdrawMoney { by: owner(), amount: eur(minor), description: None }
}

#[test]
fn as_much_as_the_limit_may_be_owed_and_not_a_cent_more() {
    let currency = Currency::from_code("EUR").unwrap();
    check([opened(), limited(100)], &withdraw(100), Ok(vec![withdrawn(100)]));
    let refused = Rejection::InsufficientFunds { currency, available: 60.into() };
    check([opened(), limited(100), withdrawn(40)], &withdraw(61), Err(refused));
}

#[test]
fn the_limit_is_not_set_below_what_is_owed() {
    let currency = Currency::from_code("EUR").unwrap();
    let owing = || [opened(), limited(100), withdrawn(40)];
    check(owing(), &set(Some(eur(40))), Ok(vec![limited(40)]));
    check(owing(), &set(Some(eur(39))), Err(Rejection::OverdraftInUse { currency, balance: (-40).into() }));
    check(owing(), &set(None), Err(Rejection::OverdraftInUse { currency, balance: (-40).into() }));
}

#[test]
fn the_same_limit_again_changes_nothing() {
    check([opened(), limited(100)], &set(Some(eur(100))), Ok(vec![]));
    check([opened()], &set(None), Ok(vec![]));
}

#[test]
fn another_currency_and_a_closed_account_are_refused() {
    let [account, given] = ["EUR", "USD"].map(|code| Currency::from_code(code).unwrap());
    let dollars = Amount::from_minor(1, given).unwrap();
    check([opened()], &set(Some(dollars)), Err(Rejection::CurrencyMismatch { account, given }));
    check([opened(), AccountEvent::AccountClosed {}], &set(None), Err(Rejection::Closed));
}
