//! The process manager brings every transaction to one end, whatever fails on the way, and no money is lost or made.

use aggregate::{Aggregate, AggregateId, CorrelationId, Timestamp, Version};
use domain::{
    Account, AccountCommand, AccountEvent, Opened, Order, Outcome, Refusal, Side, Transaction, TransactionCommand,
};
use eventing::{EventStore, execute, load};
use tests::{Fault, FaultyStore, StillHost, command, envelopes, eur, opened, owner};
use transaction_process::drive;
use uuid::Uuid;

const EUROS: u64 = 500;

/// Two accounts of which the first has money, and a transaction between them that has begun.
struct Bank {
    store: FaultyStore,
    source: AggregateId,
    destination: AggregateId,
    transaction: AggregateId,
}

impl Bank {
    async fn with_transaction_over(minor: u64) -> Self {
        let [source, destination, transaction] = [(); 3].map(|()| AggregateId(Uuid::now_v7()));
        let bank = Self { store: FaultyStore::default(), source, destination, transaction };
        let AccountEvent::AccountCreated { owner, currency } = opened() else { unreachable!() };
        for account in [source, destination] {
            bank.tell(account, AccountCommand::CreateAccount { owner: owner.clone(), currency }).await;
        }
        bank.deposit(EUROS).await;
        let order = Order { by: owner, source, destination, amount: eur(minor), description: None };
        let [source, destination] = [bank.account(source).await, bank.account(destination).await].map(Account::Opened);
        let body = TransactionCommand::InitiateTransaction { order, source, destination };
        execute::<Transaction>(&bank.store, &StillHost::default(), &command(transaction, body, None)).await.unwrap();
        bank
    }

    async fn tell(&self, account: AggregateId, body: AccountCommand) {
        execute::<Account>(&self.store, &StillHost::default(), &command(account, body, None)).await.unwrap();
    }

    async fn deposit(&self, minor: u64) {
        let deposit = AccountCommand::DepositMoney { by: owner(), amount: eur(minor), description: None };
        self.tell(self.source, deposit).await;
    }

    async fn account(&self, id: AggregateId) -> Opened {
        match load::<Account>(&self.store, id, Version::MAX).await.unwrap().aggregate {
            Account::Opened(opened) => opened,
            Account::NotOpened | Account::Damaged => panic!("no account"),
        }
    }

    async fn drive(&self) -> Option<Outcome> {
        let deadline = Timestamp::MAX;
        drive(&self.store, &StillHost::default(), self.transaction, deadline).await.ok()
    }

    /// Checks that the transaction is at this end, and that the money is where it must be.
    async fn check(&self, outcome: Outcome, minor: u64, in_all: u64) {
        assert_eq!(self.drive().await, Some(outcome));
        let (source, destination) = (self.account(self.source).await, self.account(self.destination).await);
        let arrived = if outcome == Outcome::Completed { minor } else { 0 };
        assert_eq!(destination.balance.minor(), i128::from(arrived), "{outcome:?}");
        assert_eq!(source.balance.minor(), i128::from(in_all - arrived), "{outcome:?}");
        assert!(source.in_flight.is_empty());
        let ends = envelopes(&self.store, self.transaction).await.len();
        assert_eq!(ends, 2, "one beginning and one end");
    }

    async fn appends(&self) -> usize {
        let mut commits = 0;
        for id in [self.source, self.destination, self.transaction] {
            commits += self.store.read(id, 1, usize::MAX).await.unwrap().len();
        }
        commits
    }
}

fn failed(side: Side, reason: Refusal) -> Outcome {
    Outcome::Failed { side, reason }
}

#[tokio::test]
async fn the_money_arrives_in_five_appends() {
    let bank = Bank::with_transaction_over(200).await;
    let before = bank.appends().await;
    bank.check(Outcome::Completed, 200, EUROS).await;
    // And the one with which it began.
    assert_eq!(bank.appends().await - before + 1, 5);
}

#[tokio::test]
async fn each_account_that_cannot_take_part_is_a_clear_failure_and_the_money_is_back() {
    let cases = [
        (501, None, failed(Side::Source, Refusal::InsufficientFunds)),
        (200, Some((true, AccountCommand::FreezeAccount)), failed(Side::Source, Refusal::Frozen)),
        (200, Some((false, AccountCommand::FreezeAccount)), failed(Side::Destination, Refusal::Frozen)),
        (200, Some((false, AccountCommand::CloseAccount { by: owner() })), failed(Side::Destination, Refusal::Closed)),
    ];
    for (minor, before, outcome) in cases {
        let bank = Bank::with_transaction_over(minor).await;
        if let Some((is_source, body)) = before {
            bank.tell(if is_source { bank.source } else { bank.destination }, body).await;
        }
        let before = bank.appends().await;
        bank.check(outcome, minor, EUROS).await;
        assert!(bank.appends().await - before < 5);
    }
}

