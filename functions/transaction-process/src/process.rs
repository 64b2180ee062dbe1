//! The process manager of transactions: debit the source, credit the destination, complete; or refund and fail.
//!
//! Each step is an ordinary command whose id follows from the transaction, so it has one effect and one answer for ever,
//! whoever sends it and however often. Accounts record a refusal as well, so a step's answer cannot become another one
//! later: two runs at once, or one that is repeated after a crash, walk the same path. So a run may be dropped at any await.

use aggregate::{Aggregate as _, AggregateId, CommandId, Envelope, Metadata, Timestamp};
use domain::{
    Account, AccountCommand, AccountEvent, Initiated, Order, Outcome, Refusal, Rejection, Side, Transaction,
    TransactionCommand, TransactionEvent, TransactionRejection,
};
use eventing::{Command, EventStore, ExecuteError, ExpectedVersion, Host, ReadError, execute};

/// A transaction begins and ends.
const COMMITS_MAX: usize = 2;

/// The reason why a transaction is not at its end. Caller does: drive it again.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Its history cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A step on an account did not come to an answer.
    #[error("a step on account {account_id} failed")]
    Account {
        /// The account.
        account_id: AggregateId,
        /// The cause.
        #[source]
        cause: ExecuteError<Rejection>,
    },
    /// Its end could not be recorded.
    #[error("the end of the transaction could not be recorded")]
    Transaction(#[from] ExecuteError<TransactionRejection>),
    /// An account, or the transaction itself, did not answer before the deadline.
    #[error("{0} did not answer in time")]
    TimedOut(AggregateId),
    /// There is none with this id.
    #[error("there is no transaction {0}")]
    NoSuchTransaction(AggregateId),
}

impl ProcessError {
    /// The aggregate that did not answer or cannot be read: others that need it will fail as well.
    #[must_use]
    pub fn failed_aggregate(&self) -> Option<AggregateId> {
        match self {
            // An account that is busy answers.
            Self::Account { cause: ExecuteError::Busy, .. }
            | Self::Read(_)
            | Self::Transaction(_)
            | Self::NoSuchTransaction(_) => None,
            Self::Account { account_id: id, .. } | Self::TimedOut(id) => Some(*id),
        }
    }
}

/// Drives the transaction to its end, from wherever it is. Returns by `deadline`, whatever does not answer.
///
/// # Errors
/// [`ProcessError`]; what is done until then is done, and driving it again goes on from there.
pub async fn drive(
    store: &impl EventStore,
    host: &impl Host,
    transaction_id: AggregateId,
    deadline: Timestamp,
) -> Result<Outcome, ProcessError> {
    match find(store, host, transaction_id, deadline).await? {
        Found::Ended(outcome) => Ok(outcome),
        Found::Open(open) => Box::pin(open.drive(store, host, deadline)).await,
    }
}

/// A transaction as its history says.
pub(crate) enum Found {
    Ended(Outcome),
    Open(Box<Open>),
}

/// A transaction that has begun and not ended.
pub(crate) struct Open {
    pub transaction_id: AggregateId,
    order: Order,
    cause: Metadata,
}

/// Reads the transaction's history.
pub(crate) async fn find(
    store: &impl EventStore,
    host: &impl Host,
    transaction_id: AggregateId,
    deadline: Timestamp,
) -> Result<Found, ProcessError> {
    let read = store.read(transaction_id, 1, COMMITS_MAX);
    let commits = host.within(host.now().until(deadline), read).await;
    let (mut transaction, mut cause) = (Transaction::default(), None);
    for commit in commits.ok_or(ProcessError::TimedOut(transaction_id))?? {
        for event in commit.decode::<TransactionEvent>().map_err(ReadError::from)? {
            transaction.apply(&event.data);
            cause.get_or_insert_with(|| caused_by(&event));
        }
    }
    match (transaction, cause) {
        (Transaction::Initiated(Initiated { order, outcome: Outcome::Initiated, .. }), Some(cause)) => {
            Ok(Found::Open(Box::new(Open { transaction_id, order, cause })))
        }
        (Transaction::Initiated(initiated), Some(_)) => Ok(Found::Ended(initiated.outcome)),
        _ => Err(ProcessError::NoSuchTransaction(transaction_id)),
    }
}

