//! Reads. A read table may be a moment behind; every row carries its version, and a caller who asks for a `min_version`
//! gets at least that one, folded from the events where the table does not have it yet.

use std::pin::pin;

use aggregate::{AggregateId, Envelope, Timestamp, Version};
use api::{
    AccountEventView, AccountView, Call, CursorKeys, Problem, Reader, Response, StatementEntryView, TransactionView,
};
use aws::{CurrentRows, DynamoEventStore, Index, Place, RotatedSecret, RowHistory};
use domain::{Account, AccountRow, StatementEntry, TransactionRow};
use eventing::{BinarySearch, Commit, EventStore as _, Host, Loaded, ReadTable, catch_up, fresh, load, load_at};
use lambda_http::Request;

/// What queries read.
pub struct Queries {
    /// The events.
    pub store: DynamoEventStore,
    /// Accounts as they stand.
    pub accounts: CurrentRows,
    /// Entries of accounts.
    pub statement: RowHistory,
    /// Transactions as they stand.
    pub transactions: CurrentRows,
    /// What cursors are signed with.
    pub cursor_keys: RotatedSecret,
}

const BY_OWNER: Index = Index { name: "by_owner", by: "owner", order: "created_at", newest_first: false };
const BY_SOURCE: Index = Index { name: "by_source", by: "source", order: "created_at", newest_first: true };
const BY_DESTINATION: Index =
    Index { name: "by_destination", by: "destination", order: "created_at", newest_first: true };

impl Queries {
    /// Answers one request. The routes are the template's.
    pub async fn handle(&self, host: &impl Host, request: Request) -> Response {
        let call = Call::new(request, host);
        let work = pin!(async {
            match call.route() {
                "GET /accounts" => self.list(&call).await,
                "GET /accounts/{id}" => self.account(&call).await,
                "GET /accounts/{id}/statement" => self.statement(&call).await,
                "GET /accounts/{id}/events" => self.events(&call).await,
                "GET /accounts/{id}/transactions" => self.transactions_of(&call).await,
                "GET /transactions/{id}" => self.transaction(&call).await,
                "OPTIONS /{proxy+}" => Ok(api::no_content()),
                _ => Err(api::no_such_route(call.method_and_path().1)),
            }
        });
        call.answer(host, work).await
    }

