//! The names that AWS would give: one account and one region, made up once.
//!
//! Promises: an ARN made here is the same wherever it is made, so parts of the local cloud may compare ARNs as text. Never
//! takes one apart: who needs the thing behind an ARN looks it up by the whole of it.

/// The region of everything here. AWS's SDKs want one; which it is changes nothing.
pub const REGION: &str = "us-east-1";

/// The account of everything here.
pub const ACCOUNT_ID: &str = "000000000000";

/// The ARN of a function.
pub fn function_arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}")
}

/// The ARN of a table.
pub fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}")
}

/// The ARN of a table's stream. AWS's ends with the time at which the stream was switched on.
pub fn stream_arn(table: &str) -> String {
    format!("{}/stream/local", table_arn(table))
}

/// The ARN of an event bus.
pub fn bus_arn(bus: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{bus}")
}

/// The ARN of a queue.
pub fn queue_arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue}")
}

/// The ARN of a role.
pub fn role_arn(role: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:role/{role}")
}

/// The ARN of an alarm.
pub fn alarm_arn(alarm: &str) -> String {
    format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{alarm}")
}

/// The ARN of a log group, which stands for the streams in it.
pub fn log_group_arn(group: &str) -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}:*")
}

/// The ARN of a secret. AWS's ends with six random characters.
pub fn secret_arn(secret: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:{secret}")
}

/// The URL of a queue, which is what `!Ref` of one gives. SQS's actions take it as a name; it is not asked there.
pub fn queue_url(queue: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{queue}")
}
