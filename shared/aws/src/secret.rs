//! A secret that operators rotate, from Secrets Manager: `aws secretsmanager put-secret-value` makes a new value the current
//! one and keeps the one before it as the previous one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use aws_sdk_secretsmanager::{
    Client,
    operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput},
};
use eventing::{Secret, SecretError, SecretValues};

use crate::fault::{Fault, fault};

/// How long values that were read are good. A new value is used only when it is twice as old, so everybody knows it by then.
const REFRESH_AFTER: Duration = Duration::from_mins(5);

/// Reads a secret's values and keeps them for a while.
#[derive(Debug)]
pub struct RotatedSecret {
    client: Client,
    id: String,
    known: Mutex<Option<(Instant, SecretValues)>>,
}

fn good_values(current: String, age: Option<Duration>, previous: Option<String>) -> SecretValues {
    let known_to_all = age.is_some_and(|age| age >= 2 * REFRESH_AFTER);
    match previous {
        Some(previous) if !known_to_all => SecretValues { using: previous, other: Some(current) },
        other => SecretValues { using: current, other },
    }
}

impl RotatedSecret {
    /// The secret with the name or ARN `id`.
    #[must_use]
    pub fn new(client: Client, id: impl Into<String>) -> Self {
        Self { client, id: id.into(), known: Mutex::new(None) }
    }

    async fn read(&self) -> Result<SecretValues, SecretError> {
        let read_at = Instant::now();
        let current =
            self.stage("AWSCURRENT").await?.ok_or_else(|| SecretError::Unusable("it has no current value".into()))?;
        let previous = self.stage("AWSPREVIOUS").await?.and_then(|version| version.secret_string);
        let age = current.created_date.and_then(|at| SystemTime::try_from(at).ok()).and_then(|at| at.elapsed().ok());
        let current = current.secret_string.ok_or_else(|| SecretError::Unusable("its value is no text".into()))?;
        let values = good_values(current, age, previous);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((read_at, values.clone()));
        Ok(values)
    }

    async fn stage(&self, stage: &str) -> Result<Option<GetSecretValueOutput>, SecretError> {
        match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(version) => Ok(Some(version)),
            Err(error)
                if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(match fault(error) {
                Fault::Passing(source) => SecretError::Unavailable(source),
                Fault::Permanent(source) => SecretError::Unusable(source),
            }),
        }
    }
}

impl Secret for RotatedSecret {
    /// The values, at most five minutes old; older where Secrets Manager does not answer at the moment.
    async fn values(&self) -> Result<SecretValues, SecretError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some((read_at, values)) if read_at.elapsed() < REFRESH_AFTER => Ok(values),
            Some((_, values)) => Ok(self.read().await.unwrap_or_else(|error| {
                tracing::error!(error = %eventing::causes(&error), "a secret cannot be read anew; going on with what is known");
                values
            })),
            None => self.read().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_value_is_good_at_once_and_used_when_everybody_knows_it() {
        let values = |age: Option<Duration>, previous: Option<&str>| {
            let values = good_values("new".to_owned(), age, previous.map(str::to_owned));
            (values.using, values.other)
        };
        let (new, old) = ("new".to_owned(), "old".to_owned());
        assert_eq!(values(Some(Duration::ZERO), None), (new.clone(), None));
        assert_eq!(values(Some(REFRESH_AFTER), Some("old")), (old.clone(), Some(new.clone())));
        assert_eq!(values(None, Some("old")), (old.clone(), Some(new.clone())));
        assert_eq!(values(Some(2 * REFRESH_AFTER), Some("old")), (new, Some(old)));
    }
}
