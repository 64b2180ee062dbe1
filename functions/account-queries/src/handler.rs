//! Reads. A read table may be a moment behind; every row carries its version, and a caller who asks for a `min_version`
//! gets at least that one, folded from the events where the table does not have it yet.

use aggregate::{AggregateId, Envelope, Timestamp, Version};
use api::{
    AccountEventView, AccountView, Call, CursorKeys, Problem, Reader, Response, StatementEntryView, TransactionView,
    VisibleSides,
};
use domain::{Account, AccountRow, Initiated, Order, Outcome, Side, StatementEntry, TransactionRow};
use eventing::{
    Commit, CurrentTable, EventStore, HistoryTable, Host, Index, ListFrom, Loaded, Place, Secret, first_not_early,
    fresh, history_page, list, load, load_at, newest_version,
};
use lambda_http::Request;

/// What queries read.
pub struct Queries<E, A, S, T, K> {
    /// The events.
    pub store: E,
    /// Accounts as they stand.
    pub accounts: A,
    /// Entries of accounts.
    pub statement: S,
    /// Transactions as they stand.
    pub transactions: T,
    /// What cursors are signed with.
    pub cursor_keys: K,
}

const BY_OWNER: Index = Index { name: "by_owner", by: "owner", order: "created_at", newest_first: false };
const BY_SOURCE: Index = Index { name: "by_source", by: "source", order: "created_at", newest_first: true };
const BY_DESTINATION: Index =
    Index { name: "by_destination", by: "destination", order: "created_at", newest_first: true };

