//! The one way into the local cloud: every server listens and answers through a [`Listener`].
//!
//! A developer's browser runs pages of strangers, and those pages can send requests to loopback. Promises, for every listener:
//! a request is answered only if it is addressed to this machine, which a DNS rebinding attack's is not, and if it does not
//! come from a page of another origin. A request is complete, of bounded size, and read within a bounded time before anybody
//! sees it. Connections take turns. Clippy refuses servers that are started anywhere else (`clippy.toml`).

mod admission;

#[cfg(test)]
mod tests;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

pub use admission::refuse_other_origins;
use admission::{Admission, refuse};
use axum::{Router, extract::ConnectInfo, response::Response};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_io_timeout::TimeoutStream;

/// How long a client may take to send the head of a request, and again to send its body. API Gateway has such a limit and does
/// not tell which; this is hyper's.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest head that is read at all, so that one just over the limit still gets an answer that says why.
const HEAD_BYTES_READ_MAX: usize = 64 * 1024;

/// How long accepting rests when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port on loopback.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl Listener {
    /// Listens on `port` of 127.0.0.1; 0 is any free one.
    pub async fn bind(port: u16) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the one place")]
        Self::new(TcpListener::bind(("127.0.0.1", port)).await?)
    }

    /// Takes over a port that is listened on.
    pub fn new(tcp: TcpListener) -> io::Result<Self> {
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address, read_timeout: READ_TIMEOUT, write_timeout: WRITE_TIMEOUT })
    }

    /// The address as a URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers requests for ever. Pages of `other_origins` may send some, too; `*` is every origin. Dropping the future ends
    /// every connection.
    pub async fn serve(self, router: Router, other_origins: Vec<String>) {
        let admission = Arc::new(Admission { other_origins, read_timeout: self.read_timeout });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.read_timeout).max_header_size(HEAD_BYTES_READ_MAX);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let mut stream = TimeoutStream::new(stream);
                    stream.set_write_timeout(Some(self.write_timeout));
                    let service = service(router.clone(), Arc::clone(&admission), peer);
                    connections.spawn(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
                }
                // A client that has gone again, or a process without free file descriptors. Both pass.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// Answers the requests of one connection.
fn service(
    router: Router,
    admission: Arc<Admission>,
    peer: SocketAddr,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> {
    let router = TowerToHyperService::new(router);
    service_fn(move |request: Request<Incoming>| {
        let (router, admission) = (router.clone(), Arc::clone(&admission));
        async move {
            // A client that sends many requests at once on one connection waits its turn for each.
            tokio::task::yield_now().await;
            match admission.admit(request).await {
                Ok(mut request) => {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    router.call(request).await
                }
                Err(refusal) => Ok(refuse(refusal)),
            }
        }
    })
}
