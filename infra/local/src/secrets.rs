//! Secrets Manager: a random value for every secret of the template, kept in the data folder like everything else.
//!
//! Promises: a secret has one value, from its first reading on, over restarts. Nobody rotates it here, so there is no
//! previous one.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::post,
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{aws_json, data::Data, durable::Durable, listener::Listener, names};

/// The one action that functions need.
const GET_SECRET_VALUE: &str = "secretsmanager.GetSecretValue";
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The secrets, by name.
pub struct Secrets {
    pub(crate) names: Vec<String>,
    pub(crate) durable: Arc<Durable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    #[serde(default = "current")]
    version_stage: String,
}

fn current() -> String {
    "AWSCURRENT".to_owned()
}

impl Secrets {
    /// Secrets that nobody keeps.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn in_memory(names: Vec<String>) -> rusqlite::Result<Self> {
        Ok(Self { names, durable: Arc::new(Durable::open(&Data::in_memory().cloud_file())?) })
    }

    /// Answers Secrets Manager's API on `listener` for ever, whoever asks.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        Listener::new(listener)?.serve(self.router(), Vec::new()).await;
        Ok(())
    }

    /// Secrets Manager's API.
    pub(crate) fn router(self) -> Router {
        Router::new().route("/", post(handle)).with_state(Arc::new(self))
    }

    fn get(&self, request: &GetSecretValue) -> Response {
        let asked = |name: &&String| **name == request.secret_id || names::secret_arn(name) == request.secret_id;
        let Some(name) = self.names.iter().find(asked).filter(|_| request.version_stage == current()) else {
            let problem = "Secrets Manager can't find the specified secret value.";
            return aws_json::error(StatusCode::BAD_REQUEST, "ResourceNotFoundException", problem);
        };
        let fresh = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        match self.durable.secret(name, &fresh) {
            Ok((value, created_at)) => aws_json::respond(
                StatusCode::OK,
                &json!({
                    "ARN": names::secret_arn(name),
                    "Name": name,
                    "SecretString": value,
                    "VersionStages": [request.version_stage],
                    "CreatedDate": created_at,
                }),
            ),
            Err(problem) => {
                aws_json::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError", &problem.to_string())
            }
        }
    }
}

async fn handle(State(secrets): State<Arc<Secrets>>, headers: HeaderMap, body: Body) -> Response {
    match aws_json::request(GET_SECRET_VALUE, &headers, body, BODY_BYTES_MAX).await {
        Ok(request) => secrets.get(&request),
        Err(answer) => *answer,
    }
}
