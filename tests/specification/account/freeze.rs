use domain::{AccountCommand, AccountEvent, Rejection};
use tests::{check, deposited, eur, opened, owner};

#[test]
fn a_frozen_account_moves_no_money_until_it_is_unfrozen() {
    let deposit = AccountCommand::DepositMoney { by: owner(), amount: eur(1), description: None };
    let withdraw = AccountCommand::WithdrawMoney { by: owner(), amount: eur(1), description: None };
    let frozen = || [opened(), deposited(5), AccountEvent::AccountFrozen {}];
    check(frozen(), &deposit, Err(Rejection::Frozen));
    check(frozen(), &withdraw, Err(Rejection::Frozen));
    let unfrozen = frozen().into_iter().chain([AccountEvent::AccountUnfrozen {}]);
    check(unfrozen, &deposit, Ok(vec![deposited(1)]));
}

#[test]
fn freezing_and_unfreezing_again_changes_nothing() {
    let (freeze, unfreeze) = (AccountCommand::FreezeAccount, AccountCommand::UnfreezeAccount);
    check([opened()], &freeze, Ok(vec![AccountEvent::AccountFrozen {}]));
    check([opened(), AccountEvent::AccountFrozen {}], &freeze, Ok(vec![]));
    check([opened(), AccountEvent::AccountFrozen {}], &unfreeze, Ok(vec![AccountEvent::AccountUnfrozen {}]));
    check([opened()], &unfreeze, Ok(vec![]));
    check([opened(), AccountEvent::AccountClosed {}], &freeze, Err(Rejection::Closed));
    check([], &freeze, Err(Rejection::NoSuchAccount));
}
