//! Whatever is asked and whatever was recorded, the balance is the sum of what moved: by a book of the test's own.

use std::collections::BTreeMap;

use aggregate::{Aggregate, AggregateId, Envelope, Row};
use domain::{
    Account, AccountCommand, AccountEvent, AccountRow, Amount, Currency, Refusal, Rejection, StatementEntry, TotalsRow,
};
use proptest::{prelude::*, sample::select};
use tests::{commit, deposited, eur, leg, opened, owner, with_balance, withdrawn};
use uuid::Uuid;

/// Small amounts, which meet each other's sums, and the largest.
fn minor() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..100, Just(Amount::MINOR_UNITS_MAX)]
}

fn command() -> impl Strategy<Value = AccountCommand> {
    let deposit = |minor| AccountCommand::DepositMoney { by: owner(), amount: eur(minor), description: None };
    let receive = |minor| AccountCommand::ReceiveDeposit { owner: owner(), amount: eur(minor), description: None };
    let withdraw = |minor| AccountCommand::WithdrawMoney { by: owner(), amount: eur(minor), description: None };
    let set = |minor| AccountCommand::SetOverdraftLimit { limit: (minor > 50).then(|| eur(minor)) };
    // Few transactions, so that they come to be debited, and then refunded or settled.
    let transaction = || (0_u128..4).prop_map(|number| leg(number, 1).transaction_id);
    prop_oneof![
        minor().prop_map(deposit),
        minor().prop_map(receive),
        minor().prop_map(withdraw),
        minor().prop_map(set),
        (0_u128..4, minor()).prop_map(|(number, minor)| AccountCommand::DebitAccount(leg(number, minor))),
        (0_u128..4, minor()).prop_map(|(number, minor)| AccountCommand::CreditAccount(leg(number, minor))),
        transaction().prop_map(|transaction_id| AccountCommand::RefundAccount { transaction_id }),
        transaction().prop_map(|transaction_id| AccountCommand::SettleDebit { transaction_id }),
        Just(AccountCommand::FreezeAccount),
        Just(AccountCommand::UnfreezeAccount),
    ]
}

/// What an account must be, by nothing but the commands.
struct Book {
    balance: i128,
    limit: i128,
    is_frozen: bool,
    in_flight: BTreeMap<AggregateId, i128>,
}

impl Book {
    fn can_pay(&self, amount: Amount) -> bool {
        !self.is_frozen && i128::from(amount.minor()) <= self.balance + self.limit
    }

    /// Enters a command, and tells whether the account must do what it asks.
    fn enter(&mut self, command: &AccountCommand) -> bool {
        match command {
            AccountCommand::DepositMoney { amount, .. }
            | AccountCommand::ReceiveDeposit { amount, .. }
            | AccountCommand::CreditAccount(domain::Leg { amount, .. }) => {
                let is_done = !self.is_frozen;
                self.balance += if is_done { amount.minor().into() } else { 0 };
                is_done
            }
            AccountCommand::WithdrawMoney { amount, .. } => {
                let is_done = self.can_pay(*amount);
                self.balance -= if is_done { amount.minor().into() } else { 0 };
                is_done
            }
            AccountCommand::DebitAccount(leg) => {
                let is_done = !self.in_flight.contains_key(&leg.transaction_id) && self.can_pay(leg.amount);
                if is_done {
                    self.balance -= i128::from(leg.amount.minor());
                    self.in_flight.insert(leg.transaction_id, leg.amount.minor().into());
                }
                is_done
            }
            AccountCommand::RefundAccount { transaction_id } => {
                let back = self.in_flight.remove(transaction_id);
                self.balance += back.unwrap_or(0);
                back.is_some()
            }
            AccountCommand::SettleDebit { transaction_id } => self.in_flight.remove(transaction_id).is_some(),
            AccountCommand::SetOverdraftLimit { limit } => {
                let limit = limit.map_or(0, |limit| limit.minor().into());
                let is_done = limit != self.limit && self.balance + limit >= 0;
                self.limit = if is_done { limit } else { self.limit };
                is_done
            }
            AccountCommand::FreezeAccount => !std::mem::replace(&mut self.is_frozen, true),
            AccountCommand::UnfreezeAccount => std::mem::replace(&mut self.is_frozen, false),
            AccountCommand::CreateAccount { .. } | AccountCommand::CloseAccount { .. } => unreachable!("is not drawn"),
        }
    }
}

fn is_refusal(events: &Result<Vec<AccountEvent>, Rejection>) -> bool {
    let is_refusal = |event: &AccountEvent| {
        matches!(
            event,
            AccountEvent::DepositRefused { .. }
                | AccountEvent::DebitRefused { .. }
                | AccountEvent::CreditRefused { .. }
        )
    };
    events.as_ref().is_ok_and(|events| events.iter().any(is_refusal))
}

