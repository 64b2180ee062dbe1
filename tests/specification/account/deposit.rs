use aggregate::UserId;
use domain::{Account, AccountCommand, Amount, Currency, Rejection};
use tests::{check, deposited, opened, owner};

fn deposit_by(user: UserId, minor: u64, currency: &str) -> AccountCommand {
    let amount = Amount::from_minor(minor, Currency::from_code(currency).unwrap()).unwrap();
    AccountCommand::DepositMoney { by: user, amount, description: None }
}

#[test]
fn money_is_put_in() {
    check([opened()], &deposit_by(owner(), 1234, "EUR"), Ok(vec![deposited(1234)]));
}

#[test]
fn into_an_account_that_does_not_exist_it_cannot_be_put() {
    check([], &deposit_by(owner(), 1, "EUR"), Err(Rejection::NoSuchAccount));
}

#[test]
fn into_anothers_account_is_the_same_as_into_none() {
    let stranger = UserId::new("mallory").unwrap();
    check([opened()], &deposit_by(stranger, 1, "EUR"), Err(Rejection::NoSuchAccount));
}

#[test]
fn another_currency_is_refused() {
    let [account, given] = ["EUR", "USD"].map(|code| Currency::from_code(code).unwrap());
    check([opened()], &deposit_by(owner(), 1, "USD"), Err(Rejection::CurrencyMismatch { account, given }));
}

#[test]
fn the_balance_has_an_upper_limit_that_may_be_reached() {
    let step = Amount::MINOR_UNITS_MAX;
    let full = Account::BALANCE_MINOR_UNITS_MAX.unsigned_abs() / step;
    let history = |deposits| std::iter::once(opened()).chain((0..deposits).map(|_| deposited(step)));
    check(history(full - 1), &deposit_by(owner(), step, "EUR"), Ok(vec![deposited(step)]));
    check(history(full), &deposit_by(owner(), 1, "EUR"), Err(Rejection::BalanceTooLarge));
}
