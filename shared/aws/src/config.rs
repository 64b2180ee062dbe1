//! Clients and settings from the environment that Lambda gives a function. Everything is read once, at init: what is
//! missing stops the function there and is named.
//!
//! The clients are made from the variables themselves instead of through `aws-config`, whose chain of credential sources a
//! function never needs: it would be megabytes of code and most of a cold start's allocations. An operator needs it: `infra/cli`.

use std::time::Duration;

use aws_sdk_dynamodb::config::{Credentials, retry::RetryConfig, timeout::TimeoutConfig};
use eventing::ENTRY_WRITE_MAX;

/// A setting that keeps a function from starting.
#[derive(thiserror::Error)]
#[error("the environment variable {0} is missing or empty; template.yaml says what the function needs")]
pub struct ConfigError(pub &'static str);

/// The same as for people: it is the last thing that a function prints when its `main` returns it.
impl std::fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The value of the environment variable `name`.
///
/// # Errors
/// When it is not set, or empty.
pub fn required(name: &'static str) -> Result<String, ConfigError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(ConfigError(name))
}

/// One attempt of one request: DynamoDB answers in milliseconds, so a second means a lost packet or a dead connection.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// All attempts of one request: less than half of the ten seconds that a function has, which a test holds, and what the
/// writers of the journal are given.
pub const OPERATION_TIMEOUT: Duration = ENTRY_WRITE_MAX;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Attempts of one request, the first included.
const ATTEMPTS_MAX: u32 = 3;

const _: () = {
    let attempts = ATTEMPT_TIMEOUT.as_millis() * ATTEMPTS_MAX as u128;
    assert!(attempts < OPERATION_TIMEOUT.as_millis(), "no time is left for the last attempt");
    assert!(CONNECT_TIMEOUT.as_millis() < ATTEMPT_TIMEOUT.as_millis(), "no time is left for the request");
};

/// A client of the SDK crate `$sdk` that gives up soon enough for its caller to answer; the environment variable `$endpoint` points
/// it elsewhere than at AWS. Ends the function around it with a [`ConfigError`] where region or credentials are missing.
macro_rules! client {
    ($sdk:ident, $endpoint:literal) => {{
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::v2026_01_12())
            .region($sdk::config::Region::new(required("AWS_REGION")?))
            .credentials_provider(credentials()?)
            .timeout_config(timeouts())
            .retry_config(retries());
        let endpoint = required($endpoint).ok();
        $sdk::Client::from_conf(endpoint.into_iter().fold(config, |config, url| config.endpoint_url(url)).build())
    }};
}

/// The credentials in the environment.
fn credentials() -> Result<Credentials, ConfigError> {
    Ok(Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
}

/// How long a request may take.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// How often a request is tried.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX)
}

/// A DynamoDB client; `AWS_ENDPOINT_URL_DYNAMODB` points it elsewhere than at AWS.
///
/// # Errors
/// When the region or the credentials are missing.
pub fn dynamodb() -> Result<aws_sdk_dynamodb::Client, ConfigError> {
    Ok(client!(aws_sdk_dynamodb, "AWS_ENDPOINT_URL_DYNAMODB"))
}

/// An EventBridge client; `AWS_ENDPOINT_URL_EVENTBRIDGE` points it elsewhere than at AWS.
///
/// # Errors
/// When the region or the credentials are missing.
pub fn eventbridge() -> Result<aws_sdk_eventbridge::Client, ConfigError> {
    Ok(client!(aws_sdk_eventbridge, "AWS_ENDPOINT_URL_EVENTBRIDGE"))
}

/// A Secrets Manager client; `AWS_ENDPOINT_URL_SECRETS_MANAGER` points it elsewhere than at AWS.
///
/// # Errors
/// When the region or the credentials are missing.
pub fn secrets_manager() -> Result<aws_sdk_secretsmanager::Client, ConfigError> {
    Ok(client!(aws_sdk_secretsmanager, "AWS_ENDPOINT_URL_SECRETS_MANAGER"))
}
