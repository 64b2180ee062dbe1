//! A cursor is good for the caller and the query that it was made for, unchanged, and for nothing else.

use serde_json::json;
use tests::Cloud;

#[test]
fn a_cursor_is_bound_to_its_caller_and_its_query_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let cloud = Cloud::start_with(&options);
    let (account, other) = (cloud.open_account("EUR"), cloud.open_account("EUR"));
    for path in [&account, &other] {
        for _ in 0..2 {
            let paid = cloud.post(&format!("{path}/deposits"), &json!({ "amount": "1", "currency": "EUR" }));
            assert_eq!(paid.status, 200);
        }
        cloud.eventually(&format!("{path}/statement"), |page| page.body["items"].as_array().map(Vec::len) == Some(2));
    }
    let list = format!("{account}/statement?from=2020-01-01T00:00:00Z");
    let first = cloud.get(&format!("{list}&limit=1"));
    let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
    cloud.kill();

    let cloud = Cloud::start_with(&options);
    let (alice, bob) = (cloud.token_of("alice"), cloud.token_of("bob"));
    let ask = |token: &str, list: &str, cursor: &str| {
        let separator = if list.contains('?') { '&' } else { '?' };
        cloud.send("GET", &format!("{list}{separator}cursor={cursor}"), &[("authorization", token)], None)
    };
    for limit in ["", "&limit=1", "&limit=100&min_version=2"] {
        let second = ask(&alice, &format!("{list}{limit}"), &cursor);
        assert_eq!((second.status, &second.body["items"][0]["version"]), (200, &json!(2)), "{second:?}");
    }
    let refused = ask(&alice, &list, "x");
    assert_eq!((refused.status, refused.problem()), (400, "invalid-request"));
    let of_other = format!("{other}/statement?from=2020-01-01T00:00:00Z");
    let (of_events, without_from) = (format!("{account}/events"), format!("{account}/statement"));
    let mut changed = cursor.clone().into_bytes();
    changed[10] = if changed[10] == b'A' { b'B' } else { b'A' };
    let (changed, long) = (String::from_utf8(changed).unwrap(), "A".repeat(7_000));
    for (what, token, list, cursor) in [
        ("another's", &bob, "/accounts", cursor.as_str()),
        ("another account's", &alice, &of_other, &cursor),
        ("another list's", &alice, &of_events, &cursor),
        ("another query's", &alice, &without_from, &cursor),
        ("changed", &alice, &list, &changed),
        ("cut", &alice, &list, &cursor[..cursor.len() - 1]),
        ("empty", &alice, &list, ""),
        ("long", &alice, &list, &long),
    ] {
        let answer = ask(token, list, cursor);
        assert_eq!((answer.status, &answer.body["errors"]), (400, &refused.body["errors"]), "{what}: {answer:?}");
    }
    // Whose account it is comes first, so a cursor tells nothing.
    let not_bobs = ask(&bob, &list, &cursor);
    assert_eq!(not_bobs.status, ask(&bob, &list, "x").status);
}
