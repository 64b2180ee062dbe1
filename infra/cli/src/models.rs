//! The read models, each with its table and the form of its rows.

use aws::{Counters, CurrentRows, DynamoEventStore, Journal, Mode, RowHistory};
use aws_sdk_dynamodb::Client;
use domain::{AccountRow, StatementEntry, TransactionRow};
use futures_util::future::{join_all, try_join_all};

use crate::{
    Error, Scan, Verdict,
    connection::Connection,
    histories::{self, History, Seen},
    journal,
    report::{Model, Report},
    rows, totals,
};

/// The tables.
pub struct Tables<'a> {
    pub store: DynamoEventStore,
    accounts: CurrentRows,
    statement: RowHistory,
    transactions: CurrentRows,
    journal: Journal,
    totals: Counters,
    client: Client,
    connection: &'a Connection,
}

impl<'a> Tables<'a> {
    /// The tables of a deployment.
    pub fn new(connection: &'a Connection) -> Self {
        let client = connection.dynamodb();
        let table = |name: &str| connection.name_of(name);
        Self {
            store: DynamoEventStore::new(client.clone(), table("events")),
            accounts: CurrentRows::new(client.clone(), table("accounts"), "account_id"),
            statement: RowHistory::new(client.clone(), table("statement"), "account_id"),
            transactions: CurrentRows::new(client.clone(), table("transactions"), "transaction_id"),
            journal: Journal::new(client.clone(), table("journal")),
            totals: Counters::new(client.clone(), table("totals")),
            client,
            connection,
        }
    }

    /// Checks that the events table and those of `models` exist.
    pub async fn check(&self, models: &[Model]) -> Result<(), Error> {
        let models = models.iter().map(|model| model.label());
        let tables: Vec<String> = ["events".to_owned()].into_iter().chain(models).collect();
        let checks = join_all(tables.iter().map(|table| self.connection.check_table(&self.client, table)));
        checks.await.into_iter().collect()
    }

    /// Compares read models with the events, which are read once for all of them, and tells of each as soon as it is known.
    pub async fn verify(
        &self,
        models: &[Model],
        scan: Scan,
        mut tell: impl FnMut(&Report) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let comparisons = try_join_all(models.iter().map(|model| self.begin(*model, Mode::Verify, false))).await?;
        let label = models.iter().map(|model| model.label()).collect::<Vec<_>>().join(", ");
        let compare = async |history: History| {
            // All of them, also where one fails.
            let verdicts = join_all(comparisons.iter().map(|comparison| comparison.history(&history))).await;
            verdicts.into_iter().try_fold(Verdict::Well, |verdict, next| Ok(verdict.max(next?)))
        };
        let seen = histories::each(&self.store, None, &label, scan, compare).await?;
        for (comparison, model) in comparisons.into_iter().zip(models) {
            tell(&self.report(comparison, *model, seen, scan).await?)?;
        }
        Ok(())
    }

    /// Compares a read model with the events, and puts right what differs. Begins anew each time, for what it says is of all rows.
    pub async fn repair(&self, model: Model, scan: Scan) -> Result<Report, Error> {
        match model {
            Model::Totals => totals::repair(&self.store, &self.totals, scan).await,
            Model::Journal if self.journal.is_empty().await? => {
                Err("the journal is empty: `daybook rebuild journal` gives each event its own place".into())
            }
            _ => self.put_right(model, None, scan, false).await,
        }
    }

    /// Makes a read model anew: sums beside the old ones, anything else row by row in its place. Goes on where it was stopped.
    pub async fn rebuild(&self, model: Model, scan: Scan) -> Result<Report, Error> {
        const FROM_NOTHING: &str = "journal-from-nothing";
        match model {
            Model::Totals => totals::rebuild(&self.store, &self.totals, scan).await,
            Model::Journal
                if self.journal.is_empty().await? || histories::is_under_way(&self.store, FROM_NOTHING).await? =>
            {
                self.put_right(model, Some(FROM_NOTHING), scan, true).await
            }
            _ => self.put_right(model, Some(&model.label()), scan, false).await,
        }
    }

    async fn put_right(
        &self,
        model: Model,
        bookmark: Option<&str>,
        scan: Scan,
        from_nothing: bool,
    ) -> Result<Report, Error> {
        let comparison = self.begin(model, Mode::Repair, from_nothing).await?;
        let compare = async |history: History| comparison.history(&history).await;
        let seen = histories::each(&self.store, bookmark, &model.label(), scan, compare).await?;
        self.report(comparison, model, seen, scan).await
    }

    async fn begin(&self, model: Model, mode: Mode, from_nothing: bool) -> Result<Comparison<'_>, Error> {
        let store = &self.store;
        Ok(match model {
            Model::Accounts => Comparison::Accounts(rows::Comparison::new(store, &self.accounts, mode)),
            Model::Statement => Comparison::Statement(rows::Comparison::new(store, &self.statement, mode)),
            Model::Transactions => Comparison::Transactions(rows::Comparison::new(store, &self.transactions, mode)),
            Model::Journal => Comparison::Journal(journal::Comparison::new(store, &self.journal, mode, from_nothing)),
            Model::Totals => Comparison::Totals(totals::Look::begin(store, &self.totals).await?),
        })
    }

    async fn report(&self, comparison: Comparison<'_>, model: Model, seen: Seen, scan: Scan) -> Result<Report, Error> {
        match comparison {
            Comparison::Accounts(rows) => rows.report(model, seen, scan).await,
            Comparison::Statement(rows) => rows.report(model, seen, scan).await,
            Comparison::Transactions(rows) => rows.report(model, seen, scan).await,
            Comparison::Journal(journal) => journal.report(seen, scan).await,
            Comparison::Totals(look) => totals::confirm(&self.store, &self.totals, scan, look.report(seen)).await,
        }
    }
}

/// A read model's comparison with the events, one history after the other.
enum Comparison<'a> {
    Accounts(rows::Comparison<'a, AccountRow, CurrentRows>),
    Statement(rows::Comparison<'a, StatementEntry, RowHistory>),
    Transactions(rows::Comparison<'a, TransactionRow, CurrentRows>),
    Journal(journal::Comparison<'a>),
    Totals(totals::Look<'a>),
}

impl Comparison<'_> {
    async fn history(&self, history: &History) -> Result<Verdict, Error> {
        match self {
            Self::Accounts(rows) => rows.history(history).await,
            Self::Statement(rows) => rows.history(history).await,
            Self::Transactions(rows) => rows.history(history).await,
            Self::Journal(journal) => journal.history(history).await,
            Self::Totals(look) => look.history(history).await,
        }
    }
}
