//! The checker: follows every event as it is recorded and stops the run at the first one that breaks an invariant. It knows
//! the bank's rules from nobody but itself.
#![allow(clippy::missing_panics_doc, reason = "it panics where an invariant does not hold: that is what it is for")]

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{Aggregate, AggregateId, Envelope, Row, Version};
use domain::{
    Account, AccountEvent, AccountRow, Amount, Leg, Order, Outcome, StatementEntry, TotalsRow, Transaction,
    TransactionEvent, TransactionRow,
};
use eventing::{Commit, Snapshot};
use uuid::Uuid;

/// What an account holds, by the checker's own book.
#[derive(Debug, Default)]
struct Book {
    balance: i128,
    limit: i128,
    closed: bool,
}

/// What became of a transaction's money.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Moves {
    debited: i128,
    credited: i128,
    refunded: i128,
    ended: bool,
}

/// Everything recorded, checked.
#[derive(Debug, Default)]
pub struct Ledger {
    versions: BTreeMap<AggregateId, Version>,
    books: BTreeMap<AggregateId, Book>,
    moves: BTreeMap<AggregateId, Moves>,
    accounts: BTreeMap<AggregateId, Account>,
    transactions: BTreeMap<AggregateId, Transaction>,
    effects: BTreeSet<(AggregateId, String, String)>,
    commands: BTreeSet<(AggregateId, String, Option<Uuid>)>,
    keys: BTreeSet<(AggregateId, Uuid)>,
    /// Where each version is in `events`.
    places: BTreeMap<(AggregateId, Version), usize>,
    paid_in: i128,
    /// On all accounts, and debited from one and not yet credited to another.
    held: i128,
    under_way: i128,
    /// What the rows of the totals add up to.
    totalled: i128,
    /// All events, in the order in which they were recorded.
    pub events: Vec<Envelope>,
    /// What each read model must show at each version.
    pub account_rows: BTreeMap<AggregateId, Vec<AccountRow>>,
    /// Likewise.
    pub statement_rows: BTreeMap<AggregateId, Vec<StatementEntry>>,
    /// Likewise.
    pub totals_rows: BTreeMap<AggregateId, Vec<TotalsRow>>,
    /// Likewise.
    pub transaction_rows: BTreeMap<AggregateId, Vec<TransactionRow>>,
}

/// Minor units, wide enough for every sum.
fn minor(amount: Amount) -> i128 {
    amount.minor().into()
}

fn extend<R: Row>(rows: &mut BTreeMap<AggregateId, Vec<R>>, event: &Envelope<R::Event>) {
    let rows = rows.entry(event.aggregate_id).or_default();
    let next = R::next(rows.last(), event).expect("I13: every event is part of a row");
    rows.push(next);
}

impl Ledger {
    /// Takes in a commit that is recorded now.
    pub fn record(&mut self, commit: &Commit) {
        let id = commit.aggregate_id;
        let version = self.versions.entry(id).or_default();
        assert!(commit.version > *version, "I1: two commits at version {} of {id}", commit.version);
        assert!(commit.version == *version + 1, "I2: a gap before version {} of {id}", commit.version);
        *version = commit.last_version();
        let command =
            (id, commit.metadata.correlation_id.as_str().to_owned(), commit.metadata.command_id.map(|id| id.0));
        assert!(self.commands.insert(command), "I3, I7: one command of {id} in two commits");
        if let Some(command_id) = commit.metadata.command_id {
            assert!(self.keys.insert((id, command_id.0)), "I7: one command id of {id} in two commits");
        }
        // Whoever repeats a step says so by its correlation: one step of one conversation has one effect on one aggregate.
        for event in commit.envelopes() {
            let step = (id, event.metadata.correlation_id.as_str().to_owned(), event.event_type.clone());
            assert!(self.effects.insert(step), "I7: {} of {id} happened twice", event.event_type);
            if event.aggregate_type == Account::TYPE {
                self.follow_account(&event);
            } else {
                self.follow_transaction(&event);
            }
            self.places.insert((id, event.version), self.events.len());
            self.events.push(event);
        }
        self.check_state(commit);
        self.check_money();
    }

