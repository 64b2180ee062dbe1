//! What other systems ask for on the bus, and what they are answered there.

use aggregate::{AggregateId, Alphabet, InvalidText, TextRule, UserId, Version};
use domain::{Amount, Description};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    FieldError, Problem,
    body::{DescriptionText, an_amount, explain, money},
    id::{self, UUID},
};

/// What another system calls its request. A repetition has the same one, whoever repeats it: a producer that puts its event
/// once more gets a new event id, and the bus may deliver one event twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct RequestId(#[schemars(extend("pattern" = RequestId::RULE.pattern()))] String);

/// A request that nobody can be answered about. Caller does: park it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("request_id {0}")]
pub struct NoRequestId(InvalidText);

impl RequestId {
    /// The rule for a request's name. As much as a SEPA reference, a UUID or a hash in hexadecimal needs, with room to spare.
    pub const RULE: TextRule = TextRule::new(Alphabet::VisibleAscii, 128);

    /// The one in the detail of an event.
    ///
    /// # Errors
    /// When there is none of its form.
    pub fn of(detail: &Value) -> Result<Self, NoRequestId> {
        let text = detail.get("request_id").and_then(Value::as_str).unwrap_or_default();
        Self::RULE.check(text).map_err(NoRequestId)?;
        Ok(Self(text.to_owned()))
    }

    /// The id itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The detail of `DepositRequested`: money that another system brings. Fields that it has beside these are not looked at.
#[derive(Deserialize, JsonSchema)]
#[schemars(transform = an_amount)]
pub struct DepositRequested {
    /// The sender's own name for the request, the same in every repetition. Together with the event's `source` and the account, it
    /// has one effect, for ever.
    #[serde(rename = "request_id")]
    #[schemars(with = "RequestId")]
    _request_id: String,
    /// Where the money goes.
    #[schemars(extend("pattern" = UUID, "format" = "uuid"))]
    account_id: String,
    /// Whose account that is; another's is refused, as in the API.
    #[schemars(with = "UserId")]
    owner: String,
    /// Decimal text with at most the decimals of the currency.
    amount: String,
    /// The account's.
    currency: String,
    /// What the owner reads beside it.
    #[schemars(with = "Option<DescriptionText>")]
    description: Option<String>,
}

/// A request for a deposit, each part in its type.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// Where the money goes.
    pub account_id: AggregateId,
    /// Whose account it must be.
    pub owner: UserId,
    /// How much.
    pub amount: Amount,
    /// What the owner reads beside it.
    pub description: Option<Description>,
}

impl DepositRequested {
    /// The event's type.
    pub const TYPE: &str = "DepositRequested";

    /// Reads the detail of an event; every mistake is listed, not only the first.
    ///
    /// # Errors
    /// When it is not of this form.
    pub fn parse(detail: &Value) -> Result<Deposit, Problem> {
        let asked: Self = serde_path_to_error::deserialize(detail).map_err(|error| explain(&error))?;
        let must = "must be the id of an account: a UUID of 36 characters";
        let account_id = id::parse(&asked.account_id).ok_or_else(|| FieldError::field("account_id", &must));
        let owner = UserId::new(asked.owner).map_err(|error| FieldError::field("owner", &error));
        let money = money(&asked.amount, &asked.currency, asked.description);
        match (account_id, owner, money) {
            (Ok(account_id), Ok(owner), Ok((amount, description))) => {
                Ok(Deposit { account_id, owner, amount, description })
            }
            (account_id, owner, money) => {
                let errors = account_id.err().into_iter().chain(owner.err()).chain(money.err().unwrap_or_default());
                Err(Problem::invalid_request(&errors.collect::<Vec<_>>()))
            }
        }
    }
}

/// Which request is answered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Asked {
    /// Who asked: the `source` of their event.
    pub source: String,
    /// Their name for the request.
    pub request_id: RequestId,
    /// The `id` of the event that is answered. It is the correlation id of all that follows from it.
    pub event_id: String,
}

/// The detail of `DepositRequestAccepted`: the money is in the account. Comes at least once; a repetition has the same version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DepositRequestAccepted {
    /// What is answered.
    #[serde(flatten)]
    pub asked: Asked,
    /// Where the money is.
    pub account_id: AggregateId,
    /// The account's version since then.
    pub version: Version,
}

impl DepositRequestAccepted {
    /// The event's type.
    pub const TYPE: &str = "DepositRequestAccepted";
}

/// The detail of `DepositRequestRefused`: no money moved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DepositRequestRefused {
    /// What is answered.
    #[serde(flatten)]
    pub asked: Asked,
    /// Why, as the API would say it.
    #[schemars(with = "ProblemForm")]
    pub problem: Value,
}

impl DepositRequestRefused {
    /// The event's type.
    pub const TYPE: &str = "DepositRequestRefused";
}

/// The form of a problem (RFC 9457); some have more members than these.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema only")]
struct ProblemForm {
    /// What to branch on, for example `/problems/account-frozen`.
    r#type: String,
    /// The type, for people.
    title: String,
    /// What the API answers with it.
    status: u16,
    /// What to do.
    detail: String,
}
