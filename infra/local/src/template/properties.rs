//! The properties that the local cloud plays, one struct for each thing that has properties.
//!
//! Promises: a property is played, or it stands in a list below with the reason why it makes no difference here, or it is
//! refused by name. There is no third list.

use std::{collections::BTreeMap, time::Duration};

use iam_rs::IAMPolicy;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::model::StartingPosition;

/// Of a function: packaging and things that only the console shows.
pub const FUNCTION_IGNORED: &[&str] = &[
    "Architectures",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "CodeUri",
    "DeploymentPreference",
    "Description",
    "EphemeralStorage",
    "Handler",
    "PackageType",
    "Runtime",
    "Tags",
    "Tracing",
];
/// Of an HTTP API: names and logs.
pub const API_IGNORED: &[&str] = &["AccessLogSettings", "Description", "FailOnWarnings", "Name", "Tags"];
/// Of a table: backups and encryption, which the embedded engine has no use for.
pub const TABLE_IGNORED: &[&str] =
    &["ContributorInsightsSpecification", "PointInTimeRecoverySpecification", "SSESpecification"];
/// Of a rule's event and target: handing an event to a function is one row in a file here and cannot fail, so there is
/// nothing to retry and nothing to park. The function's own failures are another matter: `EventInvokeConfig`.
pub const RULE_IGNORED: &[&str] = &["DeadLetterConfig", "Description", "RetryPolicy", "RuleName"];
/// Of a queue: retention and encryption. What lands in a queue stays until the data folder goes.
pub const QUEUE_IGNORED: &[&str] =
    &["KmsMasterKeyId", "MessageRetentionPeriod", "SqsManagedSseEnabled", "Tags", "VisibilityTimeout"];
/// Of a secret: how its value is made. Here it is random.
pub const SECRET_IGNORED: &[&str] = &["Description", "GenerateSecretString", "KmsKeyId", "Tags"];
/// Of an event bus: everything but its name.
pub const BUS_IGNORED: &[&str] = &["Description", "KmsKeyIdentifier", "Tags"];

/// `AWS::Serverless::Function`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Function {
    /// Checked where names are made.
    #[serde(rename = "FunctionName")]
    pub _function_name: Option<String>,
    #[serde(default = "default_timeout_s")]
    pub timeout: u64,
    #[serde(default = "default_memory_mb")]
    pub memory_size: u32,
    pub reserved_concurrent_executions: Option<u16>,
    /// What it may do; nothing where it has none.
    pub role: Option<String>,
    #[serde(default)]
    pub environment: Environment,
    #[serde(default)]
    pub logging_config: LoggingConfig,
    #[serde(default)]
    pub event_invoke_config: EventInvokeConfig,
    /// Each is read by its type.
    #[serde(default)]
    pub events: Map<String, Value>,
}

/// `Environment` of a function.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Environment {
    #[serde(default)]
    pub variables: BTreeMap<String, Scalar>,
}

/// A value that CloudFormation turns into text where text is wanted.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
}

impl From<Scalar> for String {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
            Scalar::Truth(truth) => truth.to_string(),
        }
    }
}

/// `LoggingConfig` of a function. Reaches the function as `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct LoggingConfig {
    pub log_format: Option<String>,
    pub application_log_level: Option<String>,
    /// Of the lines that Lambda itself writes, which nobody writes here.
    #[serde(rename = "SystemLogLevel")]
    pub _system_log_level: Option<String>,
    /// Functions log to the data folder.
    #[serde(rename = "LogGroup")]
    pub _log_group: Option<String>,
}

/// What Lambda does when an asynchronous invocation fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub struct EventInvokeConfig {
    pub maximum_retry_attempts: u32,
    pub maximum_event_age_in_seconds: u64,
    pub destination_config: DestinationConfig,
}

impl Default for EventInvokeConfig {
    fn default() -> Self {
        // Lambda's own defaults: two retries, six hours, nowhere.
        Self {
            maximum_retry_attempts: 2,
            maximum_event_age_in_seconds: 21_600,
            destination_config: DestinationConfig::default(),
        }
    }
}

/// Where what failed for good goes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DestinationConfig {
    pub on_failure: Option<Destination>,
}

/// `OnFailure` of a destination configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Destination {
    /// SAM wants it; which queue it is says the ARN.
    #[serde(rename = "Type")]
    pub _kind: Option<String>,
    pub destination: String,
}

/// An event of type `HttpApi`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct HttpApiEvent {
    pub method: String,
    pub path: String,
    /// There is one API.
    #[serde(rename = "ApiId")]
    pub _api_id: Option<String>,
    #[serde(default)]
    pub auth: RouteAuth,
    pub payload_format_version: Option<String>,
}

/// `Auth` of an `HttpApi` event.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct RouteAuth {
    /// `NONE` opens the route.
    pub authorizer: Option<String>,
    #[serde(default)]
    pub authorization_scopes: Vec<String>,
}

/// `AWS::Serverless::HttpApi`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct HttpApi {
    #[serde(default)]
    pub auth: ApiAuth,
    pub cors_configuration: Option<CorsConfiguration>,
    #[serde(default)]
    pub default_route_settings: RouteSettings,
    #[serde(default)]
    pub route_settings: BTreeMap<String, RouteSettings>,
}

