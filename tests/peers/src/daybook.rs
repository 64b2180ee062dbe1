//! Daybook: its own `execute` on its own event store.

use aggregate::AggregateId;
use async_trait::async_trait;
use aws::DynamoEventStore;
use aws_sdk_dynamodb::Client;
use domain::{Account, AccountCommand, Currency};
use eventing::{ExecuteError, System as Host, execute, load};
use tests::owner;
use uuid::Uuid;

use crate::system::{Recorded, Refusal, System, balance, deposit};

/// Daybook, with or without an idempotency key for every command.
pub struct Daybook {
    store: DynamoEventStore,
    keyed: bool,
}

impl Daybook {
    /// On the tables of the template.
    pub fn new(client: Client, keyed: bool) -> Self {
        Self { store: DynamoEventStore::new(client, "events"), keyed }
    }

    async fn execute(&self, account: AggregateId, body: AccountCommand) -> Result<(), Refusal> {
        let key = self.keyed.then(|| Uuid::now_v7().to_string());
        let command = tests::command(account, body, key.as_deref());
        match execute::<Account>(&self.store, &Host, &command).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::Busy) => Err(Refusal::Conflict),
            Err(error) => Err(Refusal::Other(error.to_string())),
        }
    }
}

#[async_trait]
impl System for Daybook {
    fn name(&self) -> &'static str {
        if self.keyed { "Daybook, with a key" } else { "Daybook" }
    }

    fn remark(&self) -> &'static str {
        if self.keyed {
            "looks the key up before it decides, and pays the index that it is found by; tries again after a conflict"
        } else {
            "looks no key up; tries again after a conflict; the state rides in the event's item"
        }
    }

    async fn fill(&self, account: AggregateId, events: u64) {
        let open = AccountCommand::CreateAccount { owner: owner(), currency: Currency::from_code("EUR").unwrap() };
        self.execute(account, open).await.unwrap();
        for _ in 1..events {
            self.execute(account, deposit()).await.unwrap();
        }
    }

    async fn deposit(&self, account: AggregateId) -> Result<(), Refusal> {
        self.execute(account, deposit()).await
    }

    async fn recorded(&self, account: AggregateId) -> Recorded {
        let loaded = load::<Account>(&self.store, account, aggregate::Version::MAX).await.unwrap();
        Recorded { events: loaded.version, balance: balance(&loaded.aggregate) }
    }
}
