//! No web page and no other program gets past the guard of the local cloud, on any port that it listens on.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use tests::Cloud;

/// A port that a process listens on, with the address as the kernel writes it.
type Listening = (String, u16);

/// Everything that the process listens on, as the kernel tells it.
#[cfg(target_os = "linux")]
fn listening(pid: u32) -> BTreeSet<Listening> {
    const LISTEN: &str = "0A";
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    let own: BTreeSet<String> = targets.map(|target| target.to_string_lossy().into_owned()).collect();
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap());
    let sockets = tables.iter().flat_map(|table| table.lines().skip(1));
    sockets
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[3] == LISTEN && own.contains(&format!("socket:[{}]", fields[9])))
        .map(|fields| {
            let (address, port) = fields[1].rsplit_once(':').unwrap();
            (address.to_owned(), u16::from_str_radix(port, 16).unwrap())
        })
        .collect()
}

/// The answer to bytes sent to a port.
fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[cfg(target_os = "linux")]
#[test]
fn every_port_of_the_local_cloud_refuses_other_hosts_and_pages_of_other_origins() {
    const LOOPBACK: &str = "0100007F";
    let cloud = Cloud::start();
    let template = local::template::load(&tests::repository().join("template.yaml")).unwrap();
    let listening = listening(cloud.pid());
    // The API, DynamoDB, EventBridge, Secrets Manager, SQS, and a runtime API for each function's process.
    assert!(listening.len() >= 5 + template.functions.len(), "{listening:?}");
    let paths =
        ["/", "/accounts", "/_local/tokens/admin", "/_local/environment", "/2018-06-01/runtime/invocation/next"];
    let invoke = "/2015-03-31/functions/account-commands/invocations";
    for (address, port) in &listening {
        assert_eq!(address, LOOPBACK, "port {port}");
        for (headers, expected) in [
            (format!("Host: evil.example:{port}\r\n"), "421"),
            ("Host: [\r\n".to_owned(), "400"),
            (format!("Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example:{port}\r\n"), "403"),
            (format!("Host: 127.0.0.1:{port}\r\nOrigin: null\r\n"), "403"),
            (format!("Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\n"), "403"),
            (format!("Host: localhost:{port}\r\nSec-Fetch-Site: same-site\r\n"), "403"),
        ] {
            let heads = paths.iter().flat_map(|path| [format!("GET {path}"), format!("OPTIONS {path}")]);
            for head in heads.chain([format!("POST {invoke}"), "POST /".to_owned()]) {
                let request = format!("{head} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}");
                let answer = exchange(*port, &request);
                assert_eq!(status(&answer), expected, "{request}\n{answer}");
                assert!(!answer.to_lowercase().contains("access-control"), "{request}\n{answer}");
            }
        }
    }
}

#[test]
fn a_page_that_may_use_the_api_may_use_nothing_else_of_the_local_cloud() {
    const ORIGIN: &str = "http://localhost:5173";
    let cloud = Cloud::start();
    let token = cloud.token_of("alice");
    let headers = [("origin", ORIGIN), ("sec-fetch-site", "cross-site"), ("authorization", token.as_str())];
    let listed = cloud.send("GET", "/accounts", &headers, None);
    assert_eq!((listed.status, listed.header("access-control-allow-origin")), (200, ORIGIN));
    let invoke = "/2015-03-31/functions/account-queries/invocations";
    let own = ["/_local/tokens/admin", "/_local/environment", "/_local/permissions"];
    for (method, path) in own.map(|path| ("GET", path)).into_iter().chain([("POST", invoke), ("OPTIONS", invoke)]) {
        let refused = cloud.send(method, path, &headers, Some(b"{}"));
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, ""), "{method} {path}");
    }
    // The page of the local cloud itself, in a browser.
    let port = cloud.url.rsplit(':').next().unwrap();
    let page = exchange(
        port.parse().unwrap(),
        &format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\nSec-Fetch-Site: none\r\nConnection: close\r\n\r\n"),
    );
    assert_eq!(status(&page), "200", "{page}");
}

#[test]
fn heads_that_break_a_gateway_are_refused_before_a_function_sees_them() {
    let cloud = Cloud::start();
    let port: u16 = cloud.url.rsplit(':').next().unwrap().parse().unwrap();
    let token = cloud.token_of("alice");
    let ask = |path: &str, host: &str| {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n");
        status(&exchange(port, &head)).to_owned()
    };
    assert_eq!(ask("/accounts", "127.0.0.1"), "200");
    for host in ["[", "]", ":", "a b", "127.0.0.1:x", "%", "localhost:-1", "<>"] {
        assert_eq!(ask("/accounts", host), "400", "{host}");
    }
    assert_eq!(ask(&format!("/{}", "%C3%A4".repeat(1_500)), "127.0.0.1"), "404");
    assert_eq!(ask(&format!("/{}", "%C3%A4".repeat(21_500)), "127.0.0.1"), "431");
}

