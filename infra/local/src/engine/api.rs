//! DynamoDB's HTTP API on the engine, in this process.
//!
//! The engine has an HTTP server of its own, which takes nothing but a TCP listener. Everybody on the machine would reach that
//! one without the guard. Promises: an operation is answered only under the service that it belongs to.

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use dynoxide::{
    Database, DynoxideError,
    auth_material::{AuthMaterial, validate},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::aws_json;

/// An answer's body.
type Outcome = Result<String, DynoxideError>;

/// The API on `database`.
pub fn router(database: Database) -> Router {
    let health = || async { "healthy: dynamodb.us-east-1.amazonaws.com " };
    Router::new().route("/", post(handle).get(health)).with_state(database)
}

async fn handle(
    State(database): State<Database>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (service, operation) = aws_json::action(&headers).split_once('.').unwrap_or_default();
    let (status, body) = if !is_operation(service, operation) {
        let kind = "com.amazon.coral.service#UnknownOperationException";
        (StatusCode::BAD_REQUEST, json!({ "__type": kind }).to_string())
    } else if let Some(refused) = unsigned(&headers, query.as_deref()) {
        (StatusCode::BAD_REQUEST, refused)
    } else {
        match run(&database, operation, &body) {
            Ok(body) => (StatusCode::OK, body),
            Err(error) => {
                let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, error.to_json())
            }
        }
    };
    let request_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    let headers = [
        (header::CONTENT_TYPE, "application/x-amz-json-1.0".to_owned()),
        (HeaderName::from_static("x-amzn-requestid"), request_id),
    ];
    (status, headers, body).into_response()
}

/// The error for a request that nobody signed. Nobody checks the signature itself.
fn unsigned(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    validate(AuthMaterial {
        authorization: text(header::AUTHORIZATION),
        query: query.unwrap_or_default(),
        has_date_header: headers.contains_key("x-amz-date") || headers.contains_key(header::DATE),
    })
}

/// Lists the operations of each service, each with the engine's method.
macro_rules! operations {
    ($($service:literal { $($operation:literal $method:ident,)* })*) => {
        fn is_operation(service: &str, operation: &str) -> bool {
            matches!((service, operation), $(($service, $($operation)|*))|*)
        }

        fn run(database: &Database, operation: &str, body: &[u8]) -> Outcome {
            match operation {
                $($($operation => write(&database.$method(read(body)?)?),)*)*
                other => Err(DynoxideError::ValidationException(format!("There is no operation {other}."))),
            }
        }
    };
}

operations! {
    "DynamoDB_20120810" {
        "BatchExecuteStatement" batch_execute_statement,
        "BatchGetItem" batch_get_item,
        "BatchWriteItem" batch_write_item,
        "CreateTable" create_table,
        "DeleteItem" delete_item,
        "DeleteTable" delete_table,
        "DescribeTable" describe_table,
        "DescribeTimeToLive" describe_time_to_live,
        "ExecuteStatement" execute_statement,
        "ExecuteTransaction" execute_transaction,
        "GetItem" get_item,
        "ListTables" list_tables,
        "ListTagsOfResource" list_tags_of_resource,
        "PutItem" put_item,
        "Query" query,
        "Scan" scan,
        "TagResource" tag_resource,
        "TransactGetItems" transact_get_items,
        "TransactWriteItems" transact_write_items,
        "UntagResource" untag_resource,
        "UpdateItem" update_item,
        "UpdateTable" update_table,
        "UpdateTimeToLive" update_time_to_live,
    }
    "DynamoDBStreams_20120810" {
        "DescribeStream" describe_stream,
        "GetRecords" get_records,
        "GetShardIterator" get_shard_iterator,
        "ListStreams" list_streams,
    }
}

/// The request in a body. Where the engine's types find a fault, they say before a colon which kind of error it is.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = text.strip_suffix(&place).unwrap_or(&text);
        let is_kind = |kind: &str| kind.starts_with("VALIDATION") || kind.starts_with("SERIALIZATION");
        let (kind, text) = text.split_once(':').filter(|(kind, _)| is_kind(kind)).unwrap_or(("", text));
        if kind.starts_with("VALIDATION") || (kind.is_empty() && error.is_data()) {
            DynoxideError::ValidationException(text.to_owned())
        } else {
            DynoxideError::SerializationException(text.to_owned())
        }
    })
}

fn write(response: &impl Serialize) -> Outcome {
    serde_json::to_string(response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