/// `DefaultRouteSettings` of an HTTP API, or one of its `RouteSettings`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct RouteSettings {
    pub throttling_rate_limit: Option<Scalar>,
    pub throttling_burst_limit: Option<Scalar>,
    /// Metrics are not played.
    #[serde(rename = "DetailedMetricsEnabled")]
    pub _detailed_metrics_enabled: Option<bool>,
}

/// `CorsConfiguration` of an HTTP API.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "PascalCase")]
pub struct CorsConfiguration {
    pub allow_origins: Vec<String>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub max_age: u64,
}

/// `Auth` of an HTTP API.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ApiAuth {
    pub default_authorizer: Option<String>,
    #[serde(default)]
    pub authorizers: BTreeMap<String, Authorizer>,
}

/// One of `Authorizers` of an HTTP API: one that takes JSON web tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Authorizer {
    pub identity_source: Option<String>,
    pub jwt_configuration: JwtConfiguration,
}

/// `JwtConfiguration` of an authorizer. Its own names are in small letters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfiguration {
    pub issuer: String,
    pub audience: Vec<String>,
}

/// An event of type `DynamoDB`: the event source mapping of a stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct StreamEvent {
    pub stream: String,
    pub starting_position: StartingPosition,
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    pub parallelization_factor: Option<u32>,
    #[serde(default)]
    pub function_response_types: Vec<FunctionResponseType>,
    #[serde(default)]
    pub bisect_batch_on_function_error: bool,
    /// -1 is for ever, or until the records expire.
    #[serde(default = "unlimited")]
    pub maximum_retry_attempts: i64,
    /// -1 is for ever, or until the records expire.
    #[serde(default = "unlimited")]
    pub maximum_record_age_in_seconds: i64,
    #[serde(default)]
    pub filter_criteria: FilterCriteria,
    #[serde(default)]
    pub destination_config: DestinationConfig,
}

/// What a function may answer beside success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum FunctionResponseType {
    ReportBatchItemFailures,
}

/// Which records reach the function.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct FilterCriteria {
    #[serde(default)]
    pub filters: Vec<Filter>,
}

/// One alternative of the filter criteria.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Filter {
    pub pattern: String,
}

/// An event of type `EventBridgeRule`: a rule with the function as its target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct RuleEvent {
    #[serde(default = "default_bus")]
    pub event_bus_name: String,
    pub pattern: Value,
}

/// An event of type `Schedule`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ScheduleEvent {
    pub schedule: String,
}

impl ScheduleEvent {
    /// How often; `None` where it is not a rate. See "Setting a schedule pattern for scheduled rules" in AWS's guide.
    pub fn every(&self) -> Option<Duration> {
        let rate = self.schedule.strip_prefix("rate(")?.strip_suffix(')')?;
        let (number, unit) = rate.split_once(' ')?;
        let minutes = match unit.trim_end_matches('s') {
            "minute" => 1,
            "hour" => 60,
            "day" => 24 * 60,
            _ => return None,
        };
        let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
        Some(Duration::from_secs(number.checked_mul(minutes * 60)?))
    }
}

/// `AWS::Events::Rule`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Rule {
    /// Checked where names are made.
    #[serde(rename = "Name")]
    pub _name: Option<String>,
    #[serde(default = "default_bus")]
    pub event_bus_name: String,
    pub event_pattern: Value,
    #[serde(default)]
    pub targets: Vec<Value>,
}

/// A target of `AWS::Events::Rule`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Target {
    /// EventBridge wants it; a rule's targets are told apart by where they lead.
    #[serde(rename = "Id")]
    pub _id: String,
    pub arn: String,
}

/// `AWS::DynamoDB::Table`. What the engine's own `CreateTable` takes stays JSON and is checked by the engine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Table {
    /// Checked where names are made.
    #[serde(rename = "TableName")]
    pub _table_name: Option<String>,
    pub attribute_definitions: Value,
    pub key_schema: Value,
    pub local_secondary_indexes: Option<Value>,
    pub global_secondary_indexes: Option<Value>,
    pub billing_mode: Option<Value>,
    pub provisioned_throughput: Option<Value>,
    pub deletion_protection_enabled: Option<Scalar>,
    pub resource_policy: Option<ResourcePolicy>,
    #[serde(rename = "StreamSpecification")]
    pub stream: Option<StreamSpecification>,
}

/// `StreamSpecification` of a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct StreamSpecification {
    pub stream_view_type: String,
}

/// A policy of a resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ResourcePolicy {
    pub policy_document: IAMPolicy,
}

/// `AWS::IAM::Role`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Role {
    /// Checked where names are made.
    #[serde(rename = "RoleName")]
    pub _role_name: Option<String>,
    /// Functions are who takes roles here.
    #[serde(rename = "AssumeRolePolicyDocument")]
    pub _assume_role_policy_document: Value,
    #[serde(default)]
    pub policies: Vec<RolePolicy>,
}

/// One of the policies in a role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct RolePolicy {
    /// IAM wants it.
    #[serde(rename = "PolicyName")]
    pub _policy_name: String,
    pub policy_document: IAMPolicy,
}

/// A queue, an event bus or a secret, of which nothing but the name counts here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    #[serde(rename = "QueueName", alias = "Name")]
    pub _name: Option<String>,
}

fn default_timeout_s() -> u64 {
    3 // Lambda's default
}

fn default_memory_mb() -> u32 {
    128 // Lambda's default
}

fn default_batch_size() -> usize {
    100 // Lambda's default for streams
}

fn default_bus() -> String {
    "default".to_owned()
}

fn unlimited() -> i64 {
    -1 // Lambda's default
}
