//! Every error that a client can see, as `application/problem+json` (RFC 9457). Its `type` is stable: clients branch on it.
//! Nothing of the inside (table names, stack frames, library messages) goes into one; that goes to the log.

mod kinds;

use domain::{Refusal, Rejection, TransactionRejection};
use eventing::{ExecuteError, ProjectError, ReadError, SecretError, TableError, causes};
use lambda_http::http::{StatusCode, Uri};
use problem_details::ProblemDetails;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(crate) use kinds::KINDS;
#[allow(clippy::wildcard_imports, reason = "the constants of one table")]
use kinds::*;
pub use kinds::{PROBLEM_PAGES, ProblemPage};

/// A problem, ready to be answered.
#[derive(Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    extensions: Map<String, Value>,
    allow: Option<String>,
    cause: Option<String>,
}

/// One mistake in a request: a place in the body (JSON pointer, RFC 6901) or the name of a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What it must be instead.
    pub detail: String,
}

impl FieldError {
    /// A mistake in the body's field `name`.
    #[must_use]
    pub fn field(name: &str, detail: &impl ToString) -> Self {
        let pointer = Some(format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        Self { pointer, parameter: None, detail: detail.to_string() }
    }

    /// A mistake in the query parameter `name`.
    #[must_use]
    pub fn parameter(name: &str, detail: &str) -> Self {
        Self { pointer: None, parameter: Some(name.to_owned()), detail: detail.to_owned() }
    }
}

impl Problem {
    fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), extensions: Map::new(), allow: None, cause: None }
    }

    fn caused_by(self, error: &(dyn std::error::Error + 'static)) -> Self {
        Self { cause: Some(causes(error)), ..self }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.extensions.insert(name.to_owned(), value);
        self
    }

    /// The body does not parse as JSON.
    #[must_use]
    pub fn malformed_json(detail: &str) -> Self {
        Self::new(&MALFORMED_JSON, format!("{detail} Correct the body and send the request again."))
    }

    /// The body or the parameters are JSON, but not what the operation takes.
    #[must_use]
    pub fn invalid_request(errors: &[FieldError]) -> Self {
        Self::new(&INVALID_REQUEST, "`errors` lists what is wrong. Correct it and send the request again.")
            .with("errors", json!(errors))
    }

    /// A header is not of its form.
    #[must_use]
    pub fn invalid_header(name: &str, must: &str) -> Self {
        Self::new(&INVALID_HEADER, format!("The header {name} {must}."))
    }

    /// The path's id is no UUID.
    #[must_use]
    pub fn malformed_id() -> Self {
        Self::new(
            &MALFORMED_ID,
            "The id in the path is not a UUID of 36 characters. Use the id that was answered at the creation.",
        )
    }

    /// The gateway has handed on no subject.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(&UNAUTHENTICATED, "The request has no valid access token. Send one: `Authorization: Bearer ...`.")
    }

    /// The token lacks a scope.
    #[must_use]
    pub fn forbidden(scope: &str) -> Self {
        Self::new(&FORBIDDEN, format!("The token does not have the scope {scope}. Send one that has it."))
    }

    /// Not there, or not the caller's: nobody can tell which.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(&NOT_FOUND, "There is nothing with this id, or it is not yours. Check the id.")
    }

    /// No path of the API.
    #[must_use]
    pub fn no_such_route() -> Self {
        Self::new(&NO_SUCH_ROUTE, "The API has no such path. Its contract at /openapi.json has them all.")
    }

    /// A path of the API with another method.
    #[must_use]
    pub fn method_not_allowed(allowed: &[&str]) -> Self {
        let allow = allowed.join(", ");
        Self {
            allow: Some(allow.clone()),
            ..Self::new(&METHOD_NOT_ALLOWED, format!("The path does not take this method. Use {allow}."))
        }
    }

    /// A read asked for a version that is not there.
    #[must_use]
    pub fn not_yet(current_version: u64) -> Self {
        let detail = format!(
            "The current version is {current_version}. Ask again in a moment, or for a version that was answered."
        );
        Self::new(&NOT_YET, detail).with("current_version", json!(current_version))
    }

    /// The body is over its limit.
    #[must_use]
    pub fn body_too_large(bytes_max: usize) -> Self {
        Self::new(
            &BODY_TOO_LARGE,
            format!("The body is larger than {bytes_max} bytes. Send only the fields of the operation."),
        )
    }

    /// The body's type is not JSON.
    #[must_use]
    pub fn wrong_content_type() -> Self {
        Self::new(&WRONG_CONTENT_TYPE, "The body is not declared as JSON. Send `Content-Type: application/json`.")
    }

    /// The `request_id` of another system was used for another request.
    #[must_use]
    pub fn request_id_reused() -> Self {
        Self::new(
            &IDEMPOTENCY_KEY_REUSED,
            "The request_id was used for another request. Send a new one with a new request.",
        )
    }

    /// A failure that is ours.
    #[must_use]
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(&INTERNAL, "The request failed through no fault of yours. Try again later. If it fails again, report the correlation id.").caused_by(error)
    }

    /// Something that the answer needs does not answer.
    #[must_use]
    pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(
            &UNAVAILABLE,
            "The service cannot answer now. Nothing was changed. Send the request again in a moment.",
        )
        .caused_by(error)
    }

    /// A command may have had its effect, or may yet have it.
    #[must_use]
    pub fn outcome_unknown(error: &(dyn std::error::Error + 'static)) -> Self {
        let again = "It is not known yet whether the request had its effect. Send the same request again with the same Idempotency-Key. \
                     If it had none, read the account first.";
        Self::new(&OUTCOME_UNKNOWN, again).caused_by(error)
    }

    /// The status that it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// What went wrong on our side, for the log and never for the client; nothing where the caller can put it right.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The methods for the header `Allow`, where the status asks for it (RFC 9110, 15.5.6).
    #[must_use]
    pub fn allow(&self) -> Option<&str> {
        self.allow.as_deref()
    }

    /// The problem as JSON, for the request on `path`.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn to_json(&self, path: &str) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.details().with_instance(uri(path)))
    }

    /// The problem as JSON, about what has no path.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self.details())
    }

    fn details(&self) -> ProblemDetails<&Map<String, Value>> {
        ProblemDetails::new()
            .with_type(uri(&format!("/problems/{}", self.kind.name)))
            .with_title(self.kind.title)
            .with_status(self.kind.status)
            .with_detail(self.detail.as_str())
            .with_extensions(&self.extensions)
    }
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_default()
}

