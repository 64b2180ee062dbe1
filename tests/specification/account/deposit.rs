use aggregate::{Aggregate, UserId};
use domain::{AccountCommand, AccountEvent, Amount, Currency, Rejection};
use tests::{check, deposited, eur, leg, opened, owner, with_balance};

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
fn whether_money_is_accepted_never_depends_on_the_balance() {
    // Within 2^104, as every balance is.
    const ALMOST: &str = "20282409603651670423947251286000";
    for balance in ["0".to_owned(), "-5".to_owned(), i64::MAX.to_string(), ALMOST.to_owned(), format!("-{ALMOST}")] {
        let account = with_balance(&balance);
        let (amount, leg) = (eur(Amount::MINOR_UNITS_MAX), leg(1, Amount::MINOR_UNITS_MAX));
        let deposited = AccountEvent::MoneyDeposited { amount, description: None };
        for (command, event) in [
            (AccountCommand::DepositMoney { by: owner(), amount, description: None }, deposited.clone()),
            (AccountCommand::ReceiveDeposit { owner: owner(), amount, description: None }, deposited),
            (AccountCommand::CreditAccount(leg.clone()), AccountEvent::AccountCredited(leg)),
        ] {
            assert_eq!(account.handle(&command), Ok(vec![event]), "{balance}");
        }
    }
}
