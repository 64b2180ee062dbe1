//! What other systems ask for on the bus, and what they are answered there.

use aggregate::{AggregateId, Alphabet, InvalidText, TextRule, UserId, Version};
use domain::{Amount, Currency, Description};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Problem,
    body::{DescriptionText, Fields, FromFields, an_amount},
    id::UUID,
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
#[derive(Debug, Clone, JsonSchema)]
#[schemars(transform = an_amount)]
pub struct DepositRequested {
    /// The sender's own name for the request, the same in every repetition. Together with the event's `source` and the account, it
    /// has one effect, for ever.
    #[schemars(with = "RequestId", rename = "request_id")]
    _request_id: (),
    /// Where the money goes.
    #[schemars(with = "String", extend("pattern" = UUID, "format" = "uuid"))]
    pub account_id: AggregateId,
    /// Whose account that is; another's is refused, as in the API.
    pub owner: UserId,
    /// Decimal text with at most the decimals of the currency.
    #[schemars(with = "String")]
    pub amount: Amount,
    /// The account's.
    #[schemars(with = "String", rename = "currency")]
    _currency: Currency,
    /// What the owner reads beside it.
    #[schemars(with = "Option<DescriptionText>")]
    pub description: Option<Description>,
}

impl FromFields for DepositRequested {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (account_id, owner) = (fields.take_account("account_id"), fields.take("owner", |text| UserId::new(text)));
        let (amount, description) = (fields.take_amount(), fields.take_description());
        let (account_id, owner, amount) = (account_id?, owner?, amount?);
        Some(Self { _request_id: (), account_id, owner, amount, _currency: amount.currency(), description })
    }
}

impl DepositRequested {
    /// The event's type.
    pub const TYPE: &str = "DepositRequested";

    /// Reads the detail of an event; every mistake is listed, not only the first.
    ///
    /// # Errors
    /// When it is not of this form.
    pub fn parse(detail: &Value) -> Result<Self, Problem> {
        Fields::of(detail)?.into_open_request()
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
    /// True: the account has recorded the refusal. No money has moved for the request of this name, and none ever will. False: this
    /// answer decides nothing. A request of this name may have moved money, or may yet when it comes again: pay nothing back.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Why, as the API would say it.
    #[schemars(with = "ProblemForm")]
    pub problem: Value,
}

impl DepositRequestRefused {
    /// The event's type.
    pub const TYPE: &str = "DepositRequestRefused";
}

/// The detail of `DepositRequestUnreadable`: nobody can be answered, for the event had no usable `request_id`. Its content may be
/// somebody's own and is not repeated.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DepositRequestUnreadable {
    /// The `source` of the event.
    pub source: String,
    /// The `detail-type` of the event.
    pub detail_type: String,
    /// The `id` of the event.
    pub event_id: Option<String>,
    /// What was wrong, for people.
    pub reason: String,
}

impl DepositRequestUnreadable {
    /// The event's type.
    pub const TYPE: &str = "DepositRequestUnreadable";
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
