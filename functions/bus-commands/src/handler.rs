//! From an event of another system to a command, and from its outcome to an answer on the bus.
//!
//! Promises: a request has one effect and one final answer, however often it comes: its command id follows from the sender's `source`
//! and `request_id`, and accounts record refusals as well. A refusal that no account recorded (there is none, or the request is
//! malformed) says that it is not final. Whoever asks is answered: a "no" is an answer and never a failure. What cannot be answered for want of a `request_id` is told to the dead letters. Only
//! what may still succeed fails the invocation, so that it comes again and is parked in the end.
//!
//! It never asks who may: whoever the bus lets in with this `source` (template.yaml, `FromOtherAccounts`).

use aggregate::{AggregateId, CommandId, CorrelationId, Metadata, Timestamp, Version};
use api::{
    Asked, DepositRequestAccepted, DepositRequestRefused, DepositRequestUnreadable, DepositRequested, NoRequestId,
    Problem, RequestId,
};
use aws_lambda_events::eventbridge::EventBridgeEvent;
use domain::{Account, AccountCommand, AccountEvent, Rejection};
use eventing::{Bus, Command, Entry, EventStore, ExecuteError, ExpectedVersion, Host, ReadError, execute, publish};
use serde_json::Value;

/// The source of the answers. Read models follow `daybook` alone, and do not see them.
pub const SOURCE: &str = "daybook.bus-commands";

/// Why a request is not answered. Caller does: fail the invocation, so that it comes again.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Whether it has its effect is not known, or there was no way to try.
    #[error(transparent)]
    Execute(#[from] ExecuteError<Rejection>),
    /// What is to be said cannot be written as JSON: a mistake in the program.
    #[error("the answer cannot be written down")]
    Unwritable(#[from] serde_json::Error),
    /// The bus did not take the answer. The request may have had its effect: then it is answered so the next time.
    #[error("the bus did not take the answer: {0}")]
    NotAnswered(String),
}

/// Takes one request and answers it.
///
/// # Errors
/// [`HandleError`].
pub async fn handle(
    store: &impl EventStore,
    bus: &impl Bus,
    host: &impl Host,
    event: &EventBridgeEvent<Value>,
    deadline: Timestamp,
) -> Result<(), HandleError> {
    let event_id = event.id.clone().unwrap_or_default();
    let answer = match RequestId::of(&event.detail) {
        Ok(request_id) => {
            let asked = Asked { source: event.source.clone(), request_id, event_id: event_id.clone() };
            let outcome = decide(store, host, &asked, &event.detail, deadline).await?;
            answer(host, asked, outcome)?
        }
        Err(error) => unreadable(host, event, &error)?,
    };
    let outcome = answer.detail_type.clone();
    if let Some(refusal) = publish(bus, host, &[vec![answer]]).await.failure() {
        return Err(HandleError::NotAnswered(refusal));
    }
    tracing::info!(event_id, outcome, "answered");
    Ok(())
}

/// The outcome of a request.
enum Outcome {
    /// The money is in the account, with the version since then.
    Accepted { account_id: AggregateId, version: Version },
    /// The account has recorded that it does not take the money.
    Refused(Problem),
    /// The bank's "no", of which nothing is recorded: the next time the answer may be another.
    Undecided(Problem),
}

async fn decide(
    store: &impl EventStore,
    host: &impl Host,
    asked: &Asked,
    detail: &Value,
    deadline: Timestamp,
) -> Result<Outcome, HandleError> {
    let DepositRequested { account_id, owner, amount, description, .. } = match DepositRequested::parse(detail) {
        Ok(deposit) => deposit,
        Err(problem) => return Ok(Outcome::Undecided(problem)),
    };
    let metadata = Metadata {
        user_id: owner.clone(),
        correlation_id: CorrelationId::new(&asked.event_id).unwrap_or_else(|_| host.new_id().into()),
        causation_id: asked.event_id.clone(),
        command_id: Some(CommandId::of_request(&asked.source, asked.request_id.as_str())),
    };
    let body = AccountCommand::ReceiveDeposit { owner, amount, description };
    let command =
        Command { aggregate_id: account_id, body, metadata, expected_version: ExpectedVersion::Any, deadline };
    Ok(match execute::<Account>(store, host, &command).await {
        Ok(executed) => match executed.events.iter().find_map(AccountEvent::refusal) {
            Some(refusal) => Outcome::Refused(refusal.into()),
            None => Outcome::Accepted { account_id, version: executed.version },
        },
        Err(ExecuteError::Rejected(rejection)) => Outcome::Undecided(rejection.into()),
        // The request that had the name first may have moved money.
        Err(ExecuteError::CommandIdReused) => Outcome::Undecided(Problem::request_id_reused()),
        Err(ExecuteError::Read(ReadError::AnotherType)) => Outcome::Undecided(Problem::not_found()),
        Err(
            error @ (ExecuteError::VersionMismatch { .. }
            | ExecuteError::Busy
            | ExecuteError::Unknown(_)
            | ExecuteError::NotRecordable(_)
            | ExecuteError::Read(_)
            | ExecuteError::Unwritable(_)),
        ) => return Err(error.into()),
    })
}

fn answer(host: &impl Host, asked: Asked, outcome: Outcome) -> Result<Entry, serde_json::Error> {
    let (problem, is_final) = match outcome {
        Outcome::Accepted { account_id, version } => {
            let accepted = DepositRequestAccepted { asked, account_id, version };
            return Entry::new(SOURCE, DepositRequestAccepted::TYPE, host.now(), &accepted);
        }
        Outcome::Refused(problem) => (problem, true),
        Outcome::Undecided(problem) => (problem, false),
    };
    let refused = DepositRequestRefused { asked, is_final, problem: problem.to_value()? };
    Entry::new(SOURCE, DepositRequestRefused::TYPE, host.now(), &refused)
}

/// The report of a request that nobody can be answered about; a rule of the template parks it. The event's id leads its sender to
/// it; what is in it may be a person's own, and stays out of the dead letters.
fn unreadable(
    host: &impl Host,
    event: &EventBridgeEvent<Value>,
    error: &NoRequestId,
) -> Result<Entry, serde_json::Error> {
    let unreadable = DepositRequestUnreadable {
        source: event.source.clone(),
        detail_type: event.detail_type.clone(),
        event_id: event.id.clone(),
        reason: error.to_string(),
    };
    Entry::new(SOURCE, DepositRequestUnreadable::TYPE, host.now(), &unreadable)
}
