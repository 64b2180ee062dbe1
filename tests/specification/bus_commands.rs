//! What other systems ask for on the bus: done once, answered always, whatever comes twice or fails on the way.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use aggregate::{AggregateId, Envelope, Timestamp};
use bus_commands::{HandleError, handle};
use domain::{Account, AccountCommand, AccountEvent, Transaction, TransactionCommand};
use eventing::{Bus, BusError, Entry, PublishLimits, execute};
use serde_json::{Value, json};
use tests::{EventSchemas, Fault, FaultyStore, StillHost, command, envelopes, eur, opened, owner, repository};
use uuid::Uuid;

/// A bus that remembers what it took, and takes nothing while it is down.
#[derive(Default)]
struct Answers {
    taken: Mutex<Vec<Entry>>,
    down: AtomicBool,
}

impl Bus for Answers {
    const LIMITS: PublishLimits = PublishLimits { entries_max: 10, bytes_max: 1_000_000 };

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<Option<String>>, BusError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(BusError("down".into()));
        }
        self.taken.lock().unwrap().extend(entries.iter().map(|entry| (*entry).clone()));
        Ok(vec![None; entries.len()])
    }
}

/// An account, and a payment system that asks for deposits.
struct Bank {
    store: FaultyStore,
    bus: Answers,
    account: AggregateId,
}

impl Bank {
    async fn open() -> Self {
        let bank =
            Self { store: FaultyStore::default(), bus: Answers::default(), account: AggregateId(Uuid::now_v7()) };
        let AccountEvent::AccountCreated { owner, currency } = opened() else { unreachable!() };
        bank.tell(AccountCommand::CreateAccount { owner, currency }).await;
        bank
    }

    async fn tell(&self, body: AccountCommand) {
        execute::<Account>(&self.store, &StillHost::default(), &command(self.account, body, None)).await.unwrap();
    }

    /// What the payment system puts on the bus, with this `request_id`, and these fields of its detail another.
    fn request(&self, request_id: &str, fields: Value) -> Value {
        let text = fs::read_to_string(repository().join("infra/events/bus-commands.json")).unwrap();
        let mut event: Value = serde_json::from_str(&text).unwrap();
        event["id"] = json!(Uuid::now_v7());
        event["detail"]["request_id"] = json!(request_id);
        event["detail"]["account_id"] = json!(self.account);
        let Value::Object(fields) = fields else { unreachable!() };
        event["detail"].as_object_mut().unwrap().extend(fields);
        event
    }

    async fn take(&self, event: &Value) -> Result<(), HandleError> {
        let event = serde_json::from_value(event.clone()).unwrap();
        handle(&self.store, &self.bus, &StillHost::default(), &event, Timestamp::MAX).await
    }

    /// Takes an event; its answer's type, and its detail, which has the form that is promised.
    async fn answered(&self, event: &Value) -> (String, Value) {
        self.take(event).await.unwrap();
        let entry = self.bus.taken.lock().unwrap().pop().unwrap();
        assert_eq!(entry.source, "daybook.bus-commands");
        let detail: Value = serde_json::from_str(&entry.detail).unwrap();
        if entry.detail_type != "DepositRequestUnreadable" {
            assert_eq!(EventSchemas::of_requests().objection_by(&entry.detail_type, &detail), None);
            let asked = [&event["source"], &event["detail"]["request_id"], &event["id"]];
            assert_eq!([&detail["source"], &detail["request_id"], &detail["event_id"]], asked);
        }
        (entry.detail_type, detail)
    }

    /// The version at which it was accepted.
    async fn accepted(&self, event: &Value) -> u64 {
        let (kind, detail) = self.answered(event).await;
        assert_eq!((kind.as_str(), &detail["account_id"]), ("DepositRequestAccepted", &event["detail"]["account_id"]));
        detail["version"].as_u64().unwrap()
    }

