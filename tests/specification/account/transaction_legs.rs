use domain::{Account, AccountCommand, AccountEvent, Refusal, Rejection};
use tests::{check, deposited, leg, opened};

fn debit(minor: u64) -> AccountCommand {
    AccountCommand::DebitAccount(leg(1, minor))
}

fn debited(number: u128, minor: u64) -> AccountEvent {
    AccountEvent::AccountDebited(leg(number, minor))
}

fn debit_refused(reason: Refusal) -> AccountEvent {
    AccountEvent::DebitRefused { transaction_id: leg(1, 1).transaction_id, reason }
}

#[test]
fn a_refused_debit_is_recorded_with_its_reason() {
    check([opened(), deposited(5)], &debit(5), Ok(vec![debited(1, 5)]));
    check([opened(), deposited(5)], &debit(6), Ok(vec![debit_refused(Refusal::InsufficientFunds)]));
    check([opened(), AccountEvent::AccountFrozen {}], &debit(1), Ok(vec![debit_refused(Refusal::Frozen)]));
    check([opened(), AccountEvent::AccountClosed {}], &debit(1), Ok(vec![debit_refused(Refusal::Closed)]));
    check([], &debit(1), Err(Rejection::NoSuchAccount));
}

#[test]
fn only_so_many_debits_are_in_flight_at_once() {
    let many = (2..).map(|number| debited(number, 1)).take(Account::IN_FLIGHT_MAX);
    let history: Vec<_> = [opened(), deposited(1_000)].into_iter().chain(many).collect();
    check(history, &debit(1), Ok(vec![debit_refused(Refusal::TooManyInFlight)]));
}

#[test]
fn a_refused_credit_is_recorded_with_its_reason() {
    let credit = AccountCommand::CreditAccount(leg(1, 7));
    let refused = |reason| AccountEvent::CreditRefused { transaction_id: leg(1, 7).transaction_id, reason };
    check([opened()], &credit, Ok(vec![AccountEvent::AccountCredited(leg(1, 7))]));
    check([opened(), AccountEvent::AccountFrozen {}], &credit, Ok(vec![refused(Refusal::Frozen)]));
    check([opened(), AccountEvent::AccountClosed {}], &credit, Ok(vec![refused(Refusal::Closed)]));
}

#[test]
fn what_was_debited_comes_back_once_whatever_the_status() {
    let refund = AccountCommand::RefundAccount { transaction_id: leg(1, 5).transaction_id };
    let (transaction_id, amount) = (leg(1, 5).transaction_id, leg(1, 5).amount);
    let refunded = AccountEvent::AccountRefunded { transaction_id, amount };
    let frozen = || [opened(), deposited(5), debited(1, 5), AccountEvent::AccountFrozen {}];
    check(frozen(), &refund, Ok(vec![refunded.clone()]));
    check(frozen().into_iter().chain([refunded]), &refund, Ok(vec![]));
    check(frozen().into_iter().chain([AccountEvent::DebitSettled { transaction_id }]), &refund, Ok(vec![]));
    check([opened()], &refund, Ok(vec![]));
}
