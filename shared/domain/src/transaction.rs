//! The transaction: money from one account to another. The process manager drives it (debit the source, credit the
//! destination, complete; or refund and fail); this aggregate is its memory and its end.

use aggregate::{Aggregate, AggregateId, Event, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Account, Amount, Description, Leg, Refusal, Rejection};

/// A transaction: nothing at all before its first event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Transaction {
    /// No event yet.
    #[default]
    NotInitiated,
    /// Wanted, and perhaps at its end.
    Initiated(Initiated),
}

/// What is known of a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Initiated {
    /// What is to happen.
    #[serde(flatten)]
    pub order: Order,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Who wants it: the owner of the source.
    pub by: UserId,
    /// The account that the money leaves.
    pub source: AggregateId,
    /// The account that it goes to.
    pub destination: AggregateId,
    /// How much.
    pub amount: Amount,
    /// What both owners read beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

/// What came of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing yet.
    Initiated,
    /// The money has arrived.
    Completed,
    /// The money is where it was.
    Failed {
        /// Which of the two accounts could not take part.
        side: Side,
        /// Why.
        reason: Refusal,
    },
}

/// One of a transaction's two accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The account that the money leaves.
    Source,
    /// The account that it goes to.
    Destination,
}

/// What may be asked of a transaction.
#[allow(clippy::large_enum_variant, reason = "a command lives for one decision")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TransactionCommand {
    /// Begins it.
    InitiateTransaction {
        /// What is to happen.
        order: Order,
        /// The source as it stands. Not a part of what is asked, so a repetition may come with another.
        #[serde(skip)]
        source: Account,
        /// The destination as it stands. Likewise.
        #[serde(skip)]
        destination: Account,
    },
    /// The money has arrived.
    CompleteTransaction,
    /// The money could not go, or has come back.
    FailTransaction {
        /// Which of the two accounts could not take part.
        side: Side,
        /// Why.
        reason: Refusal,
    },
}

/// What happened to a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event_type", content = "data")]
pub enum TransactionEvent {
    /// It began.
    TransactionInitiated(Order),
    /// The money has arrived.
    TransactionCompleted {},
    /// The money is where it was.
    TransactionFailed {
        /// Which of the two accounts could not take part.
        side: Side,
        /// Why.
        reason: Refusal,
    },
}

/// Why a transaction does not begin or does not end so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionRejection {
    /// The source is not the caller's, or holds another currency.
    #[error(transparent)]
    Account(#[from] Rejection),
    /// Money does not go from an account to itself.
    #[error("source and destination are the same account")]
    SameAccount,
    /// A transaction begins once.
    #[error("the transaction has begun already")]
    AlreadyInitiated,
    /// There is no such transaction.
    #[error("there is no such transaction")]
    NoSuchTransaction,
    /// It has the other end. No process manager that works asks for this.
    #[error("the transaction has ended otherwise")]
    EndedOtherwise,
}

impl Order {
    /// The source's side.
    #[must_use]
    pub fn debit(&self, transaction_id: AggregateId) -> Leg {
        let (amount, description) = (self.amount, self.description.clone());
        Leg { transaction_id, counterparty: self.destination, amount, description }
    }

    /// The destination's side.
    #[must_use]
    pub fn credit(&self, transaction_id: AggregateId) -> Leg {
        Leg { counterparty: self.source, ..self.debit(transaction_id) }
    }

    fn begin(&self, source: &Account, destination: &Account) -> Result<Vec<TransactionEvent>, TransactionRejection> {
        source.owned_by(&self.by)?.ensure_currency(self.amount).map_err(Rejection::from)?;
        if self.source == self.destination {
            return Err(TransactionRejection::SameAccount);
        }
        let initiated = TransactionEvent::TransactionInitiated(self.clone());
        // A destination that cannot receive the money ends the transaction in the commit that begins it, whatever the reason is.
        // Nothing outside the event tells the reasons apart then: no version, no time, and no debit that comes back. It also
        // decides for ever about an account that does not exist: nobody can record there that it refused a credit.
        Ok(match destination.ensure_can_receive(self.amount) {
            Ok(()) => vec![initiated],
            Err(reason) => {
                vec![initiated, TransactionEvent::TransactionFailed { side: Side::Destination, reason }]
            }
        })
    }
}

impl Transaction {
    /// Ends the transaction; a repetition changes nothing.
    fn end(&self, outcome: Outcome, event: TransactionEvent) -> Result<Vec<TransactionEvent>, TransactionRejection> {
        match self {
            Self::NotInitiated => Err(TransactionRejection::NoSuchTransaction),
            Self::Initiated(known) if known.outcome == Outcome::Initiated => Ok(vec![event]),
            Self::Initiated(known) if known.outcome == outcome => Ok(vec![]),
            Self::Initiated(_) => Err(TransactionRejection::EndedOtherwise),
        }
    }
}

impl Aggregate for Transaction {
    const STATE_SCHEMA: u32 = 1;

    type Command = TransactionCommand;
    type Event = TransactionEvent;
    type Rejection = TransactionRejection;

    fn handle(&self, command: &TransactionCommand) -> Result<Vec<TransactionEvent>, TransactionRejection> {
        match command {
            TransactionCommand::InitiateTransaction { order, source, destination } => match self {
                Self::NotInitiated => order.begin(source, destination),
                Self::Initiated(_) => Err(TransactionRejection::AlreadyInitiated),
            },
            TransactionCommand::CompleteTransaction => {
                self.end(Outcome::Completed, TransactionEvent::TransactionCompleted {})
            }
            TransactionCommand::FailTransaction { side, reason } => {
                let (side, reason) = (*side, *reason);
                self.end(Outcome::Failed { side, reason }, TransactionEvent::TransactionFailed { side, reason })
            }
        }
    }

    fn apply(&mut self, event: &TransactionEvent) {
        match (&mut *self, event) {
            (Self::NotInitiated, TransactionEvent::TransactionInitiated(order)) => {
                *self = Self::Initiated(Initiated { order: order.clone(), outcome: Outcome::Initiated });
            }
            (Self::Initiated(known), TransactionEvent::TransactionCompleted {}) => known.outcome = Outcome::Completed,
            (Self::Initiated(known), TransactionEvent::TransactionFailed { side, reason }) => {
                known.outcome = Outcome::Failed { side: *side, reason: *reason };
            }
            // No history is like this. Replaying one must not panic.
            (Self::Initiated(_), TransactionEvent::TransactionInitiated(_))
            | (
                Self::NotInitiated,
                TransactionEvent::TransactionCompleted {} | TransactionEvent::TransactionFailed { .. },
            ) => {}
        }
    }
}

impl Event for TransactionEvent {
    const AGGREGATE_TYPE: &'static str = "Transaction";
}