    fn follow_account(&mut self, event: &Envelope) {
        let id = event.aggregate_id;
        let decoded = event.clone().decode::<AccountEvent>().expect("I17: what was recorded can be read");
        extend(&mut self.account_rows, &decoded);
        extend(&mut self.statement_rows, &decoded);
        extend(&mut self.totals_rows, &decoded);
        let decoded = decoded.data;
        self.accounts.entry(id).or_default().apply(&decoded);
        let book = self.books.entry(id).or_default();
        // Only for itself does anybody take money out (I21).
        if let Account::Opened(account) = &self.accounts[&id]
            && matches!(decoded, AccountEvent::MoneyWithdrawn { .. } | AccountEvent::AccountClosed {})
        {
            assert_eq!(event.metadata.user_id, account.owner, "I21: {} by a stranger", event.event_type);
        }
        let is_refund = matches!(decoded, AccountEvent::AccountRefunded { .. });
        let settles = matches!(decoded, AccountEvent::DebitSettled { .. });
        let refuses = decoded.refusal().is_some();
        assert!(!book.closed || is_refund || settles || refuses, "I10: {} on a closed account", event.event_type);
        let before = book.balance;
        match &decoded {
            AccountEvent::MoneyDeposited { amount, .. } => {
                book.balance += minor(*amount);
                self.paid_in += minor(*amount);
            }
            AccountEvent::MoneyWithdrawn { amount, .. } => {
                book.balance -= minor(*amount);
                self.paid_in -= minor(*amount);
            }
            AccountEvent::AccountDebited(Leg { transaction_id, amount, .. }) => {
                book.balance -= minor(*amount);
                let moves = self.moves.entry(*transaction_id).or_default();
                assert_eq!(*moves, Moves::default(), "I11: {transaction_id} debits once, and first");
                moves.debited = minor(*amount);
                self.under_way += minor(*amount);
            }
            AccountEvent::AccountCredited(Leg { transaction_id, amount, .. }) => {
                book.balance += minor(*amount);
                let moves = self.moves.entry(*transaction_id).or_default();
                let before = Moves { debited: minor(*amount), ..Moves::default() };
                assert_eq!(*moves, before, "I11: {transaction_id} credits what it debited, once, and does not refund");
                moves.credited = minor(*amount);
                self.under_way -= minor(*amount);
            }
            AccountEvent::AccountRefunded { transaction_id, amount } => {
                book.balance += minor(*amount);
                let moves = self.moves.entry(*transaction_id).or_default();
                let before = Moves { debited: minor(*amount), ..Moves::default() };
                assert_eq!(*moves, before, "I11: {transaction_id} refunds what it debited, once, and does not credit");
                moves.refunded = minor(*amount);
                self.under_way -= minor(*amount);
            }
            AccountEvent::AccountClosed {} => {
                assert_eq!(book.balance, 0, "I10: closed with money");
                book.closed = true;
            }
            AccountEvent::OverdraftLimitSet { limit_minor } => book.limit = i128::from(*limit_minor),
            AccountEvent::AccountCreated { .. }
            | AccountEvent::AccountFrozen {}
            | AccountEvent::AccountUnfrozen {}
            | AccountEvent::DepositRefused { .. }
            | AccountEvent::DebitRefused { .. }
            | AccountEvent::CreditRefused { .. }
            | AccountEvent::DebitSettled { .. } => {}
        }
        let balance = book.balance;
        self.held += balance - before;
        assert!(balance >= -book.limit, "I10: {id} is below its limit");
        self.check_balance(id, balance);
    }

    /// The bank's own folds come to the balance that this book has.
    fn check_balance(&mut self, id: AggregateId, balance: i128) {
        let account = match &self.accounts[&id] {
            Account::Opened(account) => Some(account.balance.minor()),
            Account::NotOpened | Account::Damaged => None,
        };
        let row = self.account_rows[&id].last().map(|row| row.account.balance.minor());
        let entry = self.statement_rows[&id].last().map(|entry| entry.balance.minor());
        assert_eq!([account, row, entry], [Some(balance); 3], "I9, I13: the balance of {id} is not what moved");
        self.totalled += self.totals_rows[&id].last().map_or(0, |row| i128::from(row.held));
        assert_eq!(self.totalled, self.held, "I9, I13: the totals are not what moved");
    }