/// What an account has refused another system, for ever.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (kind, detail) = match refusal {
            Refusal::NoSuchAccount => return Self::not_found(),
            Refusal::CurrencyMismatch => (&CURRENCY_MISMATCH, "The account holds another currency."),
            Refusal::InsufficientFunds => (&INSUFFICIENT_FUNDS, "The account has insufficient funds."),
            Refusal::BalanceTooLarge => (&BALANCE_TOO_LARGE, "The account would hold more than the bank keeps in one."),
            Refusal::Closed => (&ACCOUNT_CLOSED, "A closed account stays closed."),
            Refusal::Frozen => (&ACCOUNT_FROZEN, "No money moves until the bank unfreezes it."),
            Refusal::TooManyInFlight => (&TRANSACTIONS_UNDER_WAY, "Too many of its transactions are under way."),
        };
        Self::new(kind, format!("{detail} This stays refused: what is tried again needs another request_id."))
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NoSuchAccount => Self::not_found(),
            Rejection::AlreadyOpen => {
                Self::new(&ALREADY_OPEN, "An account with this id is open already. Use it, or create another.")
            }
            Rejection::NotCurrent(currency) => {
                let code = currency.code();
                let must = format!("must be a currency in use: {code} is withdrawn, or nobody pays with it");
                Self::invalid_request(&[FieldError::field("currency", &must)])
            }
            Rejection::CurrencyMismatch { account, given } => {
                let (account, given) = (account.code(), given.code());
                Self::new(
                    &CURRENCY_MISMATCH,
                    format!("The account holds {account}, not {given}. Send an amount in {account}."),
                )
                .with("account_currency", json!(account))
                .with("currency", json!(given))
            }
            Rejection::InsufficientFunds { currency, available } => {
                let available = currency.format(available);
                let code = currency.code();
                let detail =
                    format!("The account has insufficient funds. At most {available} {code} can be withdrawn.");
                Self::new(&INSUFFICIENT_FUNDS, detail).with("available", json!(available))
            }
            Rejection::Closed => Self::new(&ACCOUNT_CLOSED, "The account is closed and stays closed. Open another."),
            Rejection::Frozen => {
                Self::new(&ACCOUNT_FROZEN, "The account is frozen. No money moves until the bank unfreezes it.")
            }
            Rejection::NotEmpty { currency, balance } => {
                let balance = currency.format(balance);
                let detail = format!("The balance is {balance} {}. Bring it to zero first.", currency.code());
                Self::new(&ACCOUNT_NOT_EMPTY, detail).with("balance", json!(balance))
            }
            Rejection::InFlight { transactions } => {
                let detail = format!(
                    "Open transactions of the account: {transactions}. Wait until they have ended and try again."
                );
                Self::new(&TRANSACTIONS_UNDER_WAY, detail).with("transactions", json!(transactions))
            }
            Rejection::OverdraftInUse { currency, balance } => {
                let balance = currency.format(balance);
                let detail = format!("The balance is {balance} {}. Set a limit that covers it.", currency.code());
                Self::new(&OVERDRAFT_IN_USE, detail).with("balance", json!(balance))
            }
        }
    }
}

