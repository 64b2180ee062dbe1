//! What a request asks for, in IAM's words: actions on resources ("Actions, resources, and condition keys", service authorization
//! reference).

use std::collections::BTreeSet;

use serde_json::Value;

use super::partiql;
use crate::names;

/// An action on a resource, with what the conditions of policies look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// For example `dynamodb:GetItem`.
    pub action: String,
    /// An ARN.
    pub resource: String,
    /// `events:source`: who an event says it is from.
    pub source: Option<String>,
}

impl Asked {
    /// What no condition looks at.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), source: None }
    }
}

/// The permissions that a request to do `target` needs; none for what is no request at all. The error says why a request
/// cannot be checked.
pub fn asked(target: &str, body: &Value) -> Result<BTreeSet<Asked>, String> {
    let (service, operation) = target.split_once('.').unwrap_or_default();
    if (service, operation) == ("DynamoDB_20120810", "ExecuteStatement") {
        return of_statements([body]);
    }
    if let ("DynamoDB_20120810", Some(statements)) = (service, list_of_statements(operation)) {
        return of_statements(body[statements].as_array().into_iter().flatten());
    }
    Ok(match service {
        "DynamoDB_20120810" => of_dynamodb(operation, body),
        "DynamoDBStreams_20120810" => [Asked::new(format!("dynamodb:{operation}"), text(body, "StreamArn"))].into(),
        "AWSEvents" if operation == "DescribeEventBus" => {
            [Asked::new(format!("events:{operation}"), arn(&text(body, "Name"), names::bus_arn))].into()
        }
        "AWSEvents" => {
            let entries = body["Entries"].as_array().into_iter().flatten();
            let bus = |entry: &Value| entry["EventBusName"].as_str().unwrap_or("default").to_owned();
            let asked = |entry: &Value| Asked {
                source: entry["Source"].as_str().map(str::to_owned),
                ..Asked::new(format!("events:{operation}"), arn(&bus(entry), names::bus_arn))
            };
            entries.map(asked).collect()
        }
        "secretsmanager" => {
            [Asked::new(format!("{service}:{operation}"), arn(&text(body, "SecretId"), names::secret_arn))].into()
        }
        "AmazonSQS" => {
            let (url, name) = (text(body, "QueueUrl"), text(body, "QueueName"));
            let queue = url.rsplit('/').next().filter(|last| !last.is_empty()).unwrap_or(&name);
            [Asked::new(format!("sqs:{operation}"), names::queue_arn(queue))].into()
        }
        _ => BTreeSet::new(),
    })
}

/// The member of a request in which several statements are.
fn list_of_statements(operation: &str) -> Option<&'static str> {
    match operation {
        "BatchExecuteStatement" => Some("Statements"),
        "ExecuteTransaction" => Some("TransactStatements"),
        _ => None,
    }
}

fn of_statements<'a>(statements: impl IntoIterator<Item = &'a Value>) -> Result<BTreeSet<Asked>, String> {
    let asked = |statement: &Value| {
        let text = statement["Statement"].as_str().unwrap_or_default();
        partiql::asked(text).ok_or_else(|| {
            format!(
                "The local cloud cannot tell which table this statement is about. Write one simple statement: {text}"
            )
        })
    };
    statements.into_iter().map(asked).collect()
}

fn of_dynamodb(operation: &str, body: &Value) -> BTreeSet<Asked> {
    let action = |name: &str| format!("dynamodb:{name}");
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(table, _)| Asked::new(action(operation), arn(table, names::table_arn))).collect()
        }
        // A transaction needs what each of its parts would need alone.
        "TransactWriteItems" | "TransactGetItems" => {
            let items = body["TransactItems"].as_array().into_iter().flatten();
            let parts = items.filter_map(Value::as_object).flatten();
            let name =
                |part: &str| if part == "ConditionCheck" { "ConditionCheckItem".into() } else { format!("{part}Item") };
            let table = |of: &Value| arn(&text(of, "TableName"), names::table_arn);
            parts.map(|(part, of)| Asked::new(action(&name(part)), table(of))).collect()
        }
        _ => {
            let table = arn(&text(body, "TableName"), names::table_arn);
            let resource = match body["IndexName"].as_str() {
                Some(index) => format!("{table}/index/{index}"),
                None => table,
            };
            [Asked::new(action(operation), resource)].into()
        }
    }
}