/// Appends of the longest way that is driven: debit, credit or its refusal, refund or settlement, and the end.
const STEPS: usize = 4;

#[tokio::test]
async fn wherever_it_is_cut_off_the_next_run_comes_to_the_one_end() {
    // Before the append, and after it but before the answer. Three times, for the store tries again.
    let cuts = [
        [Fault::RequestLost, Fault::RequestLost, Fault::RequestLost],
        [Fault::AnswerLost, Fault::RequestLost, Fault::RequestLost],
    ];
    for cut in cuts {
        for place in 0..STEPS {
            for is_frozen in [false, true] {
                let bank = Bank::with_transaction_over(200).await;
                if is_frozen {
                    bank.tell(bank.destination, AccountCommand::FreezeAccount).await;
                }
                for fault in std::iter::repeat_n(Fault::None, place).chain(cut.clone()) {
                    bank.store.plan(fault);
                }
                assert_eq!(bank.drive().await, None, "cut off at {place}");
                // What could not be done before could be done now, and the other way round.
                let turn = if is_frozen { AccountCommand::UnfreezeAccount } else { AccountCommand::FreezeAccount };
                bank.tell(bank.destination, turn).await;
                let was_credited_or_refused = place > 1 || (place == 1 && matches!(cut[0], Fault::AnswerLost));
                let arrives = is_frozen != was_credited_or_refused;
                let frozen = failed(Side::Destination, Refusal::Frozen);
                bank.check(if arrives { Outcome::Completed } else { frozen }, 200, EUROS).await;
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_stays_even_if_the_money_comes_before_the_next_run() {
    let bank = Bank::with_transaction_over(501).await;
    for fault in [Fault::None, Fault::RequestLost, Fault::RequestLost, Fault::RequestLost] {
        bank.store.plan(fault);
    }
    assert_eq!(bank.drive().await, None);
    bank.deposit(100).await;
    bank.check(failed(Side::Source, Refusal::InsufficientFunds), 501, EUROS + 100).await;
}

#[tokio::test]
async fn two_runs_at_once_walk_one_path() {
    for minor in [200, 501] {
        let bank = Bank::with_transaction_over(minor).await;
        let (one, two) = tokio::join!(bank.drive(), bank.drive());
        assert_eq!(one, two);
        bank.check(one.unwrap(), minor, EUROS).await;
    }
}

#[tokio::test]
async fn two_accounts_may_pay_each_other_at_once() {
    let bank = Bank::with_transaction_over(200).await;
    bank.tell(bank.destination, AccountCommand::DepositMoney { by: owner(), amount: eur(EUROS), description: None })
        .await;
    let return_payment = AggregateId(Uuid::now_v7());
    let order =
        Order { by: owner(), source: bank.destination, destination: bank.source, amount: eur(300), description: None };
    let [source, destination] =
        [bank.account(bank.destination).await, bank.account(bank.source).await].map(Account::Opened);
    let body = TransactionCommand::InitiateTransaction { order, source, destination };
    execute::<Transaction>(&bank.store, &StillHost::default(), &command(return_payment, body, None)).await.unwrap();
    let (host, deadline) = (StillHost::default(), Timestamp::from_micros(i64::MAX));
    let (one, two) = tokio::join!(bank.drive(), drive(&bank.store, &host, return_payment, deadline));
    assert_eq!((one, two.unwrap()), (Some(Outcome::Completed), Outcome::Completed));
    let balances = [bank.account(bank.source).await.balance, bank.account(bank.destination).await.balance];
    assert_eq!(balances, [600.into(), 400.into()]);
}

#[tokio::test]
async fn every_event_of_it_names_the_request_and_its_direct_cause() {
    let bank = Bank::with_transaction_over(200).await;
    bank.drive().await.unwrap();
    let began = envelopes(&bank.store, bank.transaction).await.remove(0);
    let correlation_id: &CorrelationId = &began.metadata.correlation_id;
    for account in [bank.source, bank.destination] {
        let events = envelopes(&bank.store, account).await;
        let legs: Vec<_> = events.iter().filter(|event| event.data.get("transaction_id").is_some()).collect();
        assert!(!legs.is_empty());
        for leg in legs {
            assert_eq!(&leg.metadata.correlation_id, correlation_id);
            assert_eq!(leg.metadata.causation_id, began.event_id.to_string());
        }
    }
    assert_eq!(Transaction::TYPE, began.aggregate_type);
}
