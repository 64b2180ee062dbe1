//! The sweep gives every open transaction its turn, whatever accounts do that others need.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aggregate::{AggregateId, Timestamp, Version};
use domain::{Account, AccountCommand, Currency, Order, Outcome, Transaction, TransactionCommand};
use eventing::{Host, execute, load};
use tests::{OpenList, SickStore, Sickness, StillHost, command, eur, owner};
use tokio::time::Instant;
use transaction_process::{HandleError, PARTS, Swept, sweep};
use uuid::Uuid;

/// A clock that a paused runtime moves, and dice with a seed.
struct Virtual {
    began: Instant,
    dice: AtomicU64,
}

impl Virtual {
    fn new(seed: u64) -> Self {
        Self { began: Instant::now(), dice: AtomicU64::new(seed) }
    }
}

impl Host for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).later_by(self.began.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// Weyl's sequence through a multiplier: enough to shuffle.
    fn jitter(&self, ceiling: Duration) -> Duration {
        let dice = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ceiling.mul_f64(f64::from(u32::try_from(dice >> 32).unwrap()) / f64::from(u32::MAX))
    }
}

#[derive(Default)]
struct Bank {
    store: SickStore,
    open: OpenList,
}

impl Bank {
    async fn account(&self) -> AggregateId {
        let id = AggregateId(Uuid::now_v7());
        let create = AccountCommand::CreateAccount { owner: owner(), currency: Currency::from_code("EUR").unwrap() };
        let deposit = AccountCommand::DepositMoney { by: owner(), amount: eur(1_000_000), description: None };
        for body in [create, deposit] {
            execute::<Account>(&self.store, &StillHost::default(), &command(id, body, None)).await.unwrap();
        }
        id
    }

    async fn accounts<const N: usize>(&self) -> [AggregateId; N] {
        let mut ids = [AggregateId(Uuid::nil()); N];
        for id in &mut ids {
            *id = self.account().await;
        }
        ids
    }

    /// A transaction that has begun, and of which nobody has heard.
    async fn begin(&mut self, source: AggregateId, destination: AggregateId) -> AggregateId {
        let id = AggregateId(Uuid::now_v7());
        let order = Order { by: owner(), source, destination, amount: eur(1), description: None };
        let [source, destination] = [source, destination].map(|id| load::<Account>(&self.store, id, Version::MAX));
        let (source, destination) = (source.await.unwrap().aggregate, destination.await.unwrap().aggregate);
        let body = TransactionCommand::InitiateTransaction { order, source, destination };
        execute::<Transaction>(&self.store, &StillHost::default(), &command(id, body, None)).await.unwrap();
        self.open.ids.push(id);
        id
    }

    async fn has_completed(&self, id: AggregateId) -> bool {
        match load::<Transaction>(&self.store, id, Version::MAX).await.unwrap().aggregate {
            Transaction::Initiated(initiated) => initiated.outcome == Outcome::Completed,
            Transaction::NotInitiated => false,
        }
    }

