//! What must hold about every answer of a query (I20): it is what the events make of it, at one version that is new enough;
//! in a list nothing stands twice, and pages together are the whole.

use std::collections::BTreeSet;

use aggregate::{AggregateId, Row, Timestamp, Version};
use api::{AccountView, Reader, StatementEntryView, TransactionView, VisibleSides};
use domain::{Account, StatementEntry, TotalsRow, TransactionRow};
use ledger::Ledger;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ports::Services,
    queries::AsOf,
    replicas::{INDEX_LAG_POINTS, Indexed},
    tables::Table,
};

/// The items of a page, and the parameter that leads to the next.
pub fn page(body: &Value) -> (&[Value], Option<(&'static str, String)>) {
    let items = body["items"].as_array().expect("I20: a page has items");
    (items, body["next_cursor"].as_str().map(|cursor| ("cursor", cursor.to_owned())))
}

/// The ids of the events of a page.
pub fn event_ids(body: &Value) -> Vec<Uuid> {
    let id = |item: &Value| item["event_id"].as_str().and_then(|id| id.parse().ok());
    page(body).0.iter().map(|item| id(item).expect("I20: an event has an id")).collect()
}

/// An entry of a statement as it is answered.
pub fn entry(entry: StatementEntry) -> Value {
    json(StatementEntryView::from(entry))
}

fn json(view: impl Serialize) -> Value {
    serde_json::to_value(view).expect("a view serialises")
}

fn version_of(item: &Value) -> Version {
    item["version"].as_u64().expect("I20: an answer has a version")
}

/// The row of one version, by the checker's own book.
fn row_at<R: Row>(rows: Option<&Vec<R>>, version: Version) -> R {
    let place = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
    let row = place.and_then(|place| rows?.get(place)).cloned();
    row.expect("I20: a reader is shown a version that never was")
}

/// Whether the account was opened after `time`.
pub fn is_before(ledger: &Ledger, id: AggregateId, time: Timestamp) -> bool {
    ledger.account_rows.get(&id).and_then(|rows| rows.first()).is_none_or(|row| time < row.created_at)
}

/// Who pays sees a transaction, and whose account the money goes to.
pub fn may_see_transaction(ledger: &Ledger, id: AggregateId, user: &str) -> bool {
    ledger.order(id).is_some_and(|order| {
        let owns =
            matches!(ledger.account(order.destination), Account::Opened(account) if account.owner.as_str() == user);
        order.by.as_str() == user || owns
    })
}

/// The account as it is answered is the account at one version: the one that was asked for, or one that is new enough.
pub fn check_account(ledger: &Ledger, id: AggregateId, (known, least): (Version, Version), as_of: AsOf, body: &Value) {
    let version = version_of(body);
    let rows = ledger.account_rows.get(&id);
    assert_eq!(
        *body,
        json(AccountView::from(row_at(rows, version))),
        "I20: a reader is shown an account that never was"
    );
    match as_of {
        AsOf::Now => assert!(version >= least, "I20: version {version} of {id} for a reader who knows of {least}"),
        AsOf::Version(asked) => assert_eq!(version, asked, "I20: another version of {id} than asked for"),
        AsOf::Time(time) => {
            let is_early = |version: Version| row_at(rows, version).updated_at <= time;
            let is_newest = (version + 1..=known).all(|later| !is_early(later));
            assert!(is_early(version) && is_newest, "I20: version {version} of {id} is not the one of {time}");
        }
    }
}

/// The transaction as it is answered is the transaction at one version, which is told.
pub fn check_transaction(ledger: &Ledger, id: AggregateId, reader: &Reader, body: &Value) -> Version {
    let version = version_of(body);
    let row = row_at(ledger.transaction_rows.get(&id), version);
    let is_right = is_transaction(ledger, &row, reader, body);
    assert!(is_right, "I20: a reader is shown a transaction that never was: {body}");
    version
}

/// Whether this is what a reader may see of a transaction: less of it where the accounts table does not have their account yet.
fn is_transaction(ledger: &Ledger, row: &TransactionRow, reader: &Reader, shown: &Value) -> bool {
    let order = &row.transaction.order;
    let source = reader.may_see(&order.by);
    let owns = matches!(ledger.account(order.destination), Account::Opened(account) if reader.may_see(&account.owner));
    let view = |destination| json(TransactionView::of(row.clone(), VisibleSides { source, destination }));
    [false, owns].into_iter().any(|destination| *shown == view(destination))
}

/// A page of a statement has the entries before the version `before`, without a gap and each once; the first page every entry up
/// to `at_least`; the last page the oldest.
pub fn check_statement_page(
    ledger: &Ledger,
    id: AggregateId,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    (before, at_least): (Option<Version>, Version),
    items: &[Value],
    is_last: bool,
) {
    let is_wanted = |entry: &&StatementEntry| {
        entry.amount.is_some()
            && from.is_none_or(|from| entry.occurred_at >= from)
            && to.is_none_or(|to| entry.occurred_at < to)
            && before.is_none_or(|before| entry.version < before)
    };
    let all = ledger.statement_rows.get(&id).into_iter().flatten();
    let mut expected: Vec<&StatementEntry> = all.filter(is_wanted).collect();
    expected.reverse();
    let first = match items.first().map(version_of) {
        Some(version) => expected.iter().position(|entry| entry.version == version),
        None if is_last => Some(expected.len()),
        None => return,
    };
    let first = first.expect("I20: a statement has an entry that is not there, or twice");
    let is_new = |entry: &&StatementEntry| before.is_none() && entry.version > at_least;
    assert!(expected[..first].iter().all(is_new), "I20: a statement leaves out what its reader knows of");
    let expected: Vec<Value> = expected[first..].iter().map(|one| entry((*one).clone())).collect();
    assert!(expected.starts_with(items), "I20: a statement has a gap, or an entry twice");
    assert!(!is_last || items.len() == expected.len(), "I20: pages of a statement are not the whole");
}

/// A page of an account's events has those from version `from` on, without a gap; the version to go on at.
pub fn check_events_page(ledger: &Ledger, id: AggregateId, from: Version, items: &[Value]) -> Version {
    let mut next = from;
    for item in items {
        let recorded = ledger.event(id, next).map(|event| event.event_id.to_string());
        let shown = item["event_id"].as_str();
        assert_eq!(shown, recorded.as_deref(), "I20: events of an account have a gap, or one twice");
        next += 1;
    }
    next
}

/// A list by an index.
#[derive(Debug, Clone, Copy)]
pub enum List {
    /// A user's accounts, oldest first.
    Accounts,
    /// The transactions of an account, newest first.
    TransactionsOf(AggregateId),
}

impl List {
    /// What every reader of the list is shown who begins now: what the index has had for some time.
    pub fn certain(self, services: &Services, user: &str, at_rest: bool) -> Vec<AggregateId> {
        let lag = if at_rest { 0 } else { INDEX_LAG_POINTS };
        let cloud = services.cloud();
        match self {
            Self::Accounts => certain(&cloud.accounts, &[("owner", user)], lag),
            Self::TransactionsOf(id) => {
                let id = id.to_string();
                certain(&cloud.transactions, &[("source", &id), ("destination", &id)], lag)
            }
        }
    }

    /// Every item of a page is its aggregate at some version, in the list's order, and none stands twice.
    pub fn check_page(self, ledger: &Ledger, reader: &Reader, items: &[Value], seen: &mut Vec<(String, AggregateId)>) {
        for item in items {
            let id =
                item["id"].as_str().and_then(|id| id.parse().ok()).map(AggregateId).expect("I20: an item has an id");
            let version = version_of(item);
            let (is_right, is_newest_first) = match self {
                Self::Accounts => {
                    let row = row_at(ledger.account_rows.get(&id), version);
                    (*item == json(AccountView::from(row)), false)
                }
                Self::TransactionsOf(account) => {
                    let row = row_at(ledger.transaction_rows.get(&id), version);
                    let order = &row.transaction.order;
                    assert!([order.source, order.destination].contains(&account), "I20: another account's transaction");
                    (is_transaction(ledger, &row, reader, item), true)
                }
            };
            assert!(is_right, "I20: a list shows what never was: {item}");
            let time = item["created_at"].as_str().unwrap_or_default();
            if let Some((last, _)) = seen.last() {
                let is_ordered = if is_newest_first { time <= last.as_str() } else { time >= last.as_str() };
                assert!(is_ordered, "I20: a list is out of order");
            }
            assert!(!seen.iter().any(|(_, seen)| *seen == id), "I20: a list shows {id} twice");
            seen.push((time.to_owned(), id));
        }
    }
}

fn certain<R: Indexed>(table: &Table<R>, of: &[(&str, &str)], lag: u64) -> Vec<AggregateId> {
    let is_of = |row: &R| of.iter().any(|(by, value)| row.of(by) == *value);
    let ids: Vec<AggregateId> = table.rows().iter().filter(|(_, row)| is_of(row)).map(|(id, _)| *id).collect();
    ids.into_iter().filter(|id| table.has_had(*id, lag)).collect()
}

/// The totals are the sum of a beginning of each account; at rest, of all.
pub fn check_totals(ledger: &Ledger, body: &Value, at_rest: bool) {
    let day = body["day"].as_str().expect("I20: totals have a day");
    let minor = |text: &Value| text.as_str().and_then(|text| text.replace('.', "").parse::<i64>().ok());
    let items = body["items"].as_array().expect("I20: totals have items");
    assert!(items.len() <= 1, "I20: a currency is in the totals twice");
    let Some(item) = items.first() else {
        assert!(!at_rest || ledger.totals_rows.is_empty(), "I20: the totals are missing");
        return;
    };
    let open = item["accounts_open"].as_i64().expect("a number");
    let held = minor(&item["money_held"]).expect("money");
    let moved = minor(&item["money_moved_today"]).expect("money");
    let now = ledger.totals_rows.values().map(|rows| sums(rows, |row| (row.opened, row.held), at_rest));
    assert!(
        is_reached(&now.collect::<Vec<_>>(), (open, held)),
        "I20: {open} accounts with {held} are the sum of no beginnings"
    );
    let of_day = |row: &TotalsRow| (0, if row.occurred_at.day() == day { row.moved } else { 0 });
    let today = ledger.totals_rows.values().map(|rows| sums(rows, of_day, at_rest));
    assert!(is_reached(&today.collect::<Vec<_>>(), (0, moved)), "I20: {moved} is not what was moved in any beginnings");
}

type Sum = (i64, i64);

/// What the beginnings of an account's rows add up to; at rest, all of them.
fn sums(rows: &[TotalsRow], of: impl Fn(&TotalsRow) -> Sum, at_rest: bool) -> BTreeSet<Sum> {
    let mut sum = (0, 0);
    let mut sums = BTreeSet::from([sum]);
    for row in rows {
        let (one, other) = of(row);
        sum = (sum.0 + one, sum.1 + other);
        sums.insert(sum);
    }
    if at_rest { BTreeSet::from([sum]) } else { sums }
}

/// Whether one sum of each account makes `target`; of half of the accounts on either side.
fn is_reached(accounts: &[BTreeSet<Sum>], target: Sum) -> bool {
    let all = |accounts: &[BTreeSet<Sum>]| {
        accounts.iter().fold(BTreeSet::from([(0, 0)]), |reached: BTreeSet<Sum>, sums| {
            reached.iter().flat_map(|a| sums.iter().map(move |b| (a.0 + b.0, a.1 + b.1))).collect()
        })
    };
    let (some, others) = accounts.split_at(accounts.len() / 2);
    let others = all(others);
    all(some).iter().any(|sum| others.contains(&(target.0 - sum.0, target.1 - sum.1)))
}
