//! What each read model makes of each event.

use aggregate::{Addition, AggregateId, Envelope, Row, Tally, Timestamp};
use domain::{
    AccountEvent, Description, Order, Refusal, Side, StatementEntry, TotalsRow, TransactionEvent, TransactionRow,
};
use eventing::{Commit, RecordedEvent};
use tests::{StillHost, command, deposited, eur, leg, opened, owner, withdrawn};
use uuid::Uuid;

const BEGIN: i64 = 1_763_891_400_000_000;

/// The events as they are recorded, a second apart.
fn recorded<E: aggregate::Event>(events: &[E]) -> Vec<Envelope<E>> {
    let id = AggregateId(Uuid::from_u128(1));
    let commit = |(event, version): (&E, u64)| Commit {
        aggregate_id: id,
        aggregate_type: E::AGGREGATE_TYPE.to_owned(),
        version,
        created_at: Timestamp::from_micros(BEGIN + i64::try_from(version).unwrap() * 1_000_000),
        metadata: command(id, (), None).metadata,
        command_digest: None,
        events: vec![RecordedEvent::new(event, &StillHost::default()).unwrap()],
        state: None,
    };
    events.iter().zip(1..).map(commit).flat_map(|commit| commit.decode().unwrap()).collect()
}

fn rows<R: Row>(events: &[R::Event]) -> Vec<R> {
    recorded(events).iter().fold(Vec::new(), |mut rows: Vec<R>, event| {
        let next = R::next(rows.last(), event).unwrap();
        assert_eq!(next.version(), event.version);
        rows.push(next);
        rows
    })
}

fn order() -> Order {
    let [source, destination] = [7, 8].map(|number| AggregateId(Uuid::from_u128(number)));
    Order { by: owner(), source, destination, amount: eur(5), description: None }
}

#[test]
fn a_transaction_is_under_way_until_it_ends() {
    let begun = TransactionEvent::TransactionInitiated(order());
    let (side, reason) = (Side::Source, Refusal::InsufficientFunds);
    for end in [TransactionEvent::TransactionCompleted {}, TransactionEvent::TransactionFailed { side, reason }] {
        let rows: Vec<TransactionRow> = rows(&[begun.clone(), end]);
        let id = rows[0].transaction_id;
        assert_eq!([rows[0].under_way, rows[1].under_way], [Some(id), None]);
        assert_eq!(
            [rows[1].created_at, rows[1].updated_at],
            [1, 2].map(|s| Timestamp::from_micros(BEGIN + s * 1_000_000))
        );
    }
    let end = &recorded(&[TransactionEvent::TransactionCompleted {}])[0];
    assert_eq!(TransactionRow::next(None, end), None, "nothing ends that has not begun");
}

#[test]
fn the_two_sides_of_an_order_name_each_other() {
    let id = AggregateId(Uuid::from_u128(1));
    let (debit, credit) = (order().debit(id), order().credit(id));
    assert_eq!((debit.counterparty, credit.counterparty), (order().destination, order().source));
    assert_eq!((debit.transaction_id, debit.amount), (credit.transaction_id, credit.amount));
}

#[test]
fn a_statement_entry_says_what_moved_for_which_transaction_and_why() {
    let why = Description::try_from("Rent".to_owned()).unwrap();
    assert_eq!((why.as_str(), format!("{why:?}")), ("Rent", "Description(***)".to_owned()));
    let deposit = AccountEvent::MoneyDeposited { amount: eur(9), description: Some(why.clone()) };
    let debit = domain::Leg { description: Some(why.clone()), ..leg(3, 2) };
    let transaction_id = debit.transaction_id;
    let events = [
        opened(),
        deposit,
        AccountEvent::AccountDebited(debit.clone()),
        AccountEvent::AccountRefunded { transaction_id, amount: eur(2) },
        AccountEvent::AccountCredited(debit),
        AccountEvent::DebitSettled { transaction_id },
        AccountEvent::AccountFrozen {},
    ];
    let rows: Vec<StatementEntry> = rows(&events);
    let shown: Vec<_> =
        rows.iter().map(|row| (row.amount, row.balance.minor(), row.description.clone(), row.transaction_id)).collect();
    let (why, id) = (Some(why), Some(transaction_id));
    assert_eq!(
        shown,
        [
            (None, 0, None, None),
            (Some(9), 9, why.clone(), None),
            (Some(-2), 7, why.clone(), id),
            (Some(2), 9, None, id),
            (Some(2), 11, why, id),
            (None, 11, None, id),
            (None, 11, None, None),
        ]
    );
}

#[test]
fn totals_count_accounts_money_held_and_money_moved() {
    let transaction_id = leg(3, 2).transaction_id;
    let events = [
        opened(),
        deposited(10),
        withdrawn(3),
        AccountEvent::AccountDebited(leg(3, 2)),
        AccountEvent::AccountRefunded { transaction_id, amount: eur(2) },
        AccountEvent::AccountCredited(leg(4, 1)),
        AccountEvent::AccountFrozen {},
        AccountEvent::AccountClosed {},
    ];
    let rows: Vec<TotalsRow> = rows(&events);
    let shown: Vec<_> = rows.iter().map(|row| (row.opened, row.held, row.moved)).collect();
    let expected = [(1, 0, 0), (0, 10, 10), (0, -3, 3), (0, -2, 0), (0, 2, 0), (0, 1, 1), (0, 0, 0), (-1, 0, 0)];
    assert_eq!(shown, expected);
    let day = Timestamp::from_micros(BEGIN).day();
    let addition =
        |group: &str, counter, amount| Addition { group: group.to_owned(), of: "EUR".to_owned(), counter, amount };
    assert_eq!(rows[0].additions(), [addition("now", "accounts_open", 1)]);
    assert_eq!(rows[2].additions(), [addition("now", "money_held", -3), addition(&day, "money_moved", 3)]);
    assert_eq!(rows[6].additions(), []);
    assert_eq!(
        TotalsRow::next(None, &recorded(&[deposited(1)])[0]),
        None,
        "nothing counts before an account is opened"
    );
}

#[test]
fn a_currency_is_written_as_its_code() {
    assert_eq!(format!("{:?}", eur(1).currency()), "EUR");
    let text = |code: &str, minor: i64| domain::Currency::from_code(code).unwrap().format(minor);
    assert_eq!([text("EUR", 0), text("EUR", -1), text("EUR", 100)], ["0.00", "-0.01", "1.00"]);
    assert_eq!([text("JPY", 0), text("KWD", 1_001)], ["0", "1.001"]);
}