    fn follow_transaction(&mut self, event: &Envelope) {
        let id = event.aggregate_id;
        let decoded = event.clone().decode::<TransactionEvent>().expect("I17: what was recorded can be read");
        extend(&mut self.transaction_rows, &decoded);
        let decoded = decoded.data;
        self.transactions.entry(id).or_default().apply(&decoded);
        let moves = self.moves.entry(id).or_default();
        assert!(!moves.ended, "I12: {id} ended twice");
        match decoded {
            TransactionEvent::TransactionInitiated(order) => {
                if let Some(Account::Opened(source)) = self.accounts.get(&order.source) {
                    assert_eq!(order.by, source.owner, "I21: {id} is paid by a stranger");
                }
            }
            TransactionEvent::TransactionCompleted {} => {
                assert!(moves.debited > 0 && moves.credited == moves.debited, "I11: {id} completed without its money");
                moves.ended = true;
            }
            TransactionEvent::TransactionFailed { .. } => {
                assert!(moves.credited == 0 && moves.refunded == moves.debited, "I11: {id} failed and kept money");
                moves.ended = true;
            }
        }
    }

    /// A state that rides along is the fold of the events, to the last field.
    fn check_state(&self, commit: &Commit) {
        let Some(state) = &commit.state else { return };
        let fold = match (self.accounts.get(&commit.aggregate_id), self.transactions.get(&commit.aggregate_id)) {
            (Some(account), _) => Snapshot::of(account),
            (None, Some(transaction)) => Snapshot::of(transaction),
            (None, None) => return,
        };
        // Older code writes the same under a tag of its own.
        assert_eq!(
            state.data,
            fold.expect("a state serialises").data,
            "I18: a state that is not the fold of its events"
        );
    }

    /// What was paid in is on the accounts or on its way between them.
    fn check_money(&self) {
        assert_eq!(self.held + self.under_way, self.paid_in, "I9: money was lost or invented");
    }

    /// The version that an aggregate has.
    #[must_use]
    pub fn version(&self, id: AggregateId) -> Version {
        self.versions.get(&id).copied().unwrap_or(0)
    }

    /// The event of a version.
    #[must_use]
    pub fn event(&self, id: AggregateId, version: Version) -> Option<&Envelope> {
        self.places.get(&(id, version)).map(|place| &self.events[*place])
    }

    /// What was asked for when a transaction began.
    #[must_use]
    pub fn order(&self, transaction_id: AggregateId) -> Option<&Order> {
        match self.transactions.get(&transaction_id)? {
            Transaction::Initiated(known) => Some(&known.order),
            Transaction::NotInitiated => None,
        }
    }

    /// What a transaction has come to.
    #[must_use]
    pub fn outcome(&self, transaction_id: AggregateId) -> Option<Outcome> {
        match self.transactions.get(&transaction_id)? {
            Transaction::Initiated(known) => Some(known.outcome),
            Transaction::NotInitiated => None,
        }
    }

    /// Whether this is what was recorded.
    #[must_use]
    pub fn has(&self, event: &Envelope) -> bool {
        self.event(event.aggregate_id, event.version) == Some(event)
    }

    /// An account, as the bank's own rules fold it.
    #[must_use]
    pub fn account(&self, id: AggregateId) -> Account {
        self.accounts.get(&id).cloned().unwrap_or_default()
    }

    /// Minor units on an account.
    #[must_use]
    pub fn balance(&self, id: AggregateId) -> i128 {
        self.books.get(&id).map_or(0, |book| book.balance)
    }

    /// Minor units that were deposited and not withdrawn.
    #[must_use]
    pub fn paid_in(&self) -> i128 {
        self.paid_in
    }

    /// Transactions that have begun and not ended.
    #[must_use]
    pub fn open(&self) -> Vec<AggregateId> {
        let begun = self.transactions.keys();
        begun.filter(|id| !self.moves.get(id).is_some_and(|moves| moves.ended)).copied().collect()
    }
}
