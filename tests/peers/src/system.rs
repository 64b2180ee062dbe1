//! What is compared: a system keeps accounts on DynamoDB and puts money in. All of them decide by the rules of `domain`, and
//! write the same event with the same metadata.

use aggregate::{Aggregate, AggregateId};
use async_trait::async_trait;
use domain::{Account, AccountCommand, AccountEvent};
use serde::{Deserialize, Serialize};
use tests::{eur, owner};

/// A way to keep accounts on DynamoDB.
#[async_trait]
pub trait System: Send + Sync {
    /// What it is called in tables.
    fn name(&self) -> &'static str;

    /// What its figures are without, or what else a reader of them should know.
    fn remark(&self) -> &'static str;

    /// Makes a new account with a history of `events` events, the first of which opens it. Not measured.
    async fn fill(&self, account: AggregateId, events: u64);

    /// Puts money in, as the system's own documentation does it.
    async fn deposit(&self, account: AggregateId) -> Result<(), Refusal>;

    /// What is recorded: how many events the account has, and what its balance is for the next command.
    async fn recorded(&self, account: AggregateId) -> Recorded;
}

/// What is recorded of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Events, the first of which opened it.
    pub events: u64,
    /// In minor units, as the system restores it to decide the next command.
    pub balance: i64,
}

/// Why a deposit is not in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another writer was faster: the caller may try again.
    Conflict,
    /// Something else.
    Other(String),
}

/// A deposit in minor units.
pub const DEPOSIT: u64 = 12_34;

/// The command of every deposit.
pub fn deposit() -> AccountCommand {
    let description = serde_json::from_value("Salary for November".into()).unwrap();
    AccountCommand::DepositMoney { by: owner(), amount: eur(DEPOSIT), description }
}

/// The event of a new account.
pub fn opened() -> AccountEvent {
    tests::opened()
}

/// The event of a deposit on an account that is open.
pub fn deposited() -> AccountEvent {
    let mut account = Account::default();
    account.apply(&opened());
    account.handle(&deposit()).unwrap().remove(0)
}

/// The type of an event, by which peers store it.
pub fn event_type(event: &AccountEvent) -> String {
    serde_json::to_value(event).unwrap()["event_type"].as_str().unwrap().to_owned()
}

/// The account after `events` events.
pub fn after(events: u64) -> Account {
    let mut account = Account::default();
    for event in history(events) {
        account.apply(&event);
    }
    account
}

/// A history of `events` events.
pub fn history(events: u64) -> impl Iterator<Item = AccountEvent> {
    std::iter::once(opened()).chain(std::iter::repeat(deposited())).take(usize::try_from(events).unwrap())
}

/// The money in an account.
pub fn balance(account: &Account) -> i64 {
    match account {
        Account::NotOpened | Account::Damaged => 0,
        Account::Opened(opened) => opened.balance.minor().try_into().unwrap(),
    }
}

/// Who and why: what Daybook records beside an event, for the peers to record likewise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_field_names, reason = "the names are Daybook's")]
pub struct Metadata {
    /// Whose request it was.
    pub user_id: String,
    /// The whole conversation.
    pub correlation_id: String,
    /// The direct cause.
    pub causation_id: String,
}

impl Metadata {
    /// That of a new request.
    pub fn new() -> Self {
        let command = tests::command(AggregateId(uuid::Uuid::nil()), (), None).metadata;
        Self {
            user_id: command.user_id.as_str().to_owned(),
            correlation_id: command.correlation_id.as_str().to_owned(),
            causation_id: command.causation_id,
        }
    }
}
