//! Request bodies.

use std::collections::BTreeMap;

use aggregate::UserId;
use domain::{AccountCommand, Amount, Currency, Description, InvalidAmount, Order};
use lambda_http::{Body, http::HeaderValue};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    FieldError, Problem,
    id::{self, UUID},
};

/// The largest body of the API is a few hundred bytes.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// `POST /accounts`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = a_current_currency)]
pub struct CreateAccountBody {
    /// The ISO 4217 code of a currency in use.
    currency: String,
}

/// `POST /accounts/{id}/deposits` and `.../withdrawals`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = an_amount)]
pub struct MoneyBody {
    /// Decimal text with at most the decimals of the currency.
    amount: String,
    /// The account's.
    currency: String,
    /// Shown beside the movement to whom it concerns.
    #[schemars(with = "Option<DescriptionText>")]
    description: Option<String>,
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
    ///
    /// # Errors
    /// When the currency is none.
    pub fn command(self, owner: UserId) -> Result<AccountCommand, Problem> {
        let currency = currency(&self.currency).map_err(|error| Problem::invalid_request(&[error]))?;
        Ok(AccountCommand::CreateAccount { owner, currency })
    }
}

impl MoneyBody {
    /// The money and the text, each in its type; every mistake is listed, not only the first.
    ///
    /// # Errors
    /// When a field is not of its form.
    pub fn parse(self) -> Result<(Amount, Option<Description>), Problem> {
        money(&self.amount, &self.currency, self.description).map_err(|errors| Problem::invalid_request(&errors))
    }
}

/// `PUT /accounts/{id}/overdraft-limit`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = an_amount_or_zero)]
pub struct OverdraftLimitBody {
    /// Decimal text with at most the decimals of the currency; zero for none.
    amount: String,
    /// The account's.
    currency: String,
}

impl OverdraftLimitBody {
    /// The command to set the limit; zero is none.
    ///
    /// # Errors
    /// When a field is not of its form.
    pub fn command(self) -> Result<AccountCommand, Problem> {
        let limit = currency(&self.currency).and_then(|currency| match Amount::parse(&self.amount, currency) {
            Ok(limit) => Ok(Some(limit)),
            Err(InvalidAmount::Zero) => Ok(None),
            Err(error) => Err(FieldError::field("amount", &error)),
        });
        let limit = limit.map_err(|error| Problem::invalid_request(&[error]))?;
        Ok(AccountCommand::SetOverdraftLimit { limit })
    }
}

/// `POST /transactions`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = an_amount)]
pub struct TransactionBody {
    /// An account of the caller's.
    #[schemars(extend("pattern" = UUID, "format" = "uuid"))]
    from: String,
    /// Any account.
    #[schemars(extend("pattern" = UUID, "format" = "uuid"))]
    to: String,
    /// Decimal text with at most the decimals of the currency.
    amount: String,
    /// That of both accounts.
    currency: String,
    /// Shown beside the movement to both owners.
    #[schemars(with = "Option<DescriptionText>")]
    description: Option<String>,
}

impl TransactionBody {
    /// What `by` wants to happen; every mistake is listed, not only the first.
    ///
    /// # Errors
    /// When a field is not of its form.
    pub fn order(self, by: UserId) -> Result<Order, Problem> {
        let id = |name: &str, text: &str| {
            let must = "must be the id of an account: a UUID of 36 characters";
            id::parse(text).ok_or_else(|| FieldError::field(name, &must))
        };
        let (source, destination) = (id("from", &self.from), id("to", &self.to));
        let money = money(&self.amount, &self.currency, self.description);
        match (source, destination, money) {
            (Ok(source), Ok(destination), Ok((amount, description))) => {
                Ok(Order { by, source, destination, amount, description })
            }
            (source, destination, money) => {
                let ids = source.err().into_iter().chain(destination.err());
                let errors: Vec<FieldError> = ids.chain(money.err().unwrap_or_default()).collect();
                Err(Problem::invalid_request(&errors))
            }
        }
    }
}

/// The money and the text, each in its type, or every mistake.
pub(crate) fn money(
    amount: &str,
    code: &str,
    description: Option<String>,
) -> Result<(Amount, Option<Description>), Vec<FieldError>> {
    let amount = currency(code)
        .and_then(|currency| Amount::parse(amount, currency).map_err(|error| FieldError::field("amount", &error)));
    let description = description.map(Description::try_from).transpose();
    match (amount, description.map_err(|error| FieldError::field("description", &error))) {
        (Ok(amount), Ok(description)) => Ok((amount, description)),
        (amount, description) => Err(amount.err().into_iter().chain(description.err()).collect()),
    }
}

fn currency(code: &str) -> Result<Currency, FieldError> {
    Currency::from_code(code).map_err(|error| FieldError::field("currency", &error))
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
pub(crate) fn parse<T: DeserializeOwned>(content_type: Option<&HeaderValue>, body: &Body) -> Result<T, Problem> {
    let declared = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::wrong_content_type());
    }
    let bytes: &[u8] = body.as_ref();
    if bytes.len() > BODY_BYTES_MAX {
        return Err(Problem::body_too_large(BODY_BYTES_MAX));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| explain(&error))?;
    json.end().map_err(|_| Problem::malformed_json("Something follows the JSON object: send the object alone."))?;
    Ok(value)
}

/// What serde says, in words for a client and without quoting what was sent.
pub(crate) fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return Problem::malformed_json(&format!("It stops being JSON at column {}.", error.inner().column()));
    }
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    let quoted = || message.split('`').nth(1).unwrap_or_default().to_owned();
    let (field, detail) = if message.starts_with("unknown field") {
        (quoted(), "is not a field of this request: leave it out".to_owned())
    } else if message.starts_with("missing field") {
        (quoted(), "is missing".to_owned())
    } else if message.starts_with("duplicate field") {
        (quoted(), "must be there only once".to_owned())
    } else {
        let expected = message.rsplit_once("expected ").map_or("of another form", |(_, expected)| expected);
        let expected = if expected.starts_with("struct") { "a JSON object" } else { expected };
        (error.path().to_string(), format!("must be {expected}"))
    };
    let root = field == "." || field.is_empty();
    let error = FieldError::field(&field, &detail);
    Problem::invalid_request(&[if root { FieldError { pointer: Some(String::new()), ..error } } else { error }])
}
