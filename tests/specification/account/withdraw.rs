use aggregate::UserId;
use domain::{AccountCommand, Amount, Currency, Rejection};
use tests::{check, deposited, opened, owner, withdrawn};

fn withdraw_by(user: UserId, minor: u64, currency: &str) -> AccountCommand {
    let amount = Amount::from_minor(minor, Currency::from_code(currency).unwrap()).unwrap();
    AccountCommand::WithdrawMoney { by: user, amount, description: None }
}

#[test]
fn everything_may_be_taken_out() {
    check([opened(), deposited(500)], &withdraw_by(owner(), 500, "EUR"), Ok(vec![withdrawn(500)]));
}

#[test]
fn a_cent_more_is_an_overdraft_and_refused() {
    let currency = Currency::from_code("EUR").unwrap();
    let refused = Rejection::InsufficientFunds { currency, available: 300.into() };
    check([opened(), deposited(500), withdrawn(200)], &withdraw_by(owner(), 301, "EUR"), Err(refused));
}

#[test]
fn from_anothers_account_is_the_same_as_from_none() {
    let stranger = UserId::new("mallory").unwrap();
    check([opened(), deposited(500)], &withdraw_by(stranger, 1, "EUR"), Err(Rejection::NoSuchAccount));
    check([], &withdraw_by(owner(), 1, "EUR"), Err(Rejection::NoSuchAccount));
}

#[test]
fn another_currency_is_refused() {
    let [account, given] = ["EUR", "JPY"].map(|code| Currency::from_code(code).unwrap());
    let refused = Rejection::CurrencyMismatch { account, given };
    check([opened(), deposited(500)], &withdraw_by(owner(), 1, "JPY"), Err(refused));
}
