//! Request bodies.

mod fields;

use std::collections::BTreeMap;

use aggregate::{AggregateId, UserId};
use domain::{AccountCommand, Amount, Currency, Description, InvalidAmount, Order};
use lambda_http::{Body, http::HeaderValue};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

pub use fields::{Fields, FromFields};

use crate::{Problem, id::UUID};

/// The largest body of the API is a few hundred bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// `POST /accounts`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(transform = a_current_currency)]
pub struct CreateAccountBody {
    /// The ISO 4217 code of a currency in use.
    #[schemars(with = "String")]
    currency: Currency,
}

impl FromFields for CreateAccountBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        Some(Self { currency: fields.take("currency", Currency::from_code)? })
    }
}

/// `POST /accounts/{id}/deposits` and `.../withdrawals`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(transform = an_amount)]
pub struct MoneyBody {
    /// Decimal text with at most the decimals of the currency.
    #[schemars(with = "String")]
    pub amount: Amount,
    /// The account's.
    #[schemars(with = "String", rename = "currency")]
    _currency: Currency,
    /// Shown beside the movement to whom it concerns.
    #[schemars(with = "Option<DescriptionText>")]
    pub description: Option<Description>,
}

impl FromFields for MoneyBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (amount, description) = (fields.take_amount(), fields.take_description());
        amount.map(|amount| Self { amount, _currency: amount.currency(), description })
    }
}

/// A new description: one line in any script, with something visible and nothing hidden. A schema only.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "a schema only")]
pub(crate) struct DescriptionText(
    #[schemars(extend(
        "minLength" = 1, "maxLength" = Description::RULE.chars_max(), "pattern" = Description::RULE.pattern()
    ))]
    String,
);

impl CreateAccountBody {
    /// The command to open an account for `owner`.
    #[must_use]
    pub fn command(self, owner: UserId) -> AccountCommand {
        AccountCommand::CreateAccount { owner, currency: self.currency }
    }
}

/// `PUT /accounts/{id}/overdraft-limit`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(transform = an_amount_or_zero)]
pub struct OverdraftLimitBody {
    /// Decimal text with at most the decimals of the currency; zero for none.
    #[schemars(with = "String", rename = "amount")]
    limit: Option<Amount>,
    /// The account's.
    #[schemars(with = "String", rename = "currency")]
    _currency: Currency,
}

impl FromFields for OverdraftLimitBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (limit, currency) = fields.take_amount_by(|text, currency| match Amount::parse(text, currency) {
            Err(InvalidAmount::Zero) => Ok((None, currency)),
            amount => amount.map(|amount| (Some(amount), currency)),
        })?;
        Some(Self { limit, _currency: currency })
    }
}

impl OverdraftLimitBody {
    /// The command to set the limit; zero is none.
    #[must_use]
    pub fn command(self) -> AccountCommand {
        AccountCommand::SetOverdraftLimit { limit: self.limit }
    }
}

/// `POST /transactions`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(transform = an_amount)]
pub struct TransactionBody {
    /// An account of the caller's.
    #[schemars(with = "String", extend("pattern" = UUID, "format" = "uuid"))]
    from: AggregateId,
    /// Any account.
    #[schemars(with = "String", extend("pattern" = UUID, "format" = "uuid"))]
    to: AggregateId,
    /// Decimal text with at most the decimals of the currency.
    #[schemars(with = "String")]
    amount: Amount,
    /// That of both accounts.
    #[schemars(with = "String", rename = "currency")]
    _currency: Currency,
    /// Shown beside the movement to both owners.
    #[schemars(with = "Option<DescriptionText>")]
    description: Option<Description>,
}

impl FromFields for TransactionBody {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let (from, to) = (fields.take_account("from"), fields.take_account("to"));
        let (amount, description) = (fields.take_amount(), fields.take_description());
        let (from, to, amount) = (from?, to?, amount?);
        Some(Self { from, to, amount, _currency: amount.currency(), description })
    }
}

