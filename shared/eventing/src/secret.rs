//! A secret that is rotated, for what is signed with it.

use std::future::Future;

/// A secret of which an older or a newer value may be in use elsewhere.
pub trait Secret: Send + Sync {
    /// The values that are good now.
    fn values(&self) -> impl Future<Output = Result<SecretValues, SecretError>> + Send;
}

/// The values of a secret that are good. `Debug` does not show them.
#[derive(Clone)]
pub struct SecretValues {
    /// The one to use.
    pub using: String,
    /// Another one that somebody else may be using at the same time: the one before, or already the one after.
    pub other: Option<String>,
}

impl std::fmt::Debug for SecretValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretValues(***)")
    }
}

/// The reason for which there are no values.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The place where the secret is kept did not answer. Caller does: try again later.
    #[error("the secret cannot be read at the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The secret may not be read, or holds no value that can be used. Caller does: report a mistake in the deployment.
    #[error("the secret cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