    /// One sweep with a function's time, and how long it took.
    async fn sweep(&self, host: &Virtual) -> (Result<Swept, HandleError>, Duration) {
        let began = Instant::now();
        let deadline = host.now().later_by(Duration::from_millis(29_500));
        let swept = sweep(&self.store, host, &self.open, deadline).await;
        (swept, began.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn among_a_thousand_on_a_hundred_accounts_that_never_answer_a_healthy_one_ends_within_two_sweeps() {
    // On either side, and healthy ones that share the other side with all the sick ones.
    for sick_side in 0..2 {
        for seed in 1..=5 {
            let mut bank = Bank::default();
            let [shop, other] = bank.accounts().await;
            // An account has at most 50 transactions in flight.
            let payers: [AggregateId; 25] = bank.accounts().await;
            let sick: [AggregateId; 100] = bank.accounts().await;
            for (account, payer) in sick.repeat(10).into_iter().zip(payers.into_iter().cycle()) {
                let (source, destination) = if sick_side == 0 { (account, shop) } else { (payer, account) };
                bank.begin(source, destination).await;
            }
            let mut healthy = Vec::new();
            for (source, destination) in [(other, shop), (payers[0], other), (payers[1], shop)] {
                healthy.push(bank.begin(source, destination).await);
            }
            bank.store.sick = sick.map(|id| (id, Sickness::Hangs)).into();

            let host = Virtual::new(seed);
            for _ in 0..2 {
                let (swept, took) = bank.sweep(&host).await;
                swept.expect("a sweep that did its work");
                assert!(took < Duration::from_secs(30), "a function has 30 s, and the sweep took {took:?}");
            }
            for id in healthy {
                assert!(bank.has_completed(id).await, "side {sick_side}, seed {seed}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_hang_those_that_fail_and_those_that_cannot_be_read_keep_nobody_from_the_end() {
    let mut bank = Bank::default();
    let [shop, payer] = bank.accounts().await;
    let sick: [AggregateId; 30] = bank.accounts().await;
    for (account, healthy) in sick.iter().zip([payer, shop].into_iter().cycle()) {
        bank.begin(*account, healthy).await;
        bank.begin(healthy, *account).await;
    }
    let mut healthy = Vec::new();
    for _ in 0..20 {
        healthy.push(bank.begin(payer, shop).await);
    }
    let kinds = [Sickness::Hangs, Sickness::Fails, Sickness::Unreadable];
    bank.store.sick = sick.into_iter().zip(kinds.into_iter().cycle()).collect();
    // A transaction that is nowhere, and items of the index that are no transactions.
    bank.open.ids.push(AggregateId(Uuid::now_v7()));
    bank.open.unreadable = 3;

    let (swept, _) = bank.sweep(&Virtual::new(1)).await;
    assert_eq!(swept.unwrap(), Swept { resumed: 20, stuck: 60 + 1 + 3, left: 0 });
    for id in healthy {
        assert!(bank.has_completed(id).await);
    }
    // What is stuck ends once its account answers, and nothing is done twice.
    bank.store.sick.clear();
    let (swept, _) = bank.sweep(&Virtual::new(2)).await;
    assert_eq!(swept.unwrap(), Swept { resumed: 60, stuck: 1 + 3, left: 0 });
    let [paid, got] = [payer, shop].map(|id| load::<Account>(&bank.store, id, Version::MAX));
    let balance = |account: Account| match account {
        Account::Opened(opened) => opened.balance.minor(),
        Account::NotOpened | Account::Damaged => panic!("no account"),
    };
    let [paid, got] = [balance(paid.await.unwrap().aggregate), balance(got.await.unwrap().aggregate)];
    assert_eq!([paid, got], [1_000_000 - 20, 1_000_000 + 20], "the 60 cancel each other out");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_failed_is_not_tried_again_in_the_same_sweep() {
    let mut bank = Bank::default();
    let [sick, shop] = bank.accounts().await;
    for _ in 0..1_000 {
        bank.begin(sick, shop).await;
    }
    bank.store.sick = [(sick, Sickness::Hangs)].into();
    let (swept, took) = bank.sweep(&Virtual::new(1)).await;
    assert_eq!(swept.unwrap(), Swept { resumed: 0, stuck: 1_000, left: 0 });
    assert!(took < Duration::from_secs(5), "one turn, and not one each: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn only_an_index_that_cannot_be_read_fails_the_sweep_and_not_before_the_others_had_their_turn() {
    let mut bank = Bank::default();
    let [payer, shop] = bank.accounts().await;
    let mut begun = Vec::new();
    for _ in 0..40 {
        begun.push(bank.begin(payer, shop).await);
    }
    let down = 1;
    bank.open.part_down = Some(down);
    let (swept, took) = bank.sweep(&Virtual::new(1)).await;
    assert!(matches!(swept, Err(HandleError::Table(_))), "{swept:?}");
    assert!(took < Duration::from_secs(30));
    for id in begun {
        assert_eq!(bank.has_completed(id).await, id.0.as_bytes()[15] % PARTS != down);
    }
}

#[tokio::test(start_paused = true)]
async fn where_more_accounts_are_down_than_one_sweep_can_try_each_sweep_tries_others() {
    let mut bank = Bank::default();
    let [payer, shop] = bank.accounts().await;
    let sick: [AggregateId; 800] = bank.accounts().await;
    // Healthy ones at both ends, in every part: some are last in any order that does not change.
    let mut healthy = Vec::new();
    for _ in 0..20 {
        healthy.push(bank.begin(payer, shop).await);
    }
    for account in sick {
        bank.begin(account, shop).await;
    }
    for _ in 0..20 {
        healthy.push(bank.begin(payer, shop).await);
    }
    bank.store.sick = sick.map(|id| (id, Sickness::Hangs)).into();
    let host = Virtual::new(7);
    for _ in 0..12 {
        let (swept, took) = bank.sweep(&host).await;
        assert!(took < Duration::from_secs(30));
        let swept = swept.unwrap();
        assert!(swept.stuck >= 300, "only few were tried: {swept:?}");
    }
    for id in healthy {
        assert!(bank.has_completed(id).await, "{id} has had no turn");
    }
}