impl TransactionBody {
    /// The order that `by` gives.
    #[must_use]
    pub fn order(self, by: UserId) -> Order {
        let Self { from, to, amount, description, .. } = self;
        Order { by, source: from, destination: to, amount, description }
    }
}

/// Lists in a schema the currencies in which accounts can be opened.
fn a_current_currency(schema: &mut Schema) {
    let codes: Vec<&str> = Currency::all().filter(|currency| currency.is_current()).map(Currency::code).collect();
    if let Some(currency) = schema.pointer_mut("/properties/currency") {
        currency["enum"] = json!(codes);
    }
}

/// Says in a schema which texts [`Amount::parse`] reads.
pub(crate) fn an_amount(schema: &mut Schema) {
    by_decimals(schema, |decimals| amount_pattern(decimals, false));
}

/// The same, and zero.
fn an_amount_or_zero(schema: &mut Schema) {
    by_decimals(schema, |decimals| amount_pattern(decimals, true));
}

/// An amount's form depends on the number of decimals that its currency has. It is a chain of `if`, `then` and `else`, which client
/// generators ignore; of `anyOf` they would make a union of types without fields. `unevaluatedProperties` tells linters that the
/// other properties are none of a link's business.
fn by_decimals(schema: &mut Schema, pattern: impl Fn(u32) -> String) {
    let mut codes: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for currency in Currency::all() {
        codes.entry(currency.minor_digits()).or_default().push(currency.code());
    }
    let only = |properties: Value| json!({ "properties": properties, "unevaluatedProperties": true });
    let link = |others: Option<Value>, (decimals, codes): (u32, Vec<&str>)| {
        let (currency, amount) = (json!({ "enum": codes }), json!({ "pattern": pattern(decimals) }));
        Some(match others {
            None => only(json!({ "currency": currency, "amount": amount })),
            Some(others) => json!({
                "if": only(json!({ "currency": currency })),
                "then": only(json!({ "amount": amount })),
                "else": others,
                "unevaluatedProperties": true,
            }),
        })
    };
    let chain = codes.into_iter().fold(None, link).unwrap_or_default();
    for keyword in ["if", "then", "else"] {
        schema.insert(keyword.to_owned(), chain[keyword].clone());
    }
}

/// The regular expression of amounts with up to `decimals` decimals. RE2 has no lookaround, so what is not zero is spelt out: a
/// whole part that is not zero, or a fraction that is not.
fn amount_pattern(decimals: u32, with_zero: bool) -> String {
    let whole = Amount::MINOR_UNITS_MAX.ilog10() - decimals;
    let fraction = |digit: &str| match decimals {
        0 => String::new(),
        decimals => format!(r"(\.{digit}{{1,{decimals}}})?"),
    };
    let positive = format!("[1-9][0-9]{{0,{}}}{}", whole - 1, fraction("[0-9]"));
    let max = format!("10{{{whole}}}{}", fraction("0"));
    if with_zero {
        return format!("^({positive}|0{}|{max})$", fraction("[0-9]"));
    }
    let after = |zeros: u32| match decimals - 1 - zeros {
        0 => String::new(),
        digits => format!("[0-9]{{0,{digits}}}"),
    };
    let fractions = (0..decimals).map(|zeros| format!("{}[1-9]{}", "0".repeat(zeros as usize), after(zeros)));
    match fractions.collect::<Vec<_>>().as_slice() {
        [] => format!("^({positive}|{max})$"),
        fractions => format!(r"^({positive}|0\.({})|{max})$", fractions.join("|")),
    }
}

/// Reads a JSON body.
pub(crate) fn parse<T: FromFields>(content_type: Option<&HeaderValue>, body: &Body) -> Result<T, Problem> {
    let declared = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::wrong_content_type());
    }
    let bytes: &[u8] = body.as_ref();
    if bytes.len() > BODY_BYTES_MAX {
        return Err(Problem::body_too_large(BODY_BYTES_MAX));
    }
    Fields::read(bytes)?.into_request()
}
