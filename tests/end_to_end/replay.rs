//! The same request again: from the same client, from another, elsewhere, and a hundred times at once.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Answer, Cloud};

fn money(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

/// What must be the same in two answers to one command.
fn essence(answer: &Answer) -> (u16, String, String) {
    (answer.status, answer.body.to_string(), answer.header("etag").to_owned())
}

#[test]
fn a_key_belongs_to_one_command_on_one_account() {
    let cloud = Cloud::start();
    let (one, other) = (cloud.open_account("EUR"), cloud.open_account("EUR"));
    let first = cloud.post_once(&format!("{one}/deposits"), "k", &money("10"));
    assert_eq!(first.status, 200);
    assert_eq!(essence(&cloud.post_once(&format!("{one}/deposits"), "k", &money("10"))), essence(&first));
    // The same amount, written otherwise, is the same command.
    assert_eq!(essence(&cloud.post_once(&format!("{one}/deposits"), "k", &money("10.00"))), essence(&first));
    for (path, body) in [
        (format!("{one}/deposits"), money("11")),
        (format!("{one}/deposits"), json!({ "amount": "10", "currency": "EUR", "description": "another" })),
        (format!("{one}/withdrawals"), money("10")),
        (format!("{one}/close"), Value::Null),
    ] {
        let answer = cloud.post_once(&path, "k", &body);
        assert_eq!((answer.status, answer.problem()), (422, "idempotency-key-reused"), "{path} {body}");
    }
    // Keys are of one account: another one's command is another command.
    assert_eq!(cloud.post_once(&format!("{other}/deposits"), "k", &money("10")).status, 200);
    assert_eq!(cloud.eventually(&one, |answer| answer.body["version"] == 2).body["balance"], "10.00");
    // A repetition is answered as the first time, also when by now it would be refused.
    let out = cloud.post_once(&format!("{one}/withdrawals"), "out", &money("10"));
    assert_eq!(cloud.post(&format!("{one}/close"), &Value::Null).status, 200);
    assert_eq!(essence(&cloud.post_once(&format!("{one}/withdrawals"), "out", &money("10"))), essence(&out));
    assert_eq!(essence(&cloud.post_once(&format!("{one}/deposits"), "k", &money("10"))), essence(&first));
}

#[test]
fn a_hundred_equal_commands_at_once_have_one_effect_and_equal_answers() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let (deposits, other) = (format!("{account}/deposits"), cloud.open_account("EUR"));
    assert_eq!(cloud.post(&deposits, &money("100")).status, 200);
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let order = json!({ "from": id(&account), "to": id(&other), "amount": "1", "currency": "EUR" });
    for (path, body) in [(deposits, money("1")), ("/transactions".to_owned(), order)] {
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let send = || loop {
                let answer = cloud.post_once(&path, "race", &body);
                // Too busy says that nothing was changed, and to send it again.
                if answer.status != 503 {
                    return answer;
                }
            };
            let senders: Vec<_> = (0..100).map(|_| scope.spawn(send)).collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        let different: BTreeSet<_> = answers.iter().map(essence).collect();
        assert_eq!(different.len(), 1, "{path}: {different:?}");
        assert!(different.first().unwrap().0 < 300);
        // Whose append had the effect may itself have been told that its outcome is unknown.
        let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).count();
        assert!(first <= 1, "{path}: {first} answers say that they are the first");
    }
    cloud.eventually(&account, |answer| answer.body["balance"] == "100.00");
    cloud.eventually(&other, |answer| answer.body["balance"] == "1.00");
    let transactions =
        cloud.eventually(&format!("{account}/transactions"), |answer| answer.body["items"][0].is_object());
    assert_eq!(transactions.body["items"].as_array().unwrap().len(), 1);
}