/// Every type of event, with money of the account's currency and of another.
fn event() -> impl Strategy<Value = AccountEvent> {
    let usd = Currency::from_code("USD").unwrap();
    let amount = || {
        let of_usd = move |minor| Amount::from_minor(minor, usd).unwrap();
        prop_oneof![9 => minor().prop_map(eur), 1 => minor().prop_map(of_usd)]
    };
    let leg = move || (0_u128..4, amount()).prop_map(|(number, amount)| domain::Leg { amount, ..leg(number, 1) });
    let id = || (0_u128..4).prop_map(|number| AggregateId(Uuid::from_u128(number)));
    let reason = || select(vec![Refusal::Frozen, Refusal::Closed, Refusal::CurrencyMismatch, Refusal::BalanceTooLarge]);
    prop_oneof![
        1 => Just(opened()),
        2 => Just(AccountEvent::AccountClosed {}),
        2 => Just(AccountEvent::AccountFrozen {}),
        2 => Just(AccountEvent::AccountUnfrozen {}),
        9 => amount().prop_map(|amount| AccountEvent::MoneyDeposited { amount, description: None }),
        9 => amount().prop_map(|amount| AccountEvent::MoneyWithdrawn { amount, description: None }),
        2 => (amount(), reason()).prop_map(|(amount, reason)| AccountEvent::DepositRefused { amount, reason }),
        2 => (0..=Amount::MINOR_UNITS_MAX).prop_map(|limit_minor| AccountEvent::OverdraftLimitSet { limit_minor }),
        9 => leg().prop_map(AccountEvent::AccountDebited),
        9 => leg().prop_map(AccountEvent::AccountCredited),
        2 => (id(), reason()).prop_map(|(transaction_id, reason)| AccountEvent::DebitRefused { transaction_id, reason }),
        2 => (id(), reason()).prop_map(|(transaction_id, reason)| AccountEvent::CreditRefused { transaction_id, reason }),
        9 => (id(), amount()).prop_map(|(transaction_id, amount)| AccountEvent::AccountRefunded { transaction_id, amount }),
        2 => id().prop_map(|transaction_id| AccountEvent::DebitSettled { transaction_id }),
    ]
}

/// The balance after a history, by the events' own amounts; `None` where it is a history of no account.
fn sum(events: &[AccountEvent]) -> Option<i128> {
    let [AccountEvent::AccountCreated { currency, .. }, rest @ ..] = events else { return None };
    rest.iter().try_fold(0, |sum, event| {
        let (amount, sign) = match event {
            AccountEvent::AccountCreated { .. } => return None,
            AccountEvent::MoneyDeposited { amount, .. }
            | AccountEvent::AccountCredited(domain::Leg { amount, .. })
            | AccountEvent::AccountRefunded { amount, .. } => (amount, 1),
            AccountEvent::MoneyWithdrawn { amount, .. } | AccountEvent::AccountDebited(domain::Leg { amount, .. }) => {
                (amount, -1)
            }
            AccountEvent::DepositRefused { .. }
            | AccountEvent::AccountClosed {}
            | AccountEvent::AccountFrozen {}
            | AccountEvent::AccountUnfrozen {}
            | AccountEvent::OverdraftLimitSet { .. }
            | AccountEvent::DebitRefused { .. }
            | AccountEvent::CreditRefused { .. }
            | AccountEvent::DebitSettled { .. } => return Some(sum),
        };
        (amount.currency() == *currency).then(|| sum + sign * i128::from(amount.minor()))
    })
}

/// The last row of a read model; `None` where an event has none.
fn last_row<R: Row<Event = AccountEvent>>(events: &[AccountEvent]) -> Option<R> {
    let envelope = commit(AggregateId(Uuid::nil()), 1).decode().unwrap().remove(0);
    let mut row: Option<R> = None;
    for (event, version) in events.iter().zip(1..) {
        let event = Envelope { version, data: event.clone(), ..envelope.clone() };
        row = Some(R::next(row.as_ref(), &event)?);
    }
    row
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_balance_is_what_came_in_less_what_went_out_and_every_command_is_decided_by_it(
        begin in select(vec![
            0, -1, 50, i128::from(i64::MAX) - 60, i128::from(i64::MIN) + 60, 1 << 64, (1 << 103), -(1 << 103),
        ]),
        commands in prop::collection::vec(command(), 0..60),
    ) {
        let mut account = with_balance(&begin.to_string());
        let mut book = Book { balance: begin, limit: 0, is_frozen: false, in_flight: BTreeMap::new() };
        for command in &commands {
            let is_done = book.enter(command);
            let outcome = account.handle(command);
            let has_effect = outcome.as_ref().is_ok_and(|events| !events.is_empty()) && !is_refusal(&outcome);
            prop_assert_eq!(has_effect, is_done, "{:?} at {}: {:?}", command, book.balance, outcome);
            for event in outcome.unwrap_or_default() {
                account.apply(&event);
            }
            let Account::Opened(open) = &account else { panic!("{account:?}") };
            prop_assert_eq!(open.balance.minor(), book.balance, "after {:?}", command);
            prop_assert_eq!(open.in_flight.len(), book.in_flight.len());
        }
    }

    #[test]
    fn a_history_comes_to_the_sum_of_its_events_and_a_damaged_one_to_no_balance_at_all(
        begins_well in prop::bool::weighted(0.9),
        rest in prop::collection::vec(event(), 0..20),
    ) {
        let events: Vec<AccountEvent> = begins_well.then(opened).into_iter().chain(rest).collect();
        let mut account = Account::default();
        for event in &events {
            account.apply(event);
        }
        let balance = match &account {
            Account::Opened(open) => Some(open.balance.minor()),
            Account::NotOpened | Account::Damaged => None,
        };
        prop_assert_eq!(balance, sum(&events), "{:?}", events);
        prop_assert_eq!(account.damage().is_some(), balance.is_none() && !events.is_empty());
        prop_assert_eq!(last_row::<AccountRow>(&events).map(|row| row.account.balance.minor()), balance);
        prop_assert_eq!(last_row::<StatementEntry>(&events).map(|entry| entry.balance.minor()), balance);
        prop_assert_eq!(last_row::<TotalsRow>(&events).is_some(), balance.is_some());
    }
}

#[test]
fn a_damaged_account_refuses_everything() {
    let mut account = Account::default();
    for event in [opened(), deposited(5), opened(), withdrawn(1)] {
        account.apply(&event);
    }
    assert_eq!(account, Account::Damaged);
    let deposit = AccountCommand::DepositMoney { by: owner(), amount: eur(1), description: None };
    assert_eq!(account.handle(&deposit), Err(Rejection::NoSuchAccount));
}