    async fn account(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, min_version) = (call.reader()?, call.min_version()?.unwrap_or(0));
        let (version, at) = (call.as_of_version()?, call.instant("at")?);
        let row = self.visible(&reader, call.id()?, version.unwrap_or(min_version)).await?;
        if row.version < version.unwrap_or(min_version) {
            return Err(Problem::not_yet(row.version));
        }
        let until = match at {
            Some(at) => {
                let then = load_at::<Account>(&self.store, row.account_id, at).await?;
                Some(then.version.min(version.unwrap_or(Version::MAX)))
            }
            None => version,
        };
        let row = match until {
            Some(until) => past(&row, load(&self.store, row.account_id, until).await?)?,
            None => row,
        };
        call.tagged(row.version, &AccountView::from(row))
    }

    /// The audit trail: who did what, when and in the course of what.
    async fn events(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, limit, account_id) = (call.reader()?, call.limit()?, call.id()?);
        let keys = self.keys().await?;
        let from: Version = call.cursor(&keys)?.unwrap_or(1);
        self.visible(&reader, account_id, 0).await?;
        let commits = self.store.read(account_id, from, limit).await?;
        let more = commits.len() == limit;
        let mut events: Vec<Envelope> =
            commits.iter().flat_map(Commit::envelopes).filter(|event| event.version >= from).collect();
        let more = more || events.len() > limit;
        events.truncate(limit);
        let next = events.last().filter(|_| more).map(|event| event.version + 1);
        let items = events.into_iter().map(|event| AccountEventView::of(event, &reader)).collect();
        call.page(&keys, items, next)
    }

    async fn list(&self, call: &Call) -> Result<Response, Problem> {
        let (caller, limit, keys) = (call.caller()?, call.limit()?, self.keys().await?);
        let after = call.cursor(&keys)?;
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let page = self.accounts.list::<AccountRow>(&BY_OWNER, caller.as_str(), after.as_ref(), limit).await?;
        call.page(&keys, page.rows.into_iter().map(AccountView::from).collect(), page.next)
    }

    async fn statement(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, min_version, limit) = (call.reader()?, call.min_version()?, call.limit()?);
        let (account_id, keys) = (call.id()?, self.keys().await?);
        let (since, until) = (call.instant("from")?, call.instant("to")?);
        let before: Option<Version> = call.cursor(&keys)?;
        self.visible(&reader, account_id, 0).await?;
        let fresh = match min_version {
            Some(min_version) => self.entries_not_in_table(account_id, min_version).await?,
            None => Vec::new(),
        };
        // Who knows of a version is not told what a replica does not know yet.
        let consistent = min_version.is_some();
        let start = match since {
            Some(since) => self.first_entry_at(account_id, since, consistent).await?,
            None => 1,
        };
        let end = match until {
            Some(until) => self.first_entry_at(account_id, until, consistent).await?,
            None => Version::MAX,
        };
        // The projector may have written since: the table answers for what is older than the entries from the events.
        let joint = fresh.first().map_or(Version::MAX, |entry| entry.version);
        let versions = start..before.unwrap_or(Version::MAX).min(end).min(joint);
        let page = self.statement.newest_first(account_id, versions, "amount", limit, consistent).await?;
        let shown = |entry: &StatementEntry| {
            entry.amount.is_some()
                && before.is_none_or(|place| entry.version < place)
                && since.is_none_or(|since| entry.occurred_at >= since)
                && until.is_none_or(|until| entry.occurred_at < until)
        };
        let mut rows: Vec<StatementEntry> = fresh.into_iter().rev().filter(shown).chain(page.rows).collect();
        let cut = rows.len() > limit;
        rows.truncate(limit);
        let next = if cut { rows.last().map(|entry| entry.version) } else { page.next };
        let items = rows.into_iter().map(StatementEntryView::from).collect();
        call.page(&keys, items, next)
    }

    async fn transaction(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, id, min_version) = (call.reader()?, call.id()?, call.min_version()?.unwrap_or(0));
        let known: Option<TransactionRow> = self.transactions.get(id).await?;
        let row = fresh(&self.store, id, known, min_version).await?.ok_or_else(Problem::not_found)?;
        if !reader.may_see(&row.transaction.order.by) {
            self.visible(&reader, row.transaction.order.destination, 0).await?;
        }
        if row.version < min_version {
            return Err(Problem::not_yet(row.version));
        }
        call.tagged(row.version, &TransactionView::of(row, &reader))
    }

    /// The transactions that an account is the source or the destination of, newest first: two lists, merged. A cursor holds the
    /// place in each.
    async fn transactions_of(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, limit, account_id) = (call.reader()?, call.limit()?, call.id()?);
        let keys = self.keys().await?;
        let places: (Option<Place>, Option<Place>) = call.cursor(&keys)?.unwrap_or_default();
        self.visible(&reader, account_id, 0).await?;
        let (id, rows_max) = (account_id.to_string(), i32::try_from(limit).unwrap_or(i32::MAX));
        let outgoing = self.transactions.list::<TransactionRow>(&BY_SOURCE, &id, places.0.as_ref(), rows_max).await?;
        let incoming =
            self.transactions.list::<TransactionRow>(&BY_DESTINATION, &id, places.1.as_ref(), rows_max).await?;
        let fetched = outgoing.rows.len() + incoming.rows.len();
        let mut rows: Vec<TransactionRow> = outgoing.rows.into_iter().chain(incoming.rows).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
        rows.truncate(limit);
        let last = |is_outgoing: bool| {
            let row = rows.iter().rfind(|row| (row.transaction.order.source == account_id) == is_outgoing);
            row.map(|row| (row.created_at.to_string(), row.transaction_id))
        };
        let more = fetched > rows.len() || outgoing.next.is_some() || incoming.next.is_some();
        let next = more.then(|| (last(true).or(places.0.clone()), last(false).or(places.1.clone())));
        let items = rows.into_iter().map(|row| TransactionView::of(row, &reader)).collect();
        call.page(&keys, items, next)
    }

    async fn keys(&self) -> Result<CursorKeys, Problem> {
        let keys = self.cursor_keys.values().await.map_err(|error| Problem::unavailable(&error))?;
        Ok(CursorKeys::new(&keys.using, keys.other.as_deref()))
    }

    /// The account, at least at `min_version` if there is such a version, where `reader` may see it.
    async fn visible(&self, reader: &Reader, id: AggregateId, min_version: Version) -> Result<AccountRow, Problem> {
        let known: Option<AccountRow> = self.accounts.get(id).await?;
        if known.as_ref().is_some_and(|row| !reader.may_see(&row.account.owner)) {
            return Err(Problem::not_found());
        }
        let row = fresh(&self.store, id, known, min_version).await?;
        row.filter(|row| reader.may_see(&row.account.owner)).ok_or_else(Problem::not_found)
    }

    /// The version of the first entry in the table that is not before `at`.
    async fn first_entry_at(
        &self,
        account_id: AggregateId,
        at: Timestamp,
        consistent: bool,
    ) -> Result<Version, Problem> {
        let newest: Option<StatementEntry> = self.statement.latest(account_id).await?;
        let mut search = BinarySearch::up_to(newest.map_or(0, |entry| entry.version));
        while let Some(version) = search.version() {
            let entry: Option<StatementEntry> = self.statement.get(account_id, version, consistent).await?;
            // Where a replica does not have it yet, it is new.
            search.was_early(entry.is_some_and(|entry| entry.occurred_at < at));
        }
        Ok(search.last_early() + 1)
    }

    /// The entries up to `min_version` at least that the table lacks, oldest first.
    async fn entries_not_in_table(
        &self,
        account_id: AggregateId,
        min_version: Version,
    ) -> Result<Vec<StatementEntry>, Problem> {
        let newest: Option<StatementEntry> = self.statement.latest(account_id).await?;
        let fresh = catch_up(&self.store, account_id, newest.as_ref(), min_version).await?;
        let version = fresh.last().or(newest.as_ref()).map_or(0, |entry| entry.version);
        if version < min_version { Err(Problem::not_yet(version)) } else { Ok(fresh) }
    }
}

/// The account as it was, from what is known of it now. Before it was opened there was none.
fn past(now: &AccountRow, then: Loaded<Account>) -> Result<AccountRow, Problem> {
    match then.aggregate {
        Account::Opened(account) => Ok(AccountRow {
            account_id: now.account_id,
            account,
            version: then.version,
            created_at: now.created_at,
            updated_at: then.changed_at.unwrap_or(now.created_at),
        }),
        Account::NotOpened => Err(Problem::not_found()),
    }
}
