use aggregate::Aggregate;
use domain::{Account, AccountCommand, AccountEvent, Amount, Currency};
use proptest::prelude::*;
use tests::{deposited, opened, owner, withdrawn};

fn amount(minor: u64) -> Amount {
    Amount::from_minor(minor, Currency::from_code("EUR").unwrap()).unwrap()
}

fn command() -> impl Strategy<Value = AccountCommand> {
    let deposit = |minor| AccountCommand::DepositMoney { by: owner(), amount: amount(minor), description: None };
    let withdraw = |minor| AccountCommand::WithdrawMoney { by: owner(), amount: amount(minor), description: None };
    prop_oneof![(1_u64..1_000).prop_map(deposit), (1_u64..1_000).prop_map(withdraw)]
}

fn event() -> impl Strategy<Value = AccountEvent> {
    prop_oneof![
        Just(opened()),
        (1..=Amount::MINOR_UNITS_MAX).prop_map(deposited),
        (1..=Amount::MINOR_UNITS_MAX).prop_map(withdrawn),
    ]
}

proptest! {
    #[test]
    fn what_is_in_is_what_came_in_less_what_went_out_and_never_below_zero(
        commands in prop::collection::vec(command(), 0..50),
    ) {
        let mut account = Account::default();
        account.apply(&opened());
        let mut expected = 0;
        for command in &commands {
            for event in account.handle(command).unwrap_or_default() {
                account.apply(&event);
                expected += event.movement().unwrap();
            }
            let Account::Opened(open) = &account else { panic!("closed by itself") };
            prop_assert_eq!(open.balance, expected);
            prop_assert!(open.balance >= 0);
        }
    }

    #[test]
    fn no_history_however_damaged_makes_replaying_panic(events in prop::collection::vec(event(), 0..50)) {
        let mut account = Account::default();
        for event in &events {
            account.apply(event);
        }
    }
}
