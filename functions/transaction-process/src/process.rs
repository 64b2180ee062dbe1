//! The process manager of transactions: debit the source, credit the destination, complete; or refund and fail.
//!
//! Each step is an ordinary command whose id follows from the transaction, so it has one effect and one answer for ever,
//! whoever sends it and however often. Accounts record a refusal as well, so a step's answer cannot become another one
//! later: two runs at once, or one that is repeated after a crash, walk the same path.

use aggregate::{Aggregate as _, AggregateId, CommandId, Envelope, Metadata, Timestamp};
use domain::{
    Account, AccountCommand, AccountEvent, Initiated, Outcome, Refusal, Rejection, Side, Transaction,
    TransactionCommand, TransactionEvent, TransactionRejection,
};
use eventing::{Command, EventStore, ExecuteError, ExpectedVersion, Host, ReadError, execute};

/// A transaction begins and ends.
const COMMITS_MAX: usize = 2;

/// Why a transaction is not at its end. Caller does: drive it again.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Its history cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A step on an account did not come to an answer.
    #[error("a step on an account")]
    Account(#[from] ExecuteError<Rejection>),
    /// Its end could not be recorded.
    #[error("the end of the transaction")]
    Transaction(#[from] ExecuteError<TransactionRejection>),
    /// There is none with this id.
    #[error("there is no transaction {0}")]
    NoSuchTransaction(AggregateId),
}

/// Drives the transaction to its end, from wherever it is.
///
/// # Errors
/// [`ProcessError`]; what is done until then is done, and driving it again goes on from there.
pub async fn drive(
    store: &impl EventStore,
    host: &impl Host,
    transaction_id: AggregateId,
    deadline: Timestamp,
) -> Result<Outcome, ProcessError> {
    let (initiated, because) = read(store, transaction_id).await?;
    if initiated.outcome != Outcome::Initiated {
        return Ok(initiated.outcome);
    }
    let steps = Steps { store, host, transaction_id, because, deadline };
    let order = initiated.order;
    let source = order.source;
    let debit = AccountCommand::DebitAccount(order.debit(transaction_id));
    if let Some(reason) = steps.refusal(source, "debit", debit).await? {
        return steps.fail(Side::Source, reason).await;
    }
    let credit = AccountCommand::CreditAccount(order.credit(transaction_id));
    if let Some(reason) = steps.refusal(order.destination, "credit", credit).await? {
        steps.refusal(source, "refund", AccountCommand::RefundAccount { transaction_id }).await?;
        return steps.fail(Side::Destination, reason).await;
    }
    steps.refusal(source, "settle", AccountCommand::SettleDebit { transaction_id }).await?;
    steps.end(TransactionCommand::CompleteTransaction, Outcome::Completed).await
}

/// What is known of the transaction, and why its steps are taken.
async fn read(store: &impl EventStore, id: AggregateId) -> Result<(Initiated, Metadata), ProcessError> {
    let mut transaction = Transaction::default();
    let mut because = None;
    for commit in store.read(id, 1, COMMITS_MAX).await? {
        for event in commit.decode::<TransactionEvent>().map_err(ReadError::from)? {
            transaction.apply(&event.data);
            because.get_or_insert_with(|| caused_by(&event));
        }
    }
    match (transaction, because) {
        (Transaction::Initiated(initiated), Some(because)) => Ok((initiated, because)),
        _ => Err(ProcessError::NoSuchTransaction(id)),
    }
}

fn caused_by<E>(event: &Envelope<E>) -> Metadata {
    Metadata { causation_id: event.event_id.to_string(), command_id: None, ..event.metadata.clone() }
}

/// The steps of one transaction.
struct Steps<'a, S, H> {
    store: &'a S,
    host: &'a H,
    transaction_id: AggregateId,
    because: Metadata,
    deadline: Timestamp,
}

impl<S: EventStore, H: Host> Steps<'_, S, H> {
    /// Takes a step on an account, and tells the account's refusal if it refused.
    async fn refusal(
        &self,
        account: AggregateId,
        step: &str,
        body: AccountCommand,
    ) -> Result<Option<Refusal>, ProcessError> {
        let executed = execute::<Account>(self.store, self.host, &self.command(account, step, body)).await?;
        Ok(executed.events.iter().find_map(AccountEvent::refusal))
    }

    async fn fail(&self, side: Side, reason: Refusal) -> Result<Outcome, ProcessError> {
        self.end(TransactionCommand::FailTransaction { side, reason }, Outcome::Failed { side, reason }).await
    }

    async fn end(&self, body: TransactionCommand, outcome: Outcome) -> Result<Outcome, ProcessError> {
        execute::<Transaction>(self.store, self.host, &self.command(self.transaction_id, "end", body)).await?;
        Ok(outcome)
    }

    fn command<C>(&self, aggregate_id: AggregateId, step: &str, body: C) -> Command<C> {
        let command_id = Some(CommandId::of_step(self.transaction_id, step));
        let metadata = Metadata { command_id, ..self.because.clone() };
        Command { aggregate_id, body, metadata, expected_version: ExpectedVersion::Any, deadline: self.deadline }
    }
}