impl<E, A, S, T, K> Queries<E, A, S, T, K>
where
    E: EventStore,
    A: CurrentTable<AccountRow>,
    S: HistoryTable<StatementEntry>,
    T: CurrentTable<TransactionRow>,
    K: Secret,
{
    /// Answers one request. The routes are the template's.
    pub async fn handle(&self, host: &impl Host, request: Request) -> Response {
        let call = Call::new(request, host);
        // Several requests at once make a large future.
        call.answer(host, Box::pin(self.answer(&call))).await
    }

    /// The answer to a call, or why there is none.
    ///
    /// # Errors
    /// The problem that the caller is told.
    pub async fn answer(&self, call: &Call) -> Result<Response, Problem> {
        match call.route() {
            "GET /accounts" => self.list(call).await,
            "GET /accounts/{id}" => self.account(call).await,
            "GET /accounts/{id}/statement" => self.statement(call).await,
            "GET /accounts/{id}/events" => self.events(call).await,
            "GET /accounts/{id}/transactions" => self.transactions_of(call).await,
            "GET /transactions/{id}" => self.transaction(call).await,
            "OPTIONS /{proxy+}" => Ok(api::no_content()),
            _ => Err(api::no_such_route(call.method_and_path().1)),
        }
    }

    async fn account(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, id, min_version) = (call.reader()?, call.id()?, call.min_version()?.unwrap_or(0));
        let (version, at) = (call.as_of_version()?, call.instant("at")?);
        let at_least = version.unwrap_or(min_version);
        let (row, then) = self.checked(&reader, id, at_least, self.as_of(id, version, at)).await?;
        if row.version < at_least {
            return Err(Problem::not_yet(row.version));
        }
        let row = match (then, at, version) {
            (None, ..) => row,
            // It was read while the account was opened, or changed.
            (Some(then), None, Some(version)) if then.version < version => return Err(Problem::not_yet(then.version)),
            (Some(then), ..) => past(&row, then)?,
        };
        call.tagged(row.version, &AccountView::from(row))
    }

    /// The account up to `version`, and at the time `at`; none where the caller asks for neither.
    async fn as_of(
        &self,
        id: AggregateId,
        version: Option<Version>,
        at: Option<Timestamp>,
    ) -> Result<Option<Loaded<Account>>, Problem> {
        let until = match at {
            Some(at) => {
                let then = load_at::<Account>(&self.store, id, at).await?;
                match version.filter(|version| *version < then.version) {
                    None => return Ok(Some(then)),
                    until => until,
                }
            }
            None => version,
        };
        let Some(until) = until else { return Ok(None) };
        Ok(Some(load(&self.store, id, until).await?))
    }

    /// The audit trail: who did what, when and in the course of what.
    async fn events(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, limit, account_id) = (call.reader()?, call.limit()?, call.id()?);
        let keys = self.keys().await?;
        let from: Version = call.cursor(&keys)?.unwrap_or(1);
        let commits = async { Ok(self.store.read(account_id, from, limit).await?) };
        let (account, commits) = self.checked(&reader, account_id, 0, commits).await?;
        let mut events: Vec<Envelope> =
            commits.iter().flat_map(Commit::envelopes).filter(|event| event.version >= from).collect();
        // The store may have answered with fewer commits than there are.
        let is_cut = commits.len() == limit || events.len() > limit;
        events.truncate(limit);
        let last = events.last().filter(|event| is_cut || event.version < account.version);
        let next = last.map(|event| event.version + 1);
        let items = events.into_iter().map(|event| AccountEventView::of(event, &reader)).collect();
        call.page(&keys, items, next)
    }

    async fn list(&self, call: &Call) -> Result<Response, Problem> {
        let (caller, limit, keys) = (call.caller()?, call.limit()?, self.keys().await?);
        let after: Option<Place> = call.cursor(&keys)?;
        let from = ListFrom::after(after.as_ref());
        let page = list(&self.accounts, &BY_OWNER, caller.as_str(), from, limit).await?;
        call.page(&keys, page.rows.into_iter().map(AccountView::from).collect(), page.next)
    }

    async fn statement(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, limit, account_id) = (call.reader()?, call.limit()?, call.id()?);
        let (min_version, since, until) =
            (call.min_version()?.unwrap_or(0), call.instant("from")?, call.instant("to")?);
        let keys = self.keys().await?;
        let before: Option<Version> = call.cursor(&keys)?;
        let page = async {
            let (start, end) = self.versions_between(account_id, since, until).await?;
            let end = end.min(before.unwrap_or(Version::MAX));
            let shown = |entry: &StatementEntry| {
                entry.amount.is_some()
                    && since.is_none_or(|since| entry.occurred_at >= since)
                    && until.is_none_or(|until| entry.occurred_at < until)
            };
            let (store, table) = (&self.store, &self.statement);
            let page = history_page(store, table, account_id, start..end, min_version, limit, shown).await?;
            Ok((page, end == Version::MAX))
        };
        let (account, (page, is_newest)) = self.checked(&reader, account_id, 0, page).await?;
        // A page that does not reach the newest entry says nothing of how far the account is.
        let version = if is_newest || account.version >= min_version {
            if is_newest { page.newest } else { account.version }
        } else {
            fresh(&self.store, account_id, Some(account), min_version).await?.map_or(0, |row| row.version)
        };
        if version < min_version {
            return Err(Problem::not_yet(version));
        }
        call.page(&keys, page.rows.into_iter().map(StatementEntryView::from).collect(), page.next)
    }

    async fn transaction(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, id, min_version) = (call.reader()?, call.id()?, call.min_version()?.unwrap_or(0));
        let known: Option<TransactionRow> = self.transactions.get(id).await?;
        let row = fresh(&self.store, id, known, min_version).await?.ok_or_else(Problem::not_found)?;
        let visible = self.visible_sides(&reader, &row.transaction).await?;
        if row.version < min_version {
            return Err(Problem::not_yet(row.version));
        }
        call.tagged(row.version, &TransactionView::of(row, visible))
    }

    /// The accounts of a transaction that `reader` may see. The payer's other account is looked for only where it matters, and with
    /// one read whatever there is: the time of the answer must not tell what the answer hides.
    async fn visible_sides(&self, reader: &Reader, transaction: &Initiated) -> Result<VisibleSides, Problem> {
        let destination = transaction.order.destination;
        if !reader.may_see(&transaction.order.by) {
            self.visible(reader, destination, 0).await?;
            return Ok(VisibleSides { source: false, destination: true });
        }
        let is_hidden = matches!(transaction.outcome, Outcome::Failed { side: Side::Destination, .. });
        let destination = if is_hidden && !reader.is_admin() {
            let known: Option<AccountRow> = self.accounts.get(destination).await?;
            known.is_some_and(|row| reader.may_see(&row.account.owner))
        } else {
            reader.is_admin()
        };
        Ok(VisibleSides { source: true, destination })
    }

    /// The transactions that an account is the source or the destination of, newest first: two lists, merged. A cursor holds the
    /// place in each.
    async fn transactions_of(&self, call: &Call) -> Result<Response, Problem> {
        let (reader, limit, account_id) = (call.reader()?, call.limit()?, call.id()?);
        let keys = self.keys().await?;
        let places: (Option<Place>, Option<Place>) = call.cursor(&keys)?.unwrap_or_default();
        let id = account_id.to_string();
        let [from, from_incoming] = ListFrom::merged([places.0.as_ref(), places.1.as_ref()]);
        let lists = async {
            let outgoing = list(&self.transactions, &BY_SOURCE, &id, from, limit);
            Ok(tokio::try_join!(outgoing, list(&self.transactions, &BY_DESTINATION, &id, from_incoming, limit))?)
        };
        let (_, (outgoing, incoming)) = self.checked(&reader, account_id, 0, lists).await?;
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
        // The reader may see this account. Whose the other one is, a list does not look up.
        let visible = |order: &Order| VisibleSides {
            source: reader.may_see(&order.by),
            destination: reader.is_admin() || order.destination == account_id,
        };
        let items = rows.into_iter().map(|row| (visible(&row.transaction.order), row));
        let items = items.map(|(visible, row)| TransactionView::of(row, visible)).collect();
        call.page(&keys, items, next)
    }

    async fn keys(&self) -> Result<CursorKeys, Problem> {
        CursorKeys::of(&self.cursor_keys).await
    }

    /// The account, at least at `min_version` if there is such a version, where `reader` may see it.
    async fn visible(&self, reader: &Reader, id: AggregateId, min_version: Version) -> Result<AccountRow, Problem> {
        let known: Option<AccountRow> = self.accounts.get(id).await?;
        if let Some(row) = known.as_ref().filter(|row| !reader.may_see(&row.account.owner)) {
            // As many reads as for an account that does not exist: the time of the answer must not tell the two apart.
            self.store.read(id, row.version + 1, 1).await?;
            return Err(Problem::not_found());
        }
        let row = fresh(&self.store, id, known, min_version).await?;
        row.filter(|row| reader.may_see(&row.account.owner)).ok_or_else(Problem::not_found)
    }

    /// The account where `reader` may see it, as [`Self::visible`] gives it, and what `read` reads meanwhile. Only the refusal is
    /// answered where there is one: what `read` has come to then is nobody's to know.
    async fn checked<R>(
        &self,
        reader: &Reader,
        id: AggregateId,
        min_version: Version,
        read: impl Future<Output = Result<R, Problem>>,
    ) -> Result<(AccountRow, R), Problem> {
        let (account, read) = tokio::try_join!(self.visible(reader, id, min_version), async { Ok(read.await) })?;
        Ok((account, read?))
    }

    /// The versions between two times: the first that may be at `since` or later, and the first that is at `until` or later.
    async fn versions_between(
        &self,
        account_id: AggregateId,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<(Version, Version), Problem> {
        if since.is_none() && until.is_none() {
            return Ok((1, Version::MAX));
        }
        let newest = newest_version(&self.statement, account_id).await?;
        let first = async |time: Option<Timestamp>| match time {
            Some(time) => {
                let is_early = |entry: &StatementEntry| entry.occurred_at < time;
                first_not_early(&self.statement, account_id, newest, is_early).await.map(Some)
            }
            None => Ok(None),
        };
        let (start, end) = tokio::try_join!(first(since), first(until))?;
        Ok((start.map_or(1, |start| start.unwrap_or(newest + 1)), end.flatten().unwrap_or(Version::MAX)))
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
        Account::NotOpened | Account::Damaged => Err(Problem::not_found()),
    }
}
