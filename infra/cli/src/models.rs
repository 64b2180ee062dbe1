//! The read models, each with its table and the form of its rows.

use std::time::Duration;

use aws::{Counters, CurrentRows, DynamoEventStore, Journal, Mode, RowHistory};
use aws_sdk_dynamodb::{Client, config::timeout::TimeoutConfig};
use domain::{AccountRow, StatementEntry, TransactionRow};

use crate::{
    Error, Scan, journal,
    report::{Model, Report},
    rows, totals,
};

/// The tables.
pub struct Tables {
    pub store: DynamoEventStore,
    accounts: CurrentRows,
    statement: RowHistory,
    transactions: CurrentRows,
    journal: Journal,
    totals: Counters,
}

/// Nobody waits for an answer as a function's caller does, and much is read at once.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

fn dynamodb() -> Result<Client, aws::ConfigError> {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    Ok(aws::client!(aws_sdk_dynamodb, "AWS_ENDPOINT_URL_DYNAMODB", timeouts))
}

impl Tables {
    /// The tables whose names begin with `prefix`.
    pub fn connect(prefix: &str) -> Result<Self, Error> {
        let client = dynamodb()?;
        let table = |name: &str| format!("{prefix}{name}");
        Ok(Self {
            store: DynamoEventStore::new(client.clone(), table("events")),
            accounts: CurrentRows::new(client.clone(), table("accounts"), "account_id"),
            statement: RowHistory::new(client.clone(), table("statement"), "account_id"),
            transactions: CurrentRows::new(client.clone(), table("transactions"), "transaction_id"),
            journal: Journal::new(client.clone(), table("journal")),
            totals: Counters::new(client, table("totals")),
        })
    }

    /// Compares a read model with the events, and puts right what differs where that is wanted.
    pub async fn verify(&self, model: Model, mode: Mode, scan: Scan) -> Result<Report, Error> {
        match model {
            Model::Accounts => rows::compare::<AccountRow>(&self.store, &self.accounts, model, mode, scan).await,
            Model::Statement => rows::compare::<StatementEntry>(&self.store, &self.statement, model, mode, scan).await,
            Model::Transactions => {
                rows::compare::<TransactionRow>(&self.store, &self.transactions, model, mode, scan).await
            }
            Model::Journal => journal::compare(&self.store, &self.journal, mode, scan).await,
            Model::Totals if mode == Mode::Verify => totals::verify(&self.store, &self.totals, scan).await,
            Model::Totals => totals::repair(&self.store, &self.totals, scan).await,
        }
    }

    /// Makes a read model anew: sums beside the old ones, anything else row by row in its place.
    pub async fn rebuild(&self, model: Model, scan: Scan) -> Result<Report, Error> {
        match model {
            Model::Totals => totals::rebuild(&self.store, &self.totals, scan).await,
            _ => self.verify(model, Mode::Repair, scan).await,
        }
    }
}
