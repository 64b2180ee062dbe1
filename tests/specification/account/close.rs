use aggregate::UserId;
use domain::{AccountCommand, AccountEvent, Currency, Rejection};
use tests::{check, deposited, leg, opened, owner, withdrawn};

fn close() -> AccountCommand {
    AccountCommand::CloseAccount { by: owner() }
}

#[test]
fn an_empty_account_is_closed() {
    check([opened()], &close(), Ok(vec![AccountEvent::AccountClosed {}]));
    check([opened(), deposited(5), withdrawn(5)], &close(), Ok(vec![AccountEvent::AccountClosed {}]));
}

#[test]
fn one_with_money_or_with_debts_is_not() {
    let currency = Currency::from_code("EUR").unwrap();
    check([opened(), deposited(5)], &close(), Err(Rejection::NotEmpty { currency, balance: 5.into() }));
    check([opened(), withdrawn(5)], &close(), Err(Rejection::NotEmpty { currency, balance: (-5).into() }));
}

#[test]
fn one_with_money_in_flight_is_not_until_it_has_arrived() {
    let history = || [opened(), deposited(5), AccountEvent::AccountDebited(leg(1, 5))];
    check(history(), &close(), Err(Rejection::InFlight { transactions: 1 }));
    let settled = AccountEvent::DebitSettled { transaction_id: leg(1, 5).transaction_id };
    check(history().into_iter().chain([settled]), &close(), Ok(vec![AccountEvent::AccountClosed {}]));
}

#[test]
fn a_closed_or_frozen_account_stays_as_it_is() {
    check([opened(), AccountEvent::AccountClosed {}], &close(), Err(Rejection::Closed));
    check([opened(), AccountEvent::AccountFrozen {}], &close(), Err(Rejection::Frozen));
}

#[test]
fn anothers_account_is_the_same_as_none() {
    let by = UserId::new("mallory").unwrap();
    check([opened()], &AccountCommand::CloseAccount { by }, Err(Rejection::NoSuchAccount));
    check([], &close(), Err(Rejection::NoSuchAccount));
}