#[cfg(target_os = "linux")]
#[test]
fn no_other_program_takes_an_invocation() {
    let cloud = Cloud::start();
    for (_, port) in listening(cloud.pid()) {
        for path in ["next", "x/response", "x/error"] {
            let method = if path == "next" { "GET" } else { "POST" };
            let answer = exchange(
                port,
                &format!(
                    "{method} /2018-06-01/runtime/invocation/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
                     Connection: close\r\nContent-Length: 0\r\n\r\n"
                ),
            );
            assert!(["401", "404"].contains(&status(&answer)), "{port} {path}: {answer}");
        }
    }
    // Whoever tried got nothing, and the functions still answer.
    let _ = cloud.open_account("EUR");
}

/// An operation of DynamoDB, asked by whoever has the key id `caller`.
fn dynamodb(cloud: &Cloud, caller: &str, target: &str, body: &Value) -> Value {
    let credential = format!("AWS4-HMAC-SHA256 Credential={caller}/20261126/us-east-1/dynamodb/aws4_request");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent
        .post(cloud.url_of("DynamoDB"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", format!("{credential}, SignedHeaders=host, Signature=0"))
        .header("x-amz-date", "20261126T120000Z")
        .header("x-amz-target", target)
        .send(body.to_string())
        .unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

#[test]
fn recorded_events_are_changed_by_nobody_in_any_language() {
    let cloud = Cloud::start();
    let account = cloud.open_account("EUR");
    let id = account.rsplit('/').next().unwrap();
    let delete = format!("DELETE FROM \"events\" WHERE aggregate_id='{id}' AND version=1");
    let update = format!("UPDATE events SET command_id='x' WHERE aggregate_id='{id}' AND version=1");
    let insert = format!("INSERT INTO \"events\" VALUE {{'aggregate_id':'{id}','version':2}}");
    let hidden = format!("DELETE /* FROM accounts */ FROM events WHERE aggregate_id='{id}' AND version=1");
    let key = json!({ "aggregate_id": { "S": id }, "version": { "N": "1" } });
    let stream = "arn:aws:dynamodb:us-east-1:000000000000:table/accounts/stream/local";
    let statements = [&delete, &update, &insert, &hidden].map(|text| json!({ "Statement": text }));
    let mut requests = vec![
        ("DynamoDB_20120810.DeleteItem", json!({ "TableName": "events", "Key": key })),
        // Under another service, with a member that only that one's permissions look at.
        ("DynamoDBStreams_20120810.DeleteItem", json!({ "TableName": "events", "Key": key, "StreamArn": stream })),
    ];
    for statement in &statements {
        requests.push(("DynamoDB_20120810.ExecuteStatement", statement.clone()));
        requests.push(("DynamoDB_20120810.BatchExecuteStatement", json!({ "Statements": [statement] })));
        requests.push(("DynamoDB_20120810.ExecuteTransaction", json!({ "TransactStatements": [statement] })));
    }
    for caller in ["operator", "local-account-commands", "foo"] {
        for (target, body) in &requests {
            let refused = dynamodb(&cloud, caller, target, body);
            let kind = refused["__type"].as_str().unwrap_or_default();
            let is_refused = ["AccessDeniedException", "ValidationException", "UnknownOperationException"]
                .iter()
                .any(|known| kind.ends_with(known));
            assert!(is_refused, "{caller} {target} {body}: {refused}");
        }
    }
    let read = json!({ "Statement": format!("SELECT version FROM events WHERE aggregate_id='{id}'") });
    let read_by = |caller: &str| dynamodb(&cloud, caller, "DynamoDB_20120810.ExecuteStatement", &read);
    assert_eq!(read_by("operator")["Items"], json!([{ "version": { "N": "1" } }]));
    // No role has a permission for PartiQL.
    assert!(read_by("local-account-commands")["message"].as_str().unwrap().contains("dynamodb:PartiQLSelect"));
    // The operator may change read models, with both kinds of request.
    let item = json!({ "Statement": format!("DELETE FROM accounts WHERE account_id='{id}'") });
    assert!(dynamodb(&cloud, "operator", "DynamoDB_20120810.ExecuteStatement", &item)["__type"].is_null());
}

#[test]
fn nothing_that_comes_from_outside_commands_the_terminal() {
    const ESCAPE: &str = "\u{1b}[2J\u{9b}31m\u{202e}";
    const SHOWN: &str = "\\u001b[2J\\u009b31m\\u202e";
    let cloud = Cloud::start();
    let port: u16 = cloud.url.rsplit(':').next().unwrap().parse().unwrap();
    // The path of a request, refused or not; a browser would encode it.
    let _ = exchange(port, "GET /path\u{9b}\u{202e} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    // The type of an event that no rule takes, of one that fails, and the table and bus of requests that are refused.
    cloud.put_event("shop", &format!("type{ESCAPE}"), &json!({}));
    cloud.put_event("daybook", "MoneyDeposited", &json!({ "aggregate_id": ESCAPE }));
    let target = "DynamoDB_20120810.GetItem";
    let _ = dynamodb(&cloud, "local-account-commands", target, &json!({ "TableName": format!("table{ESCAPE}") }));
    for text in [format!("type{SHOWN}"), format!("table/table{SHOWN}")] {
        let _ = cloud.wait_for_line(&text);
    }
    let _ = cloud.wait_for_line("GET    /path");
    let _ = cloud.wait_for_line("dead letter in");
    for line in cloud.printed() {
        assert_eq!(terminal::line(&line), line);
    }
}
