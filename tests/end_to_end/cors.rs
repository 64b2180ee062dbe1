//! Pages of the origins that the template names may call the API from a browser; others may not.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
};

use serde_json::Value;
use tests::{Cloud, repository};

/// The template's default.
const ORIGIN: &str = "http://localhost:5173";

#[test]
fn a_page_of_a_named_origin_may_call_and_see_what_it_needs() {
    let cloud = Cloud::start();
    let preflight = |origin: &str| {
        let asks = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,idempotency-key"),
        ];
        cloud.send("OPTIONS", "/accounts", &asks, None)
    };
    let allowed = preflight(ORIGIN);
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
    assert!(allowed.header("access-control-allow-headers").contains("idempotency-key"));
    assert_eq!(preflight("https://elsewhere.example").header("access-control-allow-origin"), "");

    let token = cloud.token_of("alice");
    let listed = cloud.send("GET", "/accounts", &[("origin", ORIGIN), ("authorization", &token)], None);
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (200, ORIGIN));
    assert!(listed.header("access-control-expose-headers").contains("x-correlation-id"));
}

#[test]
fn what_a_browser_asks_first_is_answered_by_the_function_as_well() {
    // On AWS the request gets that far, for the API has a `$default` route with an authorizer.
    let cloud = Cloud::start();
    let text = std::fs::read_to_string(repository().join("infra/events/account-queries.json")).unwrap();
    let mut event: Value = serde_json::from_str(&text).unwrap();
    event["routeKey"] = "OPTIONS /{proxy+}".into();
    event["requestContext"]["routeKey"] = "OPTIONS /{proxy+}".into();
    event["requestContext"]["http"]["method"] = "OPTIONS".into();
    event["requestContext"].as_object_mut().unwrap().remove("authorizer");
    let path = "/2015-03-31/functions/account-queries/invocations";
    let answer = cloud.send("POST", path, &[], Some(event.to_string().as_bytes()));
    assert_eq!((answer.status, &answer.body["statusCode"]), (200, &204.into()), "{answer:?}");
}

#[test]
fn the_smoke_test_of_a_deployment_passes_here_and_fails_without_routes_or_cors() {
    let cloud = Cloud::start();
    let smoke = |url: &str, origin: &str| {
        let run = Command::new(repository().join(".ci/smoke")).args([url, origin]).output().unwrap();
        (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let (passed, problem) = smoke(&cloud.url, ORIGIN);
    assert!(passed, "{problem}");
    let (passed, problem) = smoke(&cloud.url, "https://elsewhere.example");
    assert!(!passed && problem.contains("the preflight of https://elsewhere.example"), "{problem}");

    // An API whose routes were ignored answers 404 to everything.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let (passed, problem) = smoke(&url, ORIGIN);
    assert!(!passed && problem.contains("401"), "{problem}");
}