fn caused_by<E>(event: &Envelope<E>) -> Metadata {
    Metadata { causation_id: event.event_id.to_string(), command_id: None, ..event.metadata.clone() }
}

impl Open {
    /// The accounts that its steps need.
    pub fn accounts(&self) -> [AggregateId; 2] {
        [self.order.source, self.order.destination]
    }

    /// Takes all steps that are left.
    pub async fn drive(
        self,
        store: &impl EventStore,
        host: &impl Host,
        deadline: Timestamp,
    ) -> Result<Outcome, ProcessError> {
        let Self { transaction_id, order, cause } = self;
        let steps = Steps { store, host, transaction_id, cause, deadline };
        let source = order.source;
        let debit = AccountCommand::DebitAccount(order.debit(transaction_id));
        if let Some(reason) = steps.execute_step(source, "debit", debit).await? {
            return steps.fail(Side::Source, reason).await;
        }
        let credit = AccountCommand::CreditAccount(order.credit(transaction_id));
        if let Some(reason) = steps.execute_step(order.destination, "credit", credit).await? {
            steps.execute_step(source, "refund", AccountCommand::RefundAccount { transaction_id }).await?;
            return steps.fail(Side::Destination, reason).await;
        }
        steps.execute_step(source, "settle", AccountCommand::SettleDebit { transaction_id }).await?;
        steps.end(TransactionCommand::CompleteTransaction, Outcome::Completed).await
    }
}

/// The steps of one transaction.
struct Steps<'a, S, H> {
    store: &'a S,
    host: &'a H,
    transaction_id: AggregateId,
    cause: Metadata,
    deadline: Timestamp,
}

impl<S: EventStore, H: Host> Steps<'_, S, H> {
    /// Takes a step on an account, and tells the account's refusal if it refused.
    async fn execute_step(
        &self,
        account_id: AggregateId,
        step: &str,
        body: AccountCommand,
    ) -> Result<Option<Refusal>, ProcessError> {
        let command = self.command(account_id, step, body);
        let executed = self.in_time(account_id, execute::<Account>(self.store, self.host, &command)).await?;
        let executed = executed.map_err(|cause| ProcessError::Account { account_id, cause })?;
        Ok(executed.events.iter().find_map(AccountEvent::refusal))
    }

    async fn fail(&self, side: Side, reason: Refusal) -> Result<Outcome, ProcessError> {
        self.end(TransactionCommand::FailTransaction { side, reason }, Outcome::Failed { side, reason }).await
    }

    async fn end(&self, body: TransactionCommand, outcome: Outcome) -> Result<Outcome, ProcessError> {
        let command = self.command(self.transaction_id, "end", body);
        self.in_time(self.transaction_id, execute::<Transaction>(self.store, self.host, &command)).await??;
        Ok(outcome)
    }

    /// Waits for `work` on an aggregate until the deadline, so that a partition that does not answer has a name.
    async fn in_time<T: Send>(
        &self,
        aggregate_id: AggregateId,
        work: impl Future<Output = T> + Send,
    ) -> Result<T, ProcessError> {
        let left = self.host.now().until(self.deadline);
        self.host.within(left, work).await.ok_or(ProcessError::TimedOut(aggregate_id))
    }

    fn command<C>(&self, aggregate_id: AggregateId, step: &str, body: C) -> Command<C> {
        let command_id = Some(CommandId::of_step(self.transaction_id, step));
        let metadata = Metadata { command_id, ..self.cause.clone() };
        Command { aggregate_id, body, metadata, expected_version: ExpectedVersion::Any, deadline: self.deadline }
    }
}
