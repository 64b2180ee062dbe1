//! A transaction begins if it makes sense, and ends once.

use aggregate::{Aggregate, AggregateId, UserId};
use domain::{
    Account, AccountEvent, Amount, Currency, Order, Refusal, Rejection, Side, Transaction, TransactionCommand,
    TransactionEvent, TransactionRejection,
};
use tests::{eur, opened, owner};
use uuid::Uuid;

fn order() -> Order {
    let [source, destination] = [1, 2].map(|number| AggregateId(Uuid::from_u128(number)));
    Order { by: owner(), source, destination, amount: eur(5), description: None }
}

fn account(events: &[AccountEvent]) -> Account {
    let mut account = Account::default();
    for event in events {
        account.apply(event);
    }
    account
}

fn initiate(order: Order, source: Account, destination: Account) -> TransactionCommand {
    TransactionCommand::InitiateTransaction { order, source, destination }
}

fn check(
    given: &[TransactionEvent],
    when: &TransactionCommand,
    then: &Result<Vec<TransactionEvent>, TransactionRejection>,
) {
    let mut transaction = Transaction::default();
    for event in given {
        transaction.apply(event);
    }
    assert_eq!(&transaction.handle(when), then);
}

fn begun() -> TransactionEvent {
    TransactionEvent::TransactionInitiated(order())
}

const FAILED: TransactionEvent =
    TransactionEvent::TransactionFailed { side: Side::Source, reason: Refusal::InsufficientFunds };

#[test]
fn it_begins_between_two_accounts_of_one_currency() {
    let open = || account(&[opened()]);
    check(&[], &initiate(order(), open(), open()), &Ok(vec![begun()]));
    check(&[begun()], &initiate(order(), open(), open()), &Err(TransactionRejection::AlreadyInitiated));
}

#[test]
fn the_source_must_be_the_callers() {
    let strangers = Order { by: UserId::new("mallory").unwrap(), ..order() };
    let refused = Err(Rejection::NoSuchAccount.into());
    check(&[], &initiate(strangers, account(&[opened()]), account(&[opened()])), &refused);
    check(&[], &initiate(order(), Account::NotOpened, account(&[opened()])), &refused);
}

#[test]
fn to_an_account_that_cannot_receive_it_fails_in_the_commit_that_begins_it_and_the_event_says_why() {
    let usd = Currency::from_code("USD").unwrap();
    for (destination, reason) in [
        (vec![], Refusal::NoSuchAccount),
        (vec![AccountEvent::AccountCreated { owner: owner(), currency: usd }], Refusal::CurrencyMismatch),
        (vec![opened(), AccountEvent::AccountFrozen {}], Refusal::Frozen),
        (vec![opened(), AccountEvent::AccountClosed {}], Refusal::Closed),
    ] {
        let failed = TransactionEvent::TransactionFailed { side: Side::Destination, reason };
        let command = initiate(order(), account(&[opened()]), account(&destination));
        check(&[], &command, &Ok(vec![begun(), failed]));
    }
}

#[test]
fn to_itself_and_in_another_currency_than_the_sources_it_is_refused() {
    let (eur, usd) = (Currency::from_code("EUR").unwrap(), Currency::from_code("USD").unwrap());
    let dollars = || account(&[AccountEvent::AccountCreated { owner: owner(), currency: usd }]);
    let same = Order { destination: order().source, ..order() };
    check(&[], &initiate(same, account(&[opened()]), account(&[opened()])), &Err(TransactionRejection::SameAccount));
    let refused = Rejection::CurrencyMismatch { account: eur, given: usd };
    let order = Order { amount: Amount::from_minor(5, usd).unwrap(), ..order() };
    // The destination is not looked at then.
    for destination in [dollars(), account(&[opened()]), Account::NotOpened] {
        check(&[], &initiate(order.clone(), account(&[opened()]), destination), &Err(refused.clone().into()));
    }
}

#[test]
fn it_ends_once() {
    let complete = TransactionCommand::CompleteTransaction;
    let fail = TransactionCommand::FailTransaction { side: Side::Source, reason: Refusal::InsufficientFunds };
    let completed = TransactionEvent::TransactionCompleted {};
    check(&[begun()], &complete, &Ok(vec![completed.clone()]));
    check(&[begun()], &fail, &Ok(vec![FAILED]));
    check(&[begun(), completed.clone()], &complete, &Ok(vec![]));
    check(&[begun(), FAILED], &fail, &Ok(vec![]));
    check(&[begun(), completed], &fail, &Err(TransactionRejection::EndedOtherwise));
    check(&[begun(), FAILED], &complete, &Err(TransactionRejection::EndedOtherwise));
    check(&[], &complete, &Err(TransactionRejection::NoSuchTransaction));
}
