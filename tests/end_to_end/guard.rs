//! No web page and no other program gets past the guard of the local cloud, on any port that it listens on.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

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
