//! A balance keeps every digit on a DynamoDB engine: in a snapshot, in rows, and in sums of totals.

use aggregate::{AggregateId, Version};
use aws::{Counters, CurrentRows, DynamoEventStore, RowHistory};
use domain::{Account, AccountCommand, AccountEvent, AccountRow, StatementEntry, TotalsRow};
use eventing::{
    Commit, EventStore, ReadError, ReadTable, RecordedEvent, Snapshot, System, execute, fold, load, project, sums,
};
use tests::{Engine, StillHost, command, commit, eur, opened, owner, with_balance};
use uuid::Uuid;

/// Within 2^104, as every balance is; no float and no 64-bit number holds it.
const LARGE: &str = "20282409603651670423947251286001";

#[tokio::test]
async fn a_snapshot_with_the_largest_balance_is_loaded_and_decided_on() {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let id = AggregateId(Uuid::from_u128(1));
    let state = Some(Snapshot::of(&with_balance(LARGE)).unwrap());
    store.append(&Commit { state, ..commit(id, 1) }).await.unwrap();
    let withdraw = AccountCommand::WithdrawMoney { by: owner(), amount: eur(1), description: None };
    execute::<Account>(&store, &System, &command(id, withdraw, None)).await.unwrap();
    let Account::Opened(account) = load(&store, id, Version::MAX).await.unwrap().aggregate else { panic!() };
    assert_eq!(account.balance.minor().to_string(), "20282409603651670423947251286000");
}

#[tokio::test]
async fn rows_with_the_largest_balance_come_back_as_they_were() {
    let engine = Engine::start().await;
    let (client, id) = (|| engine.client.clone(), AggregateId(Uuid::from_u128(1)));
    let (accounts, statement) =
        (CurrentRows::new(client(), "accounts", "account_id"), RowHistory::new(client(), "statement", "account_id"));
    for minor in [LARGE.to_owned(), format!("-{LARGE}"), (i128::from(i64::MAX) + 1).to_string()] {
        let Account::Opened(account) = with_balance(&minor) else { panic!() };
        let mut row = fold::<AccountRow>(None, &[commit(id, 1)]).unwrap().remove(0);
        row.account = account;
        row.account_id = AggregateId(Uuid::now_v7());
        accounts.save(0, &[row.clone()]).await.unwrap();
        assert_eq!(accounts.latest(row.account_id).await.unwrap(), Some(row.clone()));
        let mut entry = fold::<StatementEntry>(None, &[commit(id, 1)]).unwrap().remove(0);
        (entry.account_id, entry.balance) = (row.account_id, row.account.balance);
        statement.save(0, &[entry.clone()]).await.unwrap();
        assert_eq!(statement.latest(entry.account_id).await.unwrap(), Some(entry));
    }
}

#[tokio::test]
async fn sums_of_the_totals_have_room_for_more_than_a_64_bit_number() {
    let engine = Engine::start().await;
    let counters = Counters::new(engine.client.clone(), "totals");
    let row = |held, version| {
        let mut row = fold::<TotalsRow>(None, &[commit(AggregateId(Uuid::from_u128(1)), 1)]).unwrap().remove(0);
        (row.account_id, row.version, row.opened, row.held) = (AggregateId(Uuid::now_v7()), version, 0, held);
        row
    };
    // Each row of an account of its own, and more than one event moves: the sum is what matters.
    for _ in 0..3 {
        counters.save(0, &[row(i64::MAX, 1)]).await.unwrap();
    }
    let (mut now, _) = sums(&counters, (TotalsRow::NOW, "a day")).await.unwrap();
    assert_eq!(now.remove("EUR").unwrap()[TotalsRow::MONEY_HELD], 3 * i128::from(i64::MAX));
}

#[tokio::test]
async fn a_damaged_history_is_an_error_for_readers_commands_and_read_models_and_no_plausible_balance() {
    let engine = Engine::start().await;
    let store = DynamoEventStore::new(engine.client.clone(), "events");
    let accounts = CurrentRows::new(engine.client.clone(), "accounts", "account_id");
    let id = AggregateId(Uuid::from_u128(1));
    for (event, version) in [(opened(), 1), (opened(), 2)] {
        let events = vec![RecordedEvent::new(&event, &StillHost::default()).unwrap()];
        store.append(&Commit { events, ..commit(id, version) }).await.unwrap();
    }
    assert!(load::<Account>(&store, id, 1).await.is_ok());
    assert!(matches!(load::<Account>(&store, id, 2).await, Err(ReadError::Corrupt(_))));
    let deposit = AccountCommand::DepositMoney { by: owner(), amount: eur(1), description: None };
    execute::<Account>(&store, &System, &command(id, deposit, None)).await.unwrap_err();
    let commits = store.read(id, 1, 10).await.unwrap();
    for (event, is_good) in commits.iter().flat_map(Commit::envelopes).zip([true, false]) {
        assert_eq!(project::<AccountRow>(&store, &accounts, &System, &event).await.is_ok(), is_good);
    }
    let row: AccountRow = accounts.latest(id).await.unwrap().unwrap();
    assert_eq!(row.version, 1);
    assert!(fold::<AccountRow>(None, &commits).is_err());
    let event: AccountEvent = commits[1].decode().unwrap().remove(0).data;
    assert_eq!(event, opened());
}