/// AWS takes a name or an ARN in most places.
pub fn arn(name_or_arn: &str, of_name: impl Fn(&str) -> String) -> String {
    if name_or_arn.starts_with("arn:") { name_or_arn.to_owned() } else { of_name(name_or_arn) }
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_requests_ask_for() {
        let (t, u) = (names::table_arn("t"), names::table_arn("u"));
        let (index, bus) = (format!("{t}/index/i"), names::bus_arn("b"));
        let (secret, queue) = (names::secret_arn("s"), names::queue_arn("q"));
        let items = json!([{ "Put": { "TableName": "t" } }, { "ConditionCheck": { "TableName": "u" } }, { "Put": { "TableName": "t" } }]);
        let cases = [
            ("DynamoDB_20120810.GetItem", json!({ "TableName": "t" }), vec![("dynamodb:GetItem", &t)]),
            ("DynamoDB_20120810.Query", json!({ "TableName": t, "IndexName": "i" }), vec![("dynamodb:Query", &index)]),
            (
                "DynamoDB_20120810.BatchGetItem",
                json!({ "RequestItems": { "t": {}, "u": {} } }),
                vec![("dynamodb:BatchGetItem", &t), ("dynamodb:BatchGetItem", &u)],
            ),
            (
                "DynamoDB_20120810.TransactWriteItems",
                json!({ "TransactItems": items }),
                vec![("dynamodb:ConditionCheckItem", &u), ("dynamodb:PutItem", &t)],
            ),
            (
                "DynamoDB_20120810.ExecuteStatement",
                json!({ "Statement": "SELECT * FROM t.i" }),
                vec![("dynamodb:PartiQLSelect", &index)],
            ),
            (
                "DynamoDB_20120810.BatchExecuteStatement",
                json!({ "Statements": [{ "Statement": "DELETE FROM t" }, { "Statement": "UPDATE u SET a = 1" }] }),
                vec![("dynamodb:PartiQLDelete", &t), ("dynamodb:PartiQLUpdate", &u)],
            ),
            (
                "DynamoDB_20120810.ExecuteTransaction",
                json!({ "TransactStatements": [{ "Statement": "INSERT INTO t VALUE {}" }] }),
                vec![("dynamodb:PartiQLInsert", &t)],
            ),
            ("AWSEvents.PutEvents", json!({ "Entries": [{ "EventBusName": "b" }] }), vec![("events:PutEvents", &bus)]),
            ("AWSEvents.DescribeEventBus", json!({ "Name": "b" }), vec![("events:DescribeEventBus", &bus)]),
            (
                "secretsmanager.GetSecretValue",
                json!({ "SecretId": "s" }),
                vec![("secretsmanager:GetSecretValue", &secret)],
            ),
            ("AmazonSQS.DeleteMessage", json!({ "QueueUrl": "http://x/0/q" }), vec![("sqs:DeleteMessage", &queue)]),
            ("AmazonSQS.GetQueueUrl", json!({ "QueueName": "q" }), vec![("sqs:GetQueueUrl", &queue)]),
            ("", Value::Null, vec![]),
        ];
        for (target, body, expected) in cases {
            let expected = expected.into_iter().map(|(action, resource)| Asked::new(action, resource)).collect();
            assert_eq!(asked(target, &body), Ok(expected), "{target}");
        }
    }

    #[test]
    fn each_entry_says_who_it_is_from() {
        let entries = ["a", "b"].map(|source| json!({ "EventBusName": "x", "Source": source }));
        let asked = asked("AWSEvents.PutEvents", &json!({ "Entries": entries })).unwrap();
        let sources: Vec<_> = asked.iter().filter_map(|asked| asked.source.as_deref()).collect();
        assert_eq!(sources, ["a", "b"]);
    }
}
