use serde_json::{Value, json};
use tests::{Cloud, function_binary};

#[test]
fn each_mistake_has_its_own_problem_and_nothing_is_appended() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let deposits = format!("{account}/deposits");
    let money = |amount: Value| json!({ "amount": amount, "currency": "EUR" }).to_string();
    let nobody = "/accounts/00000000-0000-4000-8000-000000000000/deposits";
    let good = money(json!("1"));
    let long = format!("{{\"amount\": \"{}\"}}", "1".repeat(9_000));
    let pointer = |body: &Value| body["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
    for (path, body, status, problem, at) in [
        (deposits.as_str(), "{}".to_owned(), 400, "invalid-request", "/amount"),
        (&deposits, r#"{"amount":"1","currency":"EUR","extra":1}"#.to_owned(), 400, "invalid-request", "/extra"),
        (&deposits, r#"{"amount":"1","amount":"2","currency":"EUR"}"#.to_owned(), 400, "invalid-request", "/amount"),
        (&deposits, money(json!(1)), 400, "invalid-request", "/amount"),
        (&deposits, money(json!("0")), 400, "invalid-request", "/amount"),
        (&deposits, money(json!("-1")), 400, "invalid-request", "/amount"),
        (&deposits, money(json!("NaN")), 400, "invalid-request", "/amount"),
        (&deposits, money(json!("1e3")), 400, "invalid-request", "/amount"),
        (&deposits, money(json!("1.234")), 400, "invalid-request", "/amount"),
        (&deposits, money(json!("99999999999.00")), 400, "invalid-request", "/amount"),
        (&deposits, r#"{"amount":"1","currency":"XAU"}"#.to_owned(), 400, "invalid-request", "/currency"),
        (
            &deposits,
            r#"{"amount":"1","currency":"EUR","description":"a\u0000b"}"#.to_owned(),
            400,
            "invalid-request",
            "/description",
        ),
        (&deposits, r#"{"amount":NaN}"#.to_owned(), 400, "malformed-json", ""),
        (&deposits, "[".to_owned(), 400, "malformed-json", ""),
        (&deposits, "[]".to_owned(), 400, "invalid-request", ""),
        (&deposits, String::new(), 400, "malformed-json", ""),
        (&deposits, long, 413, "body-too-large", ""),
        (&deposits, r#"{"amount":"1","currency":"USD"}"#.to_owned(), 422, "currency-mismatch", ""),
        ("/accounts/not-an-id/deposits", good.clone(), 400, "malformed-id", ""),
        (nobody, good.clone(), 404, "not-found", ""),
        ("/accounts", r#"{"currency":"ZZZ"}"#.to_owned(), 400, "invalid-request", "/currency"),
        ("/accounts", r#"{"currency":"HRK"}"#.to_owned(), 400, "invalid-request", "/currency"),
        ("/nothing", good.clone(), 404, "no-such-route", ""),
    ] {
        let answer = cloud.send("POST", path, &[("content-type", "application/json")], Some(body.as_bytes()));
        assert_eq!((answer.status, answer.problem()), (status, problem), "{path} {body}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(pointer(&answer.body), at, "{path} {body}: {answer:?}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert!(!answer.header("x-correlation-id").is_empty());
    }
    let wrong_type = cloud.send("POST", &deposits, &[("content-type", "text/plain")], Some(good.as_bytes()));
    assert_eq!((wrong_type.status, wrong_type.problem()), (415, "wrong-content-type"));
    let wrong_method = cloud.send("DELETE", &account, &[], None);
    assert_eq!(
        (wrong_method.status, wrong_method.problem(), wrong_method.header("allow")),
        (405, "method-not-allowed", "GET")
    );
    let json_type = ("content-type", "application/json");
    let stale = cloud.send("POST", &deposits, &[json_type, ("if-match", "\"9\"")], Some(good.as_bytes()));
    assert_eq!((stale.status, stale.problem()), (412, "version-mismatch"));
    let bad_key = cloud.send("POST", &deposits, &[json_type, ("idempotency-key", "a b")], Some(good.as_bytes()));
    assert_eq!((bad_key.status, bad_key.problem()), (400, "invalid-header"));
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x"] {
        assert_eq!(cloud.get(&format!("/accounts?{query}")).problem(), "invalid-request", "{query}");
    }
    assert_eq!(cloud.get(&account).body["version"], 1, "nothing was appended");
}

#[test]
fn the_id_of_one_kind_of_aggregate_is_no_id_of_another() {
    let cloud = Cloud::start();
    let [one, other] = [cloud.open_account("EUR"), cloud.open_account("EUR")];
    let id_of = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let order = |from: &str, to: &str| json!({ "from": from, "to": to, "amount": "1.00", "currency": "EUR" });
    let money = json!({ "amount": "1.00", "currency": "EUR" });
    let transaction = cloud.post("/transactions", &order(&id_of(&one), &id_of(&other)));
    let transaction = transaction.header("location").to_owned();
    let _ = cloud.eventually(&transaction, |answer| answer.body["status"] == "failed");
    let (account, transaction) = (id_of(&one), id_of(&transaction));
    let asked_of_an_account = |id: &str| {
        let read = ["", "/statement", "/transactions"].map(|of| cloud.get(&format!("/accounts/{id}{of}")));
        let written = ["deposits", "withdrawals", "close"].map(|what| {
            let body = if what == "close" { json!({}) } else { money.clone() };
            cloud.post(&format!("/accounts/{id}/{what}"), &body)
        });
        let paid = [order(id, &account), order(&account, id)].map(|order| cloud.post("/transactions", &order));
        let frozen = cloud.administrate("POST", &format!("/accounts/{id}/freeze"), None);
        let history = cloud.administrate("GET", &format!("/accounts/{id}/events"), None);
        let answers = read.into_iter().chain(written).chain(paid).chain([frozen, history]);
        answers.map(|answer| (answer.status, answer.problem().to_owned())).collect::<Vec<_>>()
    };
    let nobody = "00000000-0000-4000-8000-000000000000";
    let answers = asked_of_an_account(nobody);
    // A payment to nobody is taken, and fails.
    assert!(answers.iter().all(|(status, _)| [202, 404].contains(status)), "{answers:?}");
    assert_eq!(asked_of_an_account(&transaction), answers);
    let [of_account, of_nobody] = [&account, nobody].map(|id| cloud.get(&format!("/transactions/{id}")));
    assert_eq!((of_account.status, of_account.problem()), (404, "not-found"));
    assert_eq!((of_nobody.status, of_nobody.problem()), (404, "not-found"));
}

#[test]
fn a_missing_variable_stops_a_function_at_init_and_is_named() {
    let template = local::template::load(&tests::repository().join("template.yaml")).unwrap();
    for function in template.functions.iter().filter(|function| !function.environment.is_empty()) {
        let variables = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")];
        let run =
            std::process::Command::new(function_binary(&function.name)).env_clear().envs(variables).output().unwrap();
        assert!(!run.status.success());
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(function.environment.keys().any(|name| said.contains(name)), "{}: {said}", function.name);
    }
}

#[test]
fn odd_http_is_refused_or_taken_at_its_word_and_never_a_server_error() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let deposits = format!("{account}/deposits");
    let json_type = ("content-type", "application/json");
    let good = r#"{"amount":"1","currency":"EUR"}"#;
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bom = [b"\xef\xbb\xbf", good.as_bytes()].concat();
    let deep = format!("{}1{}", "[".repeat(4_000), "]".repeat(4_000));
    let not_text = b"{\"amount\":\"\xff\",\"currency\":\"EUR\"}".to_vec();
    for (what, body) in [("UTF-16", utf16), ("a byte order mark", bom), ("deep", deep.into()), ("no UTF-8", not_text)] {
        let answer = cloud.send("POST", &deposits, &[json_type], Some(&body));
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
    }
    let huge = vec![b' '; 11_000_000];
    assert_eq!(cloud.send("POST", &deposits, &[json_type], Some(&huge)).status, 413);

    let id = account.trim_start_matches("/accounts/");
    for (path, status) in [
        (format!("/accounts/{id}%00"), 400),
        ("/accounts/%00".to_owned(), 400),
        (format!("/accounts/..%2f{id}"), 400),
        (format!("/accounts/x/../{id}"), 404),
        (format!("/accounts//{id}"), 404),
        (format!("/ACCOUNTS/{id}"), 404),
        (format!("{account}?limit=1"), 400),
        (format!("{account}/statement?limit=1&limit=2"), 400),
        (format!("{account}/statement?limit=%2B5"), 400),
        (format!("{account}?min_version=99999999999999999999"), 400),
        (format!("{account}?at=2026-11-23T25:00:00Z"), 400),
        (format!("{account}?%ff=%fe"), 400),
    ] {
        let answer = cloud.get(&path);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    // Nobody makes a read into a write.
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        assert_eq!(cloud.send("GET", &account, &[(header, "DELETE")], None).status, 200);
    }
    // Two lines of a header reach a function as one with a comma.
    let twice = |name: &str, one: &str, other: &str| {
        cloud.send("POST", &deposits, &[json_type, (name, one), (name, other)], Some(good.as_bytes()))
    };
    assert_eq!(twice("if-match", "\"8\"", "\"9\"").problem(), "version-mismatch");
    assert_eq!(twice("idempotency-key", "a", "b").problem(), "invalid-header");
    assert_eq!(twice("idempotency-key", "\"a\"", "\"b\"").problem(), "invalid-header");
    assert_eq!(twice("x-correlation-id", "a", "b").problem(), "invalid-header");
    assert_eq!(twice("content-type", "application/json", "text/plain").problem(), "wrong-content-type");
    assert_eq!(cloud.get(&account).body["version"], 1, "nothing was appended");
}
