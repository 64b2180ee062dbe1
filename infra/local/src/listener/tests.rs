//! Requests as bytes on real sockets.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::{body::Bytes, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

const ALLOWED: &str = "https://bank.example";
const QUICK: Duration = Duration::from_millis(200);
const LARGE_BYTES: usize = 1024 * 1024;

/// The port of a listener that gives clients [`QUICK`] to send and to read, and whose API has the origin [`ALLOWED`].
async fn start() -> u16 {
    let own = Router::new().route("/own", get(|| async { "own" }));
    let own = own.route_layer(axum::middleware::from_fn(refuse_other_origins));
    let router = Router::new()
        .route("/", get(|| async { "page" }).post(|body: Bytes| async { body }))
        .route("/large", get(|| async { vec![b'x'; LARGE_BYTES] }))
        .merge(own);
    let listener = Listener { read_timeout: QUICK, write_timeout: QUICK, ..Listener::bind(0).await.unwrap() };
    let port = listener.address.port();
    tokio::spawn(listener.serve(router, vec![ALLOWED.to_owned()]));
    port
}

/// Sends bytes, and returns everything that comes until the connection ends.
async fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    // A reset is an end as well.
    let _ = end.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status code of the answer to a GET with these header lines, where PORT is the listener's.
async fn status(port: u16, path: &str, headers: &str) -> String {
    let headers = headers.replace("PORT", &port.to_string());
    let answer = exchange(port, &format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")).await;
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

#[tokio::test]
async fn only_requests_to_a_loopback_host_are_answered() {
    let port = start().await;
    for (hosts, expected) in [
        ("Host: 127.0.0.1:PORT\r\n", "200"),
        ("Host: localhost:PORT\r\n", "200"),
        ("Host: LocalHost\r\n", "200"),
        ("Host: [::1]:PORT\r\n", "200"),
        ("Host: evil.example:PORT\r\n", "421"),
        ("Host: evil.example\r\n", "421"),
        ("Host: localhost.evil.example\r\n", "421"),
        ("Host: 127.0.0.1.evil.example:PORT\r\n", "421"),
        ("Host: localhost.:PORT\r\n", "421"),
        ("Host: 0.0.0.0:PORT\r\n", "421"),
        ("Host: 10.0.0.1:PORT\r\n", "421"),
        ("", "400"),
        ("Host:\r\n", "400"),
        ("Host: [\r\n", "400"),
        ("Host: [::1\r\n", "400"),
        ("Host: :PORT\r\n", "400"),
        ("Host: 127.0.0.1:\r\n", "400"),
        ("Host: 127.0.0.1:99999\r\n", "400"),
        ("Host: 127.0.0.1:80:80\r\n", "400"),
        ("Host: 127.0.0.1/x\r\n", "400"),
        ("Host: user@127.0.0.1\r\n", "400"),
        ("Host: 127.0.0.1, evil.example\r\n", "400"),
        ("Host: \u{e4}\r\n", "400"),
        ("Host: 127.0.0.1:PORT\r\nHost: evil.example\r\n", "400"),
    ] {
        assert_eq!(status(port, "/", hosts).await, expected, "{hosts:?}");
    }
    let absolute = "http://evil.example/";
    assert_eq!(status(port, absolute, "Host: 127.0.0.1:PORT\r\n").await, "421");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_the_api_allows_them() {
    let port = start().await;
    // For each: the answers of a route of the API, and of one of the local cloud's own.
    for (headers, expected) in [
        ("", ["200", "200"]),
        ("Origin: http://127.0.0.1:PORT\r\nSec-Fetch-Site: same-origin\r\n", ["200", "200"]),
        ("Sec-Fetch-Site: same-origin\r\n", ["200", "200"]),
        ("Sec-Fetch-Site: none\r\n", ["200", "200"]),
        ("Origin: https://bank.example\r\nSec-Fetch-Site: cross-site\r\n", ["200", "403"]),
        ("Origin: https://bank.example\r\n", ["200", "403"]),
        ("Origin: http://evil.example\r\n", ["403", "403"]),
        ("Origin: http://evil.example:PORT\r\nSec-Fetch-Site: cross-site\r\n", ["403", "403"]),
        ("Origin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-site\r\n", ["403", "403"]),
        ("Origin: http://localhost:PORT\r\n", ["403", "403"]),
        ("Origin: https://127.0.0.1:PORT\r\n", ["403", "403"]),
        ("Origin: https://bank.example.evil.example\r\n", ["403", "403"]),
        ("Origin: null\r\n", ["403", "403"]),
        ("Origin:\r\n", ["403", "403"]),
        ("Origin: https://bank.example\r\nOrigin: http://evil.example\r\n", ["403", "403"]),
        ("Sec-Fetch-Site: cross-site\r\n", ["403", "403"]),
        ("Sec-Fetch-Site: same-site\r\n", ["403", "403"]),
        ("Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n", ["403", "403"]),
        ("Origin: http://127.0.0.1:PORT\r\nSec-Fetch-Site: cross-site\r\n", ["403", "403"]),
    ] {
        let headers = format!("Host: 127.0.0.1:PORT\r\n{headers}");
        for (path, expected) in ["/", "/own"].into_iter().zip(expected) {
            assert_eq!(status(port, path, &headers).await, expected, "{path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let port = start().await;
    for (headers, reason) in [
        ("Host: evil.example", "only requests to 127.0.0.1"),
        ("Host: [", "needs one Host header"),
        ("Host: localhost\r\nOrigin: http://evil.example", "no page of another origin"),
    ] {
        let answer = exchange(port, &format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n")).await;
        assert!(answer.contains(reason) && answer.contains("content-type: text/plain"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_has_at_most_ten_kilobytes() {
    let port = start().await;
    let host = "127.0.0.1";
    // What the limit counts beside the padding: the request line, and the values of Host and Connection.
    let counted = "GET / HTTP/1.1".len() + host.len() + "close".len();
    for (padding, expected) in
        [(10_240 - counted, "200"), (10_240 - counted + 1, "431"), (30_000, "431"), (200_000, "431")]
    {
        let headers = format!("Host: {host}\r\nX: {}\r\n", "x".repeat(padding));
        assert_eq!(status(port, "/", &headers).await, expected, "{padding}");
    }
    let many = (0..200).fold(String::new(), |mut all, number| {
        write!(all, "x-{number}: 1\r\n").unwrap();
        all
    });
    assert_eq!(status(port, "/", &format!("Host: {host}\r\n{many}")).await, "431");
    let long = format!("/{}", "%C3%A4".repeat(21_000));
    assert_eq!(status(port, &long, "Host: 127.0.0.1\r\n").await, "431");
}

#[tokio::test]
async fn a_half_sent_request_is_ended_after_a_while() {
    let port = start().await;
    assert_eq!(exchange(port, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n").await, "");
    assert_eq!(exchange(port, "").await, "");
    let body = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nhalf";
    let answer = exchange(port, body).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let whole = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhalf";
    assert!(exchange(port, whole).await.ends_with("\r\n\r\nhalf"));
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_cut_off() {
    let port = start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let requests = "GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(200);
    stream.write_all(requests.as_bytes()).await.unwrap();
    tokio::time::sleep(5 * QUICK).await;
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers).await;
    // What lay in the buffers of the two sockets.
    assert!(answers.len() < 50 * LARGE_BYTES, "{} bytes", answers.len());
}

#[tokio::test]
async fn a_client_that_sends_many_requests_at_once_waits_its_turn() {
    static ANSWERED: AtomicUsize = AtomicUsize::new(0);
    let slow = || async {
        ANSWERED.fetch_add(1, Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    };
    let listener = Listener::bind(0).await.unwrap();
    let port = listener.address.port();
    tokio::spawn(listener.serve(Router::new().route("/slow", get(slow)).route("/", get(|| async {})), Vec::new()));
    let requests = "GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(200);
    let mut greedy = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(requests.as_bytes()).await.unwrap();
        greedy.push(stream);
    }
    while ANSWERED.load(Relaxed) < 200 {
        tokio::task::yield_now().await;
    }
    let before = ANSWERED.load(Relaxed);
    assert_eq!(status(port, "/", "Host: 127.0.0.1\r\n").await, "200");
    let meanwhile = ANSWERED.load(Relaxed) - before;
    assert!(meanwhile < 100, "{meanwhile} others were answered first");
}

#[tokio::test]
async fn a_connection_never_becomes_another_protocol() {
    let port = start().await;
    let upgrade = |to: &str| format!("Host: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: {to}\r\n");
    for headers in [upgrade("websocket"), upgrade("h2c")] {
        let answer = exchange(port, &format!("GET / HTTP/1.1\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let preface = exchange(port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!preface.contains("200"), "{preface}");
    let tunnel = exchange(port, "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert!(tunnel.starts_with("HTTP/1.1 400"), "{tunnel}");
}
