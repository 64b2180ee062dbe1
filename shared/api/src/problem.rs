//! Every error that a client can see, as `application/problem+json` (RFC 9457). Its `type` is stable: clients branch on it.
//! Nothing of the inside (table names, stack frames, library messages) goes into one; that goes to the log.

use domain::{Amount, Refusal, Rejection, TransactionRejection};
use eventing::{ExecuteError, ProjectError, ReadError, TableError, causes};
use lambda_http::http::{StatusCode, Uri};
use problem_details::ProblemDetails;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A problem, ready to be answered.
#[derive(Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    extensions: Map<String, Value>,
    allow: Option<String>,
    cause: Option<String>,
}

/// What a client can branch on.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
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

macro_rules! kinds {
    ($($constant:ident $name:literal $status:ident $title:literal)*) => {
        $(const $constant: Kind = Kind { name: $name, status: StatusCode::$status, title: $title };)*
        /// Every problem that there is.
        pub(crate) const KINDS: &[Kind] = &[$($constant),*];
    };
}

kinds! {
    MALFORMED_JSON "malformed-json" BAD_REQUEST "The body is not JSON"
    INVALID_REQUEST "invalid-request" BAD_REQUEST "The request is not of the form that this operation takes"
    INVALID_HEADER "invalid-header" BAD_REQUEST "A header is not of its form"
    MALFORMED_ID "malformed-id" BAD_REQUEST "The id in the path is not of the form of an id"
    FORBIDDEN "forbidden" FORBIDDEN "The caller may not do this"
    UNAUTHENTICATED "unauthenticated" UNAUTHORIZED "Who calls is not known"
    NOT_FOUND "not-found" NOT_FOUND "There is no such thing"
    NO_SUCH_ROUTE "no-such-route" NOT_FOUND "There is no such path"
    METHOD_NOT_ALLOWED "method-not-allowed" METHOD_NOT_ALLOWED "The path does not take this method"
    NOT_YET "not-yet" CONFLICT "The version asked for does not exist yet"
    ALREADY_OPEN "already-open" CONFLICT "The account is open already"
    VERSION_MISMATCH "version-mismatch" PRECONDITION_FAILED "The account has changed"
    BODY_TOO_LARGE "body-too-large" PAYLOAD_TOO_LARGE "The body is too large"
    WRONG_CONTENT_TYPE "wrong-content-type" UNSUPPORTED_MEDIA_TYPE "The body is not declared as JSON"
    INSUFFICIENT_FUNDS "insufficient-funds" UNPROCESSABLE_ENTITY "The account has too little money"
    CURRENCY_MISMATCH "currency-mismatch" UNPROCESSABLE_ENTITY "The account holds another currency"
    BALANCE_TOO_LARGE "balance-too-large" UNPROCESSABLE_ENTITY "The account would hold too much"
    ACCOUNT_CLOSED "account-closed" UNPROCESSABLE_ENTITY "The account is closed"
    ACCOUNT_FROZEN "account-frozen" UNPROCESSABLE_ENTITY "The account is frozen"
    ACCOUNT_NOT_EMPTY "account-not-empty" UNPROCESSABLE_ENTITY "The account is not empty"
    TRANSACTIONS_UNDER_WAY "transactions-under-way" UNPROCESSABLE_ENTITY "Transactions of the account are under way"
    OVERDRAFT_IN_USE "overdraft-in-use" UNPROCESSABLE_ENTITY "The account is further below zero than the new limit"
    SAME_ACCOUNT "same-account" UNPROCESSABLE_ENTITY "Source and destination are the same account"
    IDEMPOTENCY_KEY_REUSED "idempotency-key-reused" UNPROCESSABLE_ENTITY "The idempotency key was used for another request"
    TOO_BUSY "too-busy" SERVICE_UNAVAILABLE "Too many requests at once for this account"
    OUTCOME_UNKNOWN "outcome-unknown" SERVICE_UNAVAILABLE "Whether the request had its effect is not known yet"
    UNAVAILABLE "unavailable" SERVICE_UNAVAILABLE "The service cannot answer at the moment"
    INTERNAL "internal" INTERNAL_SERVER_ERROR "Something is wrong on our side"
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
        Self::new(&MALFORMED_JSON, detail)
    }

    /// The body or the parameters are JSON, but not what the operation takes.
    #[must_use]
    pub fn invalid_request(errors: &[FieldError]) -> Self {
        Self::new(&INVALID_REQUEST, "Correct what `errors` lists, and send the request again.")
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
        Self::new(&MALFORMED_ID, "Use the id that was answered when it was created: a UUID of 36 characters.")
    }

    /// The gateway has handed on no subject.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(&UNAUTHENTICATED, "Send an access token: `Authorization: Bearer ...`.")
    }

    /// The token lacks a scope.
    #[must_use]
    pub fn forbidden(scope: &str) -> Self {
        Self::new(&FORBIDDEN, format!("Send a token with the scope {scope}."))
    }

    /// Not there, or not the caller's: nobody can tell which.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(&NOT_FOUND, "There is nothing with this id, or it is not yours.")
    }

    /// No path of the API.
    #[must_use]
    pub fn no_such_route() -> Self {
        Self::new(&NO_SUCH_ROUTE, "Check the path; the README lists all.")
    }

    /// A path of the API with another method.
    #[must_use]
    pub fn method_not_allowed(allowed: &[&str]) -> Self {
        let allow = allowed.join(", ");
        Self { allow: Some(allow.clone()), ..Self::new(&METHOD_NOT_ALLOWED, format!("This path takes {allow}.")) }
    }

    /// A read asked for a version that is not there.
    #[must_use]
    pub fn not_yet(current_version: u64) -> Self {
        Self::new(&NOT_YET, "Ask again in a moment, or for a version that has been answered.")
            .with("current_version", json!(current_version))
    }

    /// The body is over its limit.
    #[must_use]
    pub fn body_too_large(bytes_max: usize) -> Self {
        Self::new(&BODY_TOO_LARGE, format!("Send at most {bytes_max} bytes."))
    }

    /// The body's type is not JSON.
    #[must_use]
    pub fn wrong_content_type() -> Self {
        Self::new(&WRONG_CONTENT_TYPE, "Send `Content-Type: application/json`.")
    }

    /// The `request_id` of another system was used for another request.
    #[must_use]
    pub fn request_id_reused() -> Self {
        Self::new(&IDEMPOTENCY_KEY_REUSED, "Send another request_id with another request.")
    }

    /// A failure that is ours.
    #[must_use]
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(&INTERNAL, "Try again later; if it stays, tell us the correlation id.").caused_by(error)
    }

    /// Something that the answer needs does not answer.
    #[must_use]
    pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(&UNAVAILABLE, "Nothing was changed. Send the request again in a moment.").caused_by(error)
    }

    /// A command may have had its effect, or may yet have it.
    #[must_use]
    pub fn outcome_unknown(error: &(dyn std::error::Error + 'static)) -> Self {
        let again = "Send the same request again, with the same Idempotency-Key if it had one; without one, read the account first.";
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
            Refusal::InsufficientFunds => (&INSUFFICIENT_FUNDS, "The account has too little money."),
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
            Rejection::AlreadyOpen => Self::new(&ALREADY_OPEN, "Use the account, or create another."),
            Rejection::NotCurrent(currency) => {
                let code = currency.code();
                let must = format!("must be a currency in use: {code} is withdrawn, or nobody pays with it");
                Self::invalid_request(&[FieldError::field("currency", &must)])
            }
            Rejection::CurrencyMismatch { account, given } => {
                let (account, given) = (account.code(), given.code());
                Self::new(&CURRENCY_MISMATCH, format!("The account holds {account}: send an amount in {account}."))
                    .with("account_currency", json!(account))
                    .with("currency", json!(given))
            }
            Rejection::InsufficientFunds { currency, available } => {
                let available = currency.format(available);
                Self::new(&INSUFFICIENT_FUNDS, format!("At most {available} {} can be taken out.", currency.code()))
                    .with("available", json!(available))
            }
            Rejection::BalanceTooLarge => Self::new(
                &BALANCE_TOO_LARGE,
                format!(
                    "Deposit less: {rejection}, and one deposit is limited to {} minor units.",
                    Amount::MINOR_UNITS_MAX
                ),
            ),
            Rejection::Closed => Self::new(&ACCOUNT_CLOSED, "A closed account stays closed: open another."),
            Rejection::Frozen => {
                Self::new(&ACCOUNT_FROZEN, "No money moves until the bank unfreezes it: ask the bank.")
            }
            Rejection::NotEmpty { currency, balance } => {
                let balance = currency.format(balance);
                let detail = format!("Bring the balance of {balance} {} to zero first.", currency.code());
                Self::new(&ACCOUNT_NOT_EMPTY, detail).with("balance", json!(balance))
            }
            Rejection::InFlight { transactions } => {
                Self::new(&TRANSACTIONS_UNDER_WAY, "Wait until they have ended, and send the request again.")
                    .with("transactions", json!(transactions))
            }
            Rejection::OverdraftInUse { currency, balance } => {
                let balance = currency.format(balance);
                let detail = format!("The balance is {balance} {}: set a limit that covers it.", currency.code());
                Self::new(&OVERDRAFT_IN_USE, detail).with("balance", json!(balance))
            }
        }
    }
}

impl From<TransactionRejection> for Problem {
    fn from(rejection: TransactionRejection) -> Self {
        match rejection {
            TransactionRejection::Account(rejection) => rejection.into(),
            TransactionRejection::SameAccount => Self::new(&SAME_ACCOUNT, "Name two accounts."),
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
            ExecuteError::CommandIdReused => {
                Self::new(&IDEMPOTENCY_KEY_REUSED, "Send a new Idempotency-Key with a new request.")
            }
            ExecuteError::VersionMismatch { actual } => {
                Self::new(&VERSION_MISMATCH, "Read the account again, and decide on its current version.")
                    .with("current_version", json!(actual))
            }
            ExecuteError::Busy => Self::new(&TOO_BUSY, "Nothing was changed. Send the request again in a moment."),
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
            ReadError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unavailable(_) => Self::unavailable(&error),
            TableError::Unreadable(_) => Self::internal(&error),
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