impl From<TransactionRejection> for Problem {
    fn from(rejection: TransactionRejection) -> Self {
        match rejection {
            TransactionRejection::Account(rejection) => rejection.into(),
            TransactionRejection::SameAccount => {
                Self::new(&SAME_ACCOUNT, "Source and destination are the same account. Name two.")
            }
            TransactionRejection::NoSuchTransaction => Self::not_found(),
            ref error @ (TransactionRejection::AlreadyInitiated | TransactionRejection::EndedOtherwise) => {
                Self::internal(error)
            }
        }
    }
}

impl<R: Into<Self> + std::error::Error + 'static> From<ExecuteError<R>> for Problem {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => rejection.into(),
            ExecuteError::CommandIdReused => Self::new(
                &IDEMPOTENCY_KEY_REUSED,
                "The Idempotency-Key was used for another request. Send a new key with a new request.",
            ),
            ExecuteError::VersionMismatch { actual } => {
                let detail = match actual {
                    0 => "If-Match names a version, and nothing exists yet. Send the request without it.".to_owned(),
                    _ => format!("The account is at version {actual}. Read it again and decide on that version."),
                };
                Self::new(&VERSION_MISMATCH, detail).with("current_version", json!(actual))
            }
            ExecuteError::Busy => Self::new(
                &TOO_BUSY,
                "Too many commands on this account at once. Nothing was changed. Send the request again in a moment.",
            ),
            ref error @ ExecuteError::Unknown(_) => Self::outcome_unknown(error),
            ExecuteError::Read(error) => error.into(),
            ref error @ (ExecuteError::NotRecordable(_) | ExecuteError::Unwritable(_)) => Self::internal(error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(_) => Self::unavailable(&error),
            ReadError::AnotherType => Self::not_found(),
            ReadError::Refused(_) | ReadError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unavailable(_) => Self::unavailable(&error),
            TableError::Refused(_) | TableError::Unwritable(_) | TableError::Unreadable(_) => Self::internal(&error),
        }
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Unavailable(_) => Self::unavailable(&error),
            SecretError::Unusable(_) => Self::internal(&error),
        }
    }
}

impl From<ProjectError> for Problem {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::Read(error) => error.into(),
            ProjectError::Table(error) => error.into(),
            ref error @ (ProjectError::Unreadable(_) | ProjectError::NoHistory { .. } | ProjectError::Busy(_)) => {
                Self::internal(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Currency;
    use eventing::AppendError;

    use super::*;

    /// One of every kind, with the texts that callers see.
    fn every_problem() -> Vec<Problem> {
        let euro = Currency::from_code("EUR").unwrap_or_else(|_| unreachable!("a currency"));
        let late = std::io::Error::other("late");
        let rejections = [
            Rejection::AlreadyOpen,
            Rejection::CurrencyMismatch { account: euro, given: euro },
            Rejection::InsufficientFunds { currency: euro, available: 1_i64.into() },
            Rejection::Closed,
            Rejection::Frozen,
            Rejection::NotEmpty { currency: euro, balance: 1_i64.into() },
            Rejection::InFlight { transactions: 1 },
            Rejection::OverdraftInUse { currency: euro, balance: (-1_i64).into() },
        ];
        let executed = [
            ExecuteError::CommandIdReused,
            ExecuteError::VersionMismatch { actual: 0 },
            ExecuteError::VersionMismatch { actual: 7 },
            ExecuteError::Busy,
            ExecuteError::<Rejection>::Unknown(AppendError::Conflict),
        ];
        let mut problems = vec![
            Problem::malformed_json("It stops being JSON at column 1."),
            Problem::invalid_request(&[]),
            Problem::invalid_header("If-Match", "must be a tag: send one"),
            Problem::malformed_id(),
            Problem::unauthenticated(),
            Problem::forbidden("daybook/read"),
            Problem::not_found(),
            Problem::no_such_route(),
            Problem::method_not_allowed(&["GET"]),
            Problem::not_yet(1),
            Problem::body_too_large(1),
            Problem::wrong_content_type(),
            Problem::request_id_reused(),
            Problem::internal(&late),
            Problem::unavailable(&late),
            TransactionRejection::SameAccount.into(),
            Refusal::BalanceTooLarge.into(),
        ];
        problems.extend(rejections.into_iter().map(Problem::from));
        problems.extend(executed.into_iter().map(Problem::from));
        problems
    }

    #[test]
    fn every_detail_says_what_is_wrong_and_then_what_to_do() {
        let problems = every_problem();
        for kind in KINDS {
            assert!(problems.iter().any(|problem| problem.kind.name == kind.name), "no {} here", kind.name);
        }
        for problem in problems {
            let (name, detail) = (problem.kind.name, problem.detail.as_str());
            assert!(detail.ends_with('.') && !detail.contains("README"), "{name}: {detail}");
            let sentences = detail.matches(". ").count() + 1;
            assert!(sentences >= 2 || name == "invalid-header", "{name} says only: {detail}");
        }
    }
}
