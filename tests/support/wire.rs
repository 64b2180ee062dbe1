//! The wire between AWS's SDK and a service, with faults: a request that does not arrive, an answer that does not, or another one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use aws_sdk_dynamodb::config::{HttpClient, SharedHttpClient, retry::RetryConfig};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};

/// What happens to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It does not arrive, and this is answered.
    Before(Reply),
    /// It arrives and has its effect, and this is answered.
    After(Reply),
}

/// What the SDK sees instead of the service's answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and a body.
    Status(u16, String),
    /// Nothing, for too long.
    Timeout,
    /// Nothing, ever: how long that is too long is for the client to say.
    Silence,
    /// The connection breaks.
    Broken,
}

#[derive(Debug, Default)]
struct Script {
    faults: VecDeque<Fault>,
    /// What happens to every request with this text in it.
    of_text: Vec<(String, Reply)>,
    /// The bodies of all requests, whether or not they arrived.
    sent: Vec<String>,
}

/// The wire; clones are the same one. Without a script it is a good one.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<Script>>);

impl Wire {
    /// What will happen to the next requests. Those after them arrive.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.lock() = Script { faults: faults.into_iter().collect(), ..Script::default() };
    }

    /// What is answered from now on to every request that has `text` in its body, and that does not arrive.
    pub fn answer_all_with(&self, text: &str, reply: Reply) {
        self.lock().of_text.push((text.to_owned(), reply));
    }

    /// The bodies of the requests since the script was given.
    #[must_use]
    pub fn sent(&self) -> Vec<String> {
        self.lock().sent.clone()
    }

    /// What sends requests over this wire.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let (wire, inner) = (self.clone(), aws_smithy_http_client::Builder::new().build_http());
        http_client_fn(move |settings, components| {
            let inner = inner.http_connector(settings, components);
            SharedHttpConnector::new(Connector { wire: wire.clone(), inner })
        })
    }

    /// As many attempts as in production, without the waits between them.
    #[must_use]
    pub fn retries() -> RetryConfig {
        let none = Duration::from_millis(1);
        aws::retries().with_initial_backoff(none).with_max_backoff(none)
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }
}

#[derive(Debug)]
struct Connector {
    wire: Wire,
    inner: SharedHttpConnector,
}

impl Reply {
    fn answer(self) -> Result<HttpResponse, ConnectorError> {
        match self {
            Self::Status(status, body) => Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), body.into())),
            Self::Timeout | Self::Silence => Err(ConnectorError::timeout("no answer".into())),
            Self::Broken => Err(ConnectorError::io("the connection broke".into())),
        }
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let fault = {
            let mut script = self.wire.lock();
            let body = body.unwrap_or_default();
            let of_text = script.of_text.iter().find(|(text, _)| body.contains(text));
            let of_text = of_text.map(|(_, reply)| Fault::Before(reply.clone()));
            script.sent.push(body);
            of_text.or_else(|| script.faults.pop_front()).unwrap_or(Fault::None)
        };
        match fault {
            Fault::None => self.inner.call(request),
            Fault::Before(Reply::Silence) => HttpConnectorFuture::new(std::future::pending()),
            Fault::Before(reply) => HttpConnectorFuture::ready(reply.answer()),
            Fault::After(reply) => {
                let arrives = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    arrives.await?;
                    reply.answer()
                })
            }
        }
    }
}
