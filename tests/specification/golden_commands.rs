//! Every command is written down as it always was, byte for byte: what is written tells a repeated command from another one, so
//! a deployment that wrote it otherwise would refuse what is repeated across it, and stop every transaction under way.

use aggregate::AggregateId;
use domain::{Account, AccountCommand, Description, Leg, Order, Refusal, Side, TransactionCommand};
use serde_json::to_string;
use tests::{eur, owner};
use uuid::Uuid;

const ID: AggregateId = AggregateId(Uuid::from_u128(0xaa));
const OTHER: AggregateId = AggregateId(Uuid::from_u128(0xbb));
const ID_TEXT: &str = r#""00000000-0000-0000-0000-0000000000aa""#;
const OTHER_TEXT: &str = r#""00000000-0000-0000-0000-0000000000bb""#;

fn rent() -> Description {
    Description::try_from("Rent".to_owned()).unwrap()
}

#[test]
fn commands_on_accounts() {
    let (by, amount) = (owner(), eur(12));
    let leg = |description| Leg { transaction_id: ID, counterparty: OTHER, amount, description };
    let money = r#"{"minor":12,"currency":"EUR"}"#;
    let legs = format!(r#""transaction_id":{ID_TEXT},"counterparty":{OTHER_TEXT},"amount":{money}"#);
    let golden = [
        (
            AccountCommand::CreateAccount { owner: by.clone(), currency: amount.currency() },
            r#"{"CreateAccount":{"owner":"alice","currency":"EUR"}}"#.to_owned(),
        ),
        (
            AccountCommand::DepositMoney { by: by.clone(), amount, description: None },
            format!(r#"{{"DepositMoney":{{"by":"alice","amount":{money},"description":null}}}}"#),
        ),
        (
            AccountCommand::DepositMoney { by: by.clone(), amount, description: Some(rent()) },
            format!(r#"{{"DepositMoney":{{"by":"alice","amount":{money},"description":"Rent"}}}}"#),
        ),
        (
            AccountCommand::ReceiveDeposit { owner: by.clone(), amount, description: None },
            format!(r#"{{"ReceiveDeposit":{{"by":"alice","amount":{money},"description":null}}}}"#),
        ),
        (
            AccountCommand::WithdrawMoney { by: by.clone(), amount, description: None },
            format!(r#"{{"WithdrawMoney":{{"by":"alice","amount":{money},"description":null}}}}"#),
        ),
        (AccountCommand::CloseAccount { by }, r#"{"CloseAccount":{"by":"alice"}}"#.to_owned()),
        (AccountCommand::FreezeAccount, r#""FreezeAccount""#.to_owned()),
        (AccountCommand::UnfreezeAccount, r#""UnfreezeAccount""#.to_owned()),
        (AccountCommand::SetOverdraftLimit { limit: None }, r#"{"SetOverdraftLimit":{"limit":null}}"#.to_owned()),
        (
            AccountCommand::SetOverdraftLimit { limit: Some(amount) },
            format!(r#"{{"SetOverdraftLimit":{{"limit":{money}}}}}"#),
        ),
        (AccountCommand::DebitAccount(leg(None)), format!(r#"{{"DebitAccount":{{{legs}}}}}"#)),
        (
            AccountCommand::CreditAccount(leg(Some(rent()))),
            format!(r#"{{"CreditAccount":{{{legs},"description":"Rent"}}}}"#),
        ),
        (
            AccountCommand::RefundAccount { transaction_id: ID },
            format!(r#"{{"RefundAccount":{{"transaction_id":{ID_TEXT}}}}}"#),
        ),
        (
            AccountCommand::SettleDebit { transaction_id: ID },
            format!(r#"{{"SettleDebit":{{"transaction_id":{ID_TEXT}}}}}"#),
        ),
    ];
    for (command, written) in golden {
        assert_eq!(to_string(&command).unwrap(), written);
    }
}

#[test]
fn commands_on_transactions() {
    let order = |description| Order { by: owner(), source: ID, destination: OTHER, amount: eur(12), description };
    let begin = |order| {
        let [source, destination] = [Account::NotOpened, Account::NotOpened];
        TransactionCommand::InitiateTransaction { order, source, destination }
    };
    let orders = format!(
        r#""by":"alice","source":{ID_TEXT},"destination":{OTHER_TEXT},"amount":{{"minor":12,"currency":"EUR"}}"#
    );
    let (side, reason) = (Side::Source, Refusal::InsufficientFunds);
    let golden = [
        (begin(order(None)), format!(r#"{{"InitiateTransaction":{{"order":{{{orders}}}}}}}"#)),
        (
            begin(order(Some(rent()))),
            format!(r#"{{"InitiateTransaction":{{"order":{{{orders},"description":"Rent"}}}}}}"#),
        ),
        (TransactionCommand::CompleteTransaction, r#""CompleteTransaction""#.to_owned()),
        (
            TransactionCommand::FailTransaction { side, reason },
            r#"{"FailTransaction":{"side":"source","reason":"insufficient-funds"}}"#.to_owned(),
        ),
    ];
    for (command, written) in golden {
        assert_eq!(to_string(&command).unwrap(), written);
    }
}
