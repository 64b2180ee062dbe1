use serde_json::json;
use tests::Cloud;

#[test]
fn money_goes_in_and_out_and_both_read_models_show_it() {
    let cloud = Cloud::start();
    for (currency, amount, rest) in [("EUR", "12.34", "2.34"), ("USD", "12.34", "2.34"), ("KWD", "12.345", "2.345")] {
        let account = cloud.open_account(currency);
        let money = |amount: &str| json!({ "amount": amount, "currency": currency });
        assert_eq!(cloud.post(&format!("{account}/deposits"), &money(amount)).body["version"], 2);
        let withdrawn = cloud.post(&format!("{account}/withdrawals"), &money("10"));
        assert_eq!((withdrawn.status, &withdrawn.body["version"], withdrawn.header("etag")), (200, &json!(3), "\"3\""));
        let refused = cloud.post(&format!("{account}/withdrawals"), &money("3"));
        assert_eq!((refused.status, refused.problem()), (422, "insufficient-funds"));
        assert_eq!(refused.body["available"], rest);

        let seen = cloud.get(&format!("{account}?min_version=3"));
        assert_eq!((seen.status, &seen.body["balance"]), (200, &json!(rest)));
        let known =
            cloud.send("GET", &format!("{account}?min_version=3"), &[("if-none-match", seen.header("etag"))], None);
        assert_eq!(known.status, 304);
        assert_eq!(cloud.get(&format!("{account}?min_version=4")).problem(), "not-yet");
        cloud.eventually(&account, |answer| answer.body["version"] == 3);
        let statement = cloud
            .eventually(&format!("{account}/statement"), |answer| answer.body["items"].as_array().unwrap().len() == 2);
        let shown: Vec<_> = statement.body["items"].as_array().unwrap().iter().map(|entry| &entry["balance"]).collect();
        assert_eq!(shown, [rest, amount]);
    }
    let all = cloud.eventually("/accounts", |answer| answer.body["items"].as_array().unwrap().len() == 3);
    assert_eq!(all.body["next_cursor"], json!(null));
    let first = cloud.get("/accounts?limit=2");
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = cloud.get(&format!("/accounts?limit=2&cursor={cursor}"));
    assert_eq!(second.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(second.body["items"][0], all.body["items"][2]);
}

#[test]
fn a_repeated_command_has_one_effect_and_the_same_answer() {
    let cloud = Cloud::start();
    let body = json!({ "currency": "JPY" });
    let [first, again] = [0, 1].map(|_| cloud.post_once("/accounts", "my-key", &body));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((first.header("location"), &first.body), (again.header("location"), &again.body));
    assert_eq!(
        cloud.post_once("/accounts", "my-key", &json!({ "currency": "EUR" })).problem(),
        "idempotency-key-reused"
    );
    let deposits = format!("{}/deposits", first.header("location"));
    let money = json!({ "amount": "500", "currency": "JPY" });
    for _ in 0..3 {
        assert_eq!(cloud.post_once(&deposits, "pay-1", &money).body["version"], 2);
    }
}
