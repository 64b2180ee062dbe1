//! Errors of AWS's services, told apart by whether the same request may succeed later.

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
};

/// A cause of an error, whatever it is.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed request, by what its caller can do.
pub(crate) enum Fault {
    /// The service did not answer, or is asked for too much: a later request may succeed.
    Passing(Source),
    /// The request can never succeed as the program and its deployment are.
    Permanent(Source),
}

impl Fault {
    /// The cause, whichever it is.
    pub(crate) fn into_source(self) -> Source {
        match self {
            Self::Passing(source) | Self::Permanent(source) => source,
        }
    }
}

/// A service's refusal in its own words. The SDK's display of an error that it does not model is the error's `Debug` form.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
struct Refusal {
    code: String,
    message: String,
}

/// Codes of refusals that stay (Common errors, and errors of Amazon DynamoDB and Secrets Manager, in their API references). A code that is not
/// listed may be one that passes: to try again later is never wrong, only useless.
const PERMANENT: [&str; 9] = [
    "AccessDeniedException",
    "DecryptionFailure",
    "InvalidParameterException",
    "InvalidRequestException",
    "ResourceNotFoundException",
    "SerializationException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
];

/// Classifies the error of a request.
pub(crate) fn fault<E, R>(error: SdkError<E, R>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    // Nothing was sent: the request lacks something that its operation needs.
    if matches!(error, SdkError::ConstructionFailure(_)) {
        return Fault::Permanent(error.into());
    }
    let Some(code) = error.code().map(str::to_owned) else { return Fault::Passing(error.into()) };
    let message = error.message().unwrap_or("no message").to_owned();
    let is_permanent = PERMANENT.contains(&code.as_str());
    let refusal = Refusal { code, message }.into();
    if is_permanent { Fault::Permanent(refusal) } else { Fault::Passing(refusal) }
}

/// The reasons for which a `TransactWriteItems` request was cancelled, one an item (`None` where the item is not the reason);
/// nothing where that is not what happened.
pub(crate) fn cancellation_reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Vec<&str> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or_default()).collect()
        }
        _ => Vec::new(),
    }
}
