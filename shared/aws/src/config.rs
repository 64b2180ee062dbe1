//! Clients and settings from the environment that Lambda gives a function. Everything is read once, at init: what is
//! missing stops the function there and is named.
//!
//! The clients are made from the variables themselves instead of through `aws-config`, whose chain of credential sources a
//! function never needs: it would be megabytes of code and most of a cold start's allocations.

use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig};

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
/// All attempts of one request; leaves a function of 10 s time to answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// Attempts of one request, the first included.
const ATTEMPTS_MAX: u32 = 3;

fn credentials() -> Result<Credentials, ConfigError> {
    Ok(Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    ))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX)
}

fn region() -> Result<Region, ConfigError> {
    Ok(Region::new(required("AWS_REGION")?))
}

/// A DynamoDB client; `AWS_ENDPOINT_URL_DYNAMODB` points it elsewhere than at AWS.
///
/// # Errors
/// When the region or the credentials are missing.
pub fn dynamodb() -> Result<aws_sdk_dynamodb::Client, ConfigError> {
    let mut config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region()?)
        .credentials_provider(credentials()?)
        .timeout_config(timeouts())
        .retry_config(retries());
    config.set_endpoint_url(required("AWS_ENDPOINT_URL_DYNAMODB").ok());
    Ok(aws_sdk_dynamodb::Client::from_conf(config.build()))
}

/// An EventBridge client; `AWS_ENDPOINT_URL_EVENTBRIDGE` points it elsewhere than at AWS.
///
/// # Errors
/// When the region or the credentials are missing.
pub fn eventbridge() -> Result<aws_sdk_eventbridge::Client, ConfigError> {
    let mut config = aws_sdk_eventbridge::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region()?)
        .credentials_provider(credentials()?)
        .timeout_config(timeouts())
        .retry_config(retries());
    config.set_endpoint_url(required("AWS_ENDPOINT_URL_EVENTBRIDGE").ok());
    Ok(aws_sdk_eventbridge::Client::from_conf(config.build()))
}

/// A Secrets Manager client; `AWS_ENDPOINT_URL_SECRETS_MANAGER` points it elsewhere than at AWS.
///
/// # Errors
/// When the region or the credentials are missing.
pub fn secrets_manager() -> Result<aws_sdk_secretsmanager::Client, ConfigError> {
    let mut config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region()?)
        .credentials_provider(credentials()?)
        .timeout_config(timeouts())
        .retry_config(retries());
    config.set_endpoint_url(required("AWS_ENDPOINT_URL_SECRETS_MANAGER").ok());
    Ok(aws_sdk_secretsmanager::Client::from_conf(config.build()))
}
