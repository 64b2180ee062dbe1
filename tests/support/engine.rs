//! A DynamoDB engine in this process, reached over HTTP through AWS's own SDK, with the tables of the template.

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use dynoxide::Database;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{Meter, Wire};

/// An engine with empty tables; gone at the end of the test.
pub struct Engine {
    /// A client of it.
    pub client: Client,
    /// Where it listens.
    pub url: String,
    /// What that client has spent.
    pub meter: Meter,
}

impl Engine {
    /// Starts one with the tables of the template.
    pub async fn start() -> Self {
        Self::start_with(template_tables()).await
    }

    /// Starts one with these tables, each a request to create it.
    pub async fn start_with(tables: Vec<Value>) -> Self {
        let database = Database::memory().unwrap();
        for table in tables {
            database.create_table(serde_json::from_value(table).unwrap()).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, database));
        let meter = Meter::default();
        let config = config(&url).interceptor(meter.clone()).build();
        Self { client: Client::from_conf(config), url, meter }
    }
}

impl Engine {
    /// A client whose requests go over `wire`.
    #[must_use]
    pub fn client_over(&self, wire: &Wire) -> Client {
        let config = config(&self.url).http_client(wire.http_client()).retry_config(Wire::retries());
        Client::from_conf(config.build())
    }
}

/// The tables of the template, each a request to create it.
#[must_use]
pub fn template_tables() -> Vec<Value> {
    let template = local::template::load(&crate::repository().join("template.yaml")).unwrap();
    template.tables.into_iter().map(|table| table.create).collect()
}

/// The same without streams, for measuring times: the engine looks through all records of a stream at every write.
#[must_use]
pub fn tables_without_streams() -> Vec<Value> {
    let mut tables = template_tables();
    for table in tables.iter_mut().filter_map(Value::as_object_mut) {
        table.remove("StreamSpecification");
    }
    tables
}

/// A client of the engine at `url`.
#[must_use]
pub fn dynamodb(url: &str) -> Client {
    Client::from_conf(config(url).build())
}

fn config(url: &str) -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url)
}
