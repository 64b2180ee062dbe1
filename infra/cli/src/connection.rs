//! The way to one deployment: region and credentials, clients of AWS's services, and the names of what is used there.
//!
//! Tables, the queue and the bus are checked before any work begins. Without that, AWS answers a request for a missing table
//! with an error that names none, and takes events for a missing bus without any error.

use std::{collections::BTreeMap, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
};
use aws_sdk_dynamodb::{
    config::{Credentials, ProvideCredentials, SharedCredentialsProvider, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};

use crate::Error;

/// Where a local cloud answers unless it is told otherwise.
const LOCAL_URL: &str = "http://127.0.0.1:3000";
/// How long a local cloud has for its answer.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Nobody waits for an answer as a function's caller does, and much is read at once.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The deployment that a command is about.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The local cloud, with everything that it says of itself; without a URL, on its usual port 3000
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = LOCAL_URL, global = true)]
    local: Option<String>,
    /// The profile of AWS's configuration files, single sign-on included [env: `AWS_PROFILE`]
    #[arg(long, global = true)]
    profile: Option<String>,
    /// The region [env: `AWS_REGION`; or the profile's]
    #[arg(long, global = true)]
    region: Option<String>,
    /// The prefix of tables and queues: the stack's parameter `TablePrefix` [env: `TABLE_PREFIX`]
    #[arg(long, value_name = "PREFIX", global = true)]
    table_prefix: Option<String>,
}

/// A way to a deployment.
#[derive(Debug, Clone)]
pub struct Connection {
    config: SdkConfig,
    /// The variables of the local cloud, where it is one.
    local: Option<BTreeMap<String, String>>,
    prefix: String,
}

impl Connection {
    /// Finds region and credentials, and tries whether there are any.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        let local = target.local.as_deref().map(environment_of).transpose()?;
        let config = match &local {
            Some(variables) => of_local(variables)?,
            None => of_aws(target).await?,
        };
        let connection = Self { config, local, prefix: String::new() };
        let prefix = target.table_prefix.clone().or_else(|| connection.setting("TABLE_PREFIX")).unwrap_or_default();
        Ok(Self { prefix, ..connection })
    }

    /// A setting: the local cloud's own, or that of the process's environment.
    pub fn setting(&self, name: &str) -> Option<String> {
        let value = match &self.local {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The whole name of a table or queue.
    pub fn name_of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::config::Builder::from(&self.config);
        if let Some(url) = self.endpoint("AWS_ENDPOINT_URL_DYNAMODB") {
            config = config.endpoint_url(url);
        }
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::config::Builder::from(&self.config);
        if let Some(url) = self.endpoint("AWS_ENDPOINT_URL_SQS") {
            config = config.endpoint_url(url);
        }
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// A client that gives up as soon as a function does: what is published is tried again by whoever publishes it.
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        let mut config = aws_sdk_eventbridge::config::Builder::from(&self.config).timeout_config(aws::timeouts());
        if let Some(url) = self.endpoint("AWS_ENDPOINT_URL_EVENTBRIDGE") {
            config = config.endpoint_url(url);
        }
        aws_sdk_eventbridge::Client::from_conf(config.build())
    }

    /// A service of the local cloud. The SDK itself looks for those of AWS's environment and configuration files.
    fn endpoint(&self, variable: &str) -> Option<&String> {
        self.local.as_ref()?.get(variable)
    }

    /// Checks that the table `name` exists.
    pub async fn check_table(&self, client: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), Error> {
        let table = self.name_of(name);
        let described = client.describe_table().table_name(&table).send().await;
        described.map(drop).map_err(|error| explained(&error, &format!("the table `{table}`"), &self.advice()))
    }

    /// What to do about a table or queue that does not exist.
    pub fn advice(&self) -> String {
        let (prefix, region) = (&self.prefix, self.region());
        format!(
            "The region is {region}, and the prefix of tables and queues is `{prefix}`; set TABLE_PREFIX or --table-prefix to \
             the stack's TablePrefix"
        )
    }

    /// The region's name.
    pub fn region(&self) -> &str {
        self.config.region().map_or("not set", Region::as_ref)
    }
}

/// The error of a request about `thing`, in words, with what to do where the thing does not exist.
pub fn explained<E, R>(error: &SdkError<E, R>, thing: &str, advice: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let code = error.code().unwrap_or_default();
    match code {
        "" => format!("{thing} does not answer: {}", eventing::causes(error)),
        "ResourceNotFoundException" | "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => {
            format!("{thing} does not exist. {advice}")
        }
        _ => format!("{thing} cannot be used: {code}: {}", error.message().unwrap_or("no message")),
    }
    .into()
}

/// The variables with which a local cloud leads AWS's tools to it.
fn environment_of(url: &str) -> Result<BTreeMap<String, String>, Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(LOCAL_TIMEOUT)).build().into();
    let asked = agent.get(format!("{}/_local/environment", url.trim_end_matches('/'))).call();
    let answer = asked.and_then(|mut answer| answer.body_mut().read_to_string());
    let answer = answer.map_err(|error| {
        format!(
            "no local cloud answers at {url}: {error}. Start one with `cargo run`, or name its URL with --local=URL"
        )
    })?;
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(answer.lines().filter_map(pair).collect())
}

/// The configuration of a local cloud with these variables.
fn of_local(variables: &BTreeMap<String, String>) -> Result<SdkConfig, Error> {
    let value = |name: &str| {
        variables.get(name).cloned().ok_or_else(|| format!("what answers is no local cloud: it does not say {name}"))
    };
    let (id, secret) = (value("AWS_ACCESS_KEY_ID")?, value("AWS_SECRET_ACCESS_KEY")?);
    let credentials = Credentials::new(id, secret, value("AWS_SESSION_TOKEN").ok(), None, "local cloud");
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(value("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(timeouts())
        .retry_config(aws::retries())
        .build())
}

/// The configuration that AWS's own tools would use: environment, configuration files, single sign-on, a process, a container or an instance.
async fn of_aws(target: &Target) -> Result<SdkConfig, Error> {
    // Without the instance's metadata service, which would be asked, and waited for, on every machine that has no region set.
    let mut files = ProfileFileRegionProvider::builder();
    if let Some(profile) = &target.profile {
        files = files.profile_name(profile);
    }
    let region = RegionProviderChain::first_try(target.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(files.build());
    let Some(region) = region.region().await else {
        return Err(format!("no AWS region is set. {}", which_lines()).into());
    };
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region)
        .timeout_config(timeouts())
        .retry_config(aws::retries());
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    let provider = config.credentials_provider().ok_or("this program has no provider of credentials")?;
    // They are cached, and made anew when they expire, by the clients; here they are only tried.
    provider
        .provide_credentials()
        .await
        .map_err(|error| format!("no AWS credentials can be had: {}. {}", eventing::causes(&error), which_lines()))?;
    Ok(config)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// The two lines of which one is wanted, with the command's own arguments.
fn which_lines() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments = arguments.join(" ");
    format!(
        "Run one of these lines:\n  daybook --local {arguments}              # the local cloud\n  \
         daybook --profile NAME {arguments}       # AWS, with a profile of ~/.aws/config"
    )
}
