//! Checks, before any work begins, that the tables, the queue and the bus exist under the names in use. Without that, AWS answers
//! a request for a missing table with an error that names none, and drops events for a missing bus without any error.

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::Error;

/// The names of one deployment's tables and queues.
#[derive(Debug, Clone)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// The names that begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The whole name of a table or queue.
    pub fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Checks that the table `name` exists.
    pub async fn check_table(&self, client: &Client, name: &str) -> Result<(), Error> {
        let table = self.of(name);
        let described = client.describe_table().table_name(&table).send().await;
        described.map(drop).map_err(|error| explained(&error, &format!("the table `{table}`"), &self.advice()))
    }

    /// What to do about a table or queue that does not exist.
    pub fn advice(&self) -> String {
        let Self { prefix } = self;
        format!(
            "The prefix of tables and queues is `{prefix}`; set TABLE_PREFIX or --table-prefix to the stack's TablePrefix"
        )
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
