//! The API's functions in this process, on one engine, invoked as API Gateway would: for counting what each of them costs.

use std::time::Duration;

use aggregate::AggregateId;
use aws::{Counters, CurrentRows, DynamoEventStore, Journal, RotatedSecret, RowHistory};
use domain::{AccountRow, Outcome, StatementEntry, TotalsRow, TransactionRow};
use eventing::{Commit, EventStore, Host, System, enter, project};
use lambda_http::{Request, http::StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Engine, Spent};

/// The functions, the engine beneath them, and the projectors beside them.
pub struct Edge {
    /// The engine, which counts.
    pub engine: Engine,
    /// The event store on it.
    pub store: DynamoEventStore,
    queries: account_queries::Queries<DynamoEventStore, CurrentRows, RowHistory, CurrentRows, RotatedSecret>,
    admin_queries: admin_queries::Queries<Journal, Counters, RotatedSecret>,
    accounts: CurrentRows,
    statement: RowHistory,
    transactions: CurrentRows,
    totals: Counters,
    journal: Journal,
}

/// An answer and what it cost.
#[derive(Debug)]
pub struct Paid {
    /// The status code.
    pub status: StatusCode,
    /// The body.
    pub body: Value,
    /// What DynamoDB asks for it.
    pub spent: Spent,
}

impl Edge {
    /// All of them, over empty tables.
    pub async fn start() -> Self {
        let engine = Engine::start().await;
        let client = || engine.client.clone();
        let store = DynamoEventStore::new(client(), "events");
        let accounts = CurrentRows::new(client(), "accounts", "account_id");
        let statement = RowHistory::new(client(), "statement", "account_id");
        let transactions = CurrentRows::new(client(), "transactions", "transaction_id");
        // Without a look at which generation is current, which a process takes every two seconds.
        let totals = Counters::new(client(), "totals").of_generation(1);
        let journal = Journal::new(client(), "journal");
        let secrets = secrets_manager().await;
        let queries = account_queries::Queries {
            store: store.clone(),
            accounts: accounts.clone(),
            statement: statement.clone(),
            transactions: transactions.clone(),
            cursor_keys: RotatedSecret::new(secrets.clone(), "CursorKeys"),
        };
        let admin_queries = admin_queries::Queries {
            journal: journal.clone(),
            totals: totals.clone(),
            cursor_keys: RotatedSecret::new(secrets, "CursorKeys"),
        };
        Self { engine, store, queries, admin_queries, accounts, statement, transactions, totals, journal }
    }

    /// Asks as `user`: `route` is a route of the template, `target` the path and query that it stands for.
    pub async fn ask(&self, user: &str, route: &str, target: &str, headers: &[(&str, &str)], body: Value) -> Paid {
        let request = request(user, route, target, headers, &body);
        let _ = self.engine.meter.take();
        let response = match route {
            "POST /transactions" => transaction_commands::handle(&self.store, &System, request).await,
            "GET /events" | "GET /totals" => self.admin_queries.handle(&System, request).await,
            route if route.starts_with("GET ") => self.queries.handle(&System, request).await,
            _ => account_commands::handle(&self.store, &System, request).await,
        };
        let body = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
        Paid { status: response.status(), body, spent: self.engine.meter.take() }
    }

    /// Drives a transaction to its end, as the process manager does.
    pub async fn drive(&self, id: AggregateId) -> (Outcome, Spent) {
        let _ = self.engine.meter.take();
        let outcome = transaction_process::drive(&self.store, &System, id, in_a_minute()).await.unwrap();
        (outcome, self.engine.meter.take())
    }

    /// Brings the aggregate's events into every read model that wants them, one by one, and tells what each model cost.
    pub async fn project(&self, id: AggregateId) -> Vec<(&'static str, Spent)> {
        let mut costs = Vec::new();
        let meter = &self.engine.meter;
        for event in self.store.read(id, 1, usize::MAX).await.unwrap().iter().flat_map(Commit::envelopes) {
            let _ = meter.take();
            if event.aggregate_type == "Transaction" {
                project::<TransactionRow>(&self.store, &self.transactions, &System, &event).await.unwrap();
                costs.push(("transactions", meter.take()));
            } else {
                project::<AccountRow>(&self.store, &self.accounts, &System, &event).await.unwrap();
                costs.push(("accounts", meter.take()));
                project::<StatementEntry>(&self.store, &self.statement, &System, &event).await.unwrap();
                costs.push(("statement", meter.take()));
                project::<TotalsRow>(&self.store, &self.totals, &System, &event).await.unwrap();
                costs.push(("totals", meter.take()));
            }
            // In time, as events are, however slow this machine is.
            enter(&self.journal, &event, event.created_at).await.unwrap();
            costs.push(("journal", meter.take()));
        }
        costs
    }
}

fn in_a_minute() -> aggregate::Timestamp {
    let micros = i64::try_from(Duration::from_mins(1).as_micros()).unwrap();
    aggregate::Timestamp::from_micros(System.now().as_micros() + micros)
}

/// An event of API Gateway's, as the runtime hands it on.
#[must_use]
pub fn request(user: &str, route: &str, target: &str, headers: &[(&str, &str)], body: &Value) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (method, template) = route.split_once(' ').unwrap();
    let ids = template.split('/').zip(path.split('/')).filter(|(part, _)| part.starts_with('{'));
    let parameters: serde_json::Map<String, Value> =
        ids.map(|(name, id)| (name.trim_matches(['{', '}']).to_owned(), json!(id))).collect();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query_parameters: serde_json::Map<String, Value> =
        pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .chain(&[("content-type", "application/json"), ("host", "localhost")])
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "pathParameters": parameters,
        "queryStringParameters": query_parameters,
        "requestContext": {
            "requestId": "test",
            "routeKey": route,
            "stage": "$default",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "::1", "userAgent": "test" },
            "authorizer": { "jwt": { "claims": { "sub": user, "scope": format!("daybook/{user}") }, "scopes": null } },
            "timeEpoch": 0,
        },
        "body": if body.is_null() { Value::Null } else { json!(body.to_string()) },
        "isBase64Encoded": false,
    });
    let mut request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let mut context = lambda_http::Context::default();
    context.deadline = u64::try_from(in_a_minute().as_micros() / 1_000).unwrap();
    request.extensions_mut().insert(context);
    request
}

/// A Secrets Manager that knows the template's secret.
async fn secrets_manager() -> aws_sdk_secretsmanager::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(local::Secrets::in_memory(vec!["CursorKeys".to_owned()]).unwrap().serve(listener));
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_secretsmanager::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_secretsmanager::config::Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(url);
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}