    /// The last part of the type of the problem that it was refused with, and whether that is final.
    async fn refused(&self, event: &Value) -> (String, bool) {
        let (kind, detail) = self.answered(event).await;
        assert_eq!(kind, "DepositRequestRefused");
        let problem = detail["problem"]["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (problem, detail["final"].as_bool().unwrap())
    }

    /// The problem of a refusal that is recorded.
    async fn refused_for_ever(&self, event: &Value) -> String {
        let (problem, is_final) = self.refused(event).await;
        assert!(is_final, "{problem}");
        problem
    }

    /// The problem of a refusal that decides nothing.
    async fn refused_for_now(&self, event: &Value) -> String {
        let (problem, is_final) = self.refused(event).await;
        assert!(!is_final, "{problem}");
        problem
    }

    async fn history(&self) -> Vec<Envelope> {
        envelopes(&self.store, self.account).await
    }

    async fn types(&self) -> Vec<String> {
        self.history().await.into_iter().map(|event| event.event_type).collect()
    }
}

#[tokio::test]
async fn money_comes_once_however_often_the_event_is_delivered_or_put() {
    let bank = Bank::open().await;
    let event = bank.request("r", json!({}));
    assert_eq!(bank.accepted(&event).await, 2);
    // The bus delivers twice; the sender, who got no answer, puts it again, which is another event.
    assert_eq!(bank.accepted(&event).await, 2);
    assert_eq!(bank.accepted(&bank.request("r", json!({}))).await, 2);
    assert_eq!(bank.types().await, ["AccountCreated", "MoneyDeposited"]);
    let deposited = bank.history().await.remove(1);
    assert_eq!(deposited.data["amount"]["minor"], 1234);
    assert_eq!(deposited.metadata.user_id, owner());
    let because = event["id"].as_str().unwrap();
    assert_eq!(
        (deposited.metadata.correlation_id.as_str(), deposited.metadata.causation_id.as_str()),
        (because, because)
    );
    assert_eq!(bank.accepted(&bank.request("another", json!({}))).await, 3);
}

#[tokio::test]
async fn two_deliveries_at_once_are_one_deposit() {
    let bank = Bank::open().await;
    let [one, other] = [(); 2].map(|()| bank.request("r", json!({})));
    let (one, other) = tokio::join!(bank.take(&one), bank.take(&other));
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(bank.types().await, ["AccountCreated", "MoneyDeposited"]);
    assert_eq!(bank.bus.taken.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn another_systems_request_of_that_name_is_another() {
    let bank = Bank::open().await;
    let mut event = bank.request("r", json!({}));
    assert_eq!(bank.accepted(&event).await, 2);
    event["source"] = json!("payroll");
    assert_eq!(bank.accepted(&event).await, 3);
}

#[tokio::test]
async fn a_refusal_is_answered_and_stays_whatever_becomes_possible() {
    let bank = Bank::open().await;
    bank.tell(AccountCommand::FreezeAccount).await;
    let event = bank.request("r", json!({}));
    assert_eq!(bank.refused_for_ever(&event).await, "account-frozen");
    bank.tell(AccountCommand::UnfreezeAccount).await;
    // Who was told that it is refused may have paid the money back by now.
    assert_eq!(bank.refused_for_ever(&event).await, "account-frozen");
    assert_eq!(
        bank.refused_for_ever(&bank.request("dollars", json!({ "currency": "USD" }))).await,
        "currency-mismatch"
    );
    assert_eq!(bank.accepted(&bank.request("r2", json!({}))).await, 6);
    bank.tell(AccountCommand::WithdrawMoney { by: owner(), amount: eur(1234), description: None }).await;
    bank.tell(AccountCommand::CloseAccount { by: owner() }).await;
    assert_eq!(bank.refused_for_ever(&bank.request("late", json!({}))).await, "account-closed");
    assert_eq!(bank.accepted(&bank.request("r2", json!({}))).await, 6, "the answer of before");
}

#[tokio::test]
async fn what_is_not_there_or_anothers_or_no_account_is_one_answer_and_records_nothing() {
    let bank = Bank::open().await;
    let transaction = AggregateId(Uuid::now_v7());
    let account = eventing::load::<Account>(&bank.store, bank.account, u64::MAX).await.unwrap().aggregate;
    let order = domain::Order {
        by: owner(),
        source: bank.account,
        destination: transaction,
        amount: eur(1),
        description: None,
    };
    let body = TransactionCommand::InitiateTransaction { order, source: account.clone(), destination: account };
    execute::<Transaction>(&bank.store, &StillHost::default(), &command(transaction, body, None)).await.unwrap();
    for fields in
        [json!({ "account_id": Uuid::nil() }), json!({ "owner": "mallory" }), json!({ "account_id": transaction })]
    {
        assert_eq!(bank.refused_for_now(&bank.request("r", fields.clone())).await, "not-found", "{fields}");
    }
    assert_eq!(bank.accepted(&bank.request("r", json!({}))).await, 2);
}

#[tokio::test]
async fn an_answer_that_is_not_final_says_so_for_the_account_may_be_opened_later() {
    let bank = Bank::open().await;
    // Its id follows from its owner's key, so another system may know it before it is there.
    let account = AggregateId(Uuid::now_v7());
    let event = bank.request("r", json!({ "account_id": account }));
    assert_eq!(bank.refused_for_now(&event).await, "not-found");
    let AccountEvent::AccountCreated { owner, currency } = opened() else { unreachable!() };
    let open = command(account, AccountCommand::CreateAccount { owner, currency }, None);
    execute::<Account>(&bank.store, &StillHost::default(), &open).await.unwrap();
    assert_eq!(bank.accepted(&event).await, 2);
    assert_eq!(bank.accepted(&event).await, 2);
}

#[tokio::test]
async fn one_name_for_two_requests_is_refused() {
    let bank = Bank::open().await;
    assert_eq!(bank.accepted(&bank.request("r", json!({ "amount": "12.50" }))).await, 2);
    assert_eq!(bank.refused_for_now(&bank.request("r", json!({ "amount": "12.51" }))).await, "idempotency-key-reused");
    // The same amount, written otherwise, is the same request.
    assert_eq!(bank.accepted(&bank.request("r", json!({ "amount": "12.5" }))).await, 2);
}

#[tokio::test]
async fn every_mistake_in_a_request_is_told_to_its_sender() {
    let bank = Bank::open().await;
    let bad = json!({ "account_id": "1", "owner": "", "amount": "-1", "description": "a\nb" });
    let (_, detail) = bank.answered(&bank.request("r", bad)).await;
    assert_eq!(detail["problem"]["type"], "/problems/invalid-request");
    let errors = detail["problem"]["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/account_id", "/owner", "/amount", "/description"]);
    for bad in [json!({ "amount": 12.34 }), json!({ "owner": null }), json!({ "currency": "euro" })] {
        assert_eq!(bank.refused_for_now(&bank.request("r", bad.clone())).await, "invalid-request", "{bad}");
    }
    // Fields that are not known are for somebody else.
    assert_eq!(bank.accepted(&bank.request("r", json!({ "purpose": "rent" }))).await, 2);
}

#[tokio::test]
async fn a_request_without_an_id_is_reported_with_nothing_of_what_is_in_it() {
    let bank = Bank::open().await;
    for request_id in [json!(null), json!(""), json!(7), json!("a b"), json!("x".repeat(129))] {
        let event = bank.request("r", json!({ "request_id": request_id }));
        let (kind, detail) = bank.answered(&event).await;
        assert_eq!(kind, "DepositRequestUnreadable");
        let reason = "request_id must be 1 to 128 visible ASCII characters";
        let expected = json!({
            "source": "payments", "detail_type": "DepositRequested", "event_id": event["id"], "reason": reason,
        });
        assert_eq!(detail, expected);
    }
    assert_eq!(bank.types().await, ["AccountCreated"]);
}

#[tokio::test]
async fn an_outcome_that_is_not_known_fails_and_is_settled_by_the_next_try() {
    // The store sends one commit three times.
    let lost = [Fault::RequestLost, Fault::RequestLost, Fault::RequestLost];
    let recorded = [Fault::AnswerLost, Fault::RequestLost, Fault::RequestLost];
    for faults in [lost, recorded] {
        for frozen in [false, true] {
            let bank = Bank::open().await;
            if frozen {
                bank.tell(AccountCommand::FreezeAccount).await;
            }
            for fault in faults.clone() {
                bank.store.plan(fault);
            }
            let event = bank.request("r", json!({}));
            assert!(matches!(bank.take(&event).await, Err(HandleError::Execute(_))));
            assert!(bank.bus.taken.lock().unwrap().is_empty(), "nothing is answered that is not known");
            if frozen {
                assert_eq!(bank.refused_for_ever(&event).await, "account-frozen");
            } else {
                assert_eq!(bank.accepted(&event).await, 2);
            }
            let decided = bank.types().await.into_iter().filter(|name| name.contains("Deposit")).count();
            assert_eq!(decided, 1);
        }
    }
}

#[tokio::test]
async fn an_answer_that_the_bus_does_not_take_is_given_by_the_next_try() {
    let bank = Bank::open().await;
    let event = bank.request("r", json!({}));
    bank.bus.down.store(true, Ordering::Relaxed);
    assert!(matches!(bank.take(&event).await, Err(HandleError::NotAnswered(_))));
    bank.bus.down.store(false, Ordering::Relaxed);
    assert_eq!(bank.accepted(&event).await, 2);
    assert_eq!(bank.types().await, ["AccountCreated", "MoneyDeposited"]);
}

#[tokio::test]
async fn no_answer_and_no_failure_shows_a_persons_own() {
    let bank = Bank::open().await;
    let canaries = json!({ "description": "canary text", "owner": "canary-name", "amount": "73519.42" });
    for canary in [canaries, json!({ "description": "canary\ntext", "amount": "canary", "owner": "canary name" })] {
        let (_, detail) = bank.answered(&bank.request("r", canary)).await;
        assert!(!detail.to_string().contains("canary") && !detail.to_string().contains("73519"), "{detail}");
    }
}
