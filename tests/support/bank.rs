//! Commands and events of the bank, ready-made, and the given / when / then of its decisions.

use aggregate::{Aggregate, AggregateId, CommandId, CorrelationId, Event, Metadata, Timestamp, UserId, Version};
use domain::{Account, AccountCommand, AccountEvent, Amount, Currency, Leg, Rejection};
use eventing::{Command, Commit, ExpectedVersion, RecordedEvent, System};
use uuid::Uuid;

/// The owner of every account here.
#[must_use]
pub fn owner() -> UserId {
    UserId::new("alice").unwrap()
}

/// An account in EUR was opened.
#[must_use]
pub fn opened() -> AccountEvent {
    AccountEvent::AccountCreated { owner: owner(), currency: Currency::from_code("EUR").unwrap() }
}

/// `minor` cents were put in.
#[must_use]
pub fn deposited(minor: u64) -> AccountEvent {
    AccountEvent::MoneyDeposited { amount: eur(minor), description: None }
}

/// `minor` cents were taken out.
#[must_use]
pub fn withdrawn(minor: u64) -> AccountEvent {
    AccountEvent::MoneyWithdrawn { amount: eur(minor), description: None }
}

/// The owner's account in EUR with so many minor units, as a stored state has it: more than a test can deposit.
#[must_use]
pub fn with_balance(minor: &str) -> Account {
    let mut account = Account::default();
    account.apply(&opened());
    let mut state = serde_json::to_value(account).unwrap();
    state["Opened"]["balance"] = minor.into();
    serde_json::from_value(state).unwrap()
}

/// `minor` cents.
#[must_use]
pub fn eur(minor: u64) -> Amount {
    Amount::from_minor(minor, Currency::from_code("EUR").unwrap()).unwrap()
}

/// A side of the transaction `number` over `minor` cents.
#[must_use]
pub fn leg(number: u128, minor: u64) -> Leg {
    let [transaction_id, counterparty] = [number, 99].map(|number| AggregateId(Uuid::from_u128(number)));
    Leg { transaction_id, counterparty, amount: eur(minor), description: None }
}

/// Given a history, when a command is decided, then these events follow, or this rejection.
#[allow(clippy::needless_pass_by_value, reason = "reads better where it is called")]
pub fn check(
    given: impl IntoIterator<Item = AccountEvent>,
    when: &AccountCommand,
    then: Result<Vec<AccountEvent>, Rejection>,
) {
    let mut account = Account::default();
    for event in given {
        account.apply(&event);
    }
    assert_eq!(account.handle(when), then);
}

/// `body` on `aggregate_id` by the owner, with time enough.
#[must_use]
pub fn command<C>(aggregate_id: AggregateId, body: C, key: Option<&str>) -> Command<C> {
    Command {
        aggregate_id,
        body,
        metadata: Metadata {
            user_id: owner(),
            correlation_id: CorrelationId::from(Uuid::now_v7()),
            causation_id: "request".to_owned(),
            command_id: key.map(|key| CommandId::from_key(&owner(), key)),
        },
        expected_version: ExpectedVersion::Any,
        deadline: Timestamp::MAX,
    }
}

/// A commit of an account that was opened by its first event and got one euro by each of the others.
#[must_use]
pub fn commit(aggregate_id: AggregateId, version: Version) -> Commit {
    let event = if version == 1 { opened() } else { deposited(100) };
    Commit {
        aggregate_id,
        aggregate_type: AccountEvent::AGGREGATE_TYPE.to_owned(),
        version,
        created_at: Timestamp::from_micros(1_763_891_400_000_000),
        metadata: command(aggregate_id, (), None).metadata,
        command_digest: None,
        events: vec![RecordedEvent::new(&event, &System).unwrap()],
        state: None,
    }
}
