//! Clients who deposit, withdraw and pay, each under a key of its own, and ask again until they know the outcome.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use ureq::{Agent, Body, http::Response};

use crate::cloud::Cloud;

/// An account: its id, and its owner's token.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub token: String,
}

/// A command that was acknowledged, as it was sent and as it was answered.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub account: usize,
    pub path: String,
    pub key: String,
    pub body: Value,
    pub answer: Value,
}

/// What clients were told.
#[derive(Debug, Default)]
pub struct Told {
    pub accounts: Vec<Account>,
    pub acknowledged: Vec<Acknowledged>,
    /// Ids, each with the account that pays.
    pub transactions: Vec<(usize, String)>,
    pub deposits: u64,
    pub withdrawals: u64,
    pub refusals: u64,
    pub requests: u64,
    /// Minor units that were deposited and not withdrawn.
    pub paid_in: i64,
}

impl Told {
    pub fn new(accounts: Vec<Account>) -> Self {
        Self { accounts, ..Self::default() }
    }

    /// What two were told.
    pub fn with(mut self, other: Self) -> Self {
        self.acknowledged.extend(other.acknowledged);
        self.transactions.extend(other.transactions);
        self.deposits += other.deposits;
        self.withdrawals += other.withdrawals;
        self.refusals += other.refusals;
        self.requests += other.requests;
        self.paid_in += other.paid_in;
        self
    }
}

/// How long before a request without a clear answer is sent again.
const PAUSE: Duration = Duration::from_millis(50);

/// An agent that takes every status as an answer.
pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(35)));
    config.build().into()
}

/// Requests of one command, at most: minutes, of which a local cloud that is started again needs a second.
const REQUESTS_MAX: u64 = 2_000;

/// Sends a request until there is a clear answer: the status and the body, and how many requests that took.
fn ask(send: impl Fn() -> Result<Response<Body>, ureq::Error>) -> Result<(u16, Value, u64), String> {
    for requests in 1..=REQUESTS_MAX {
        if let Ok(mut answer) = send() {
            let status = answer.status().as_u16();
            // A read that is cut off is as if there were no answer.
            if status < 500
                && status != 429
                && let Ok(body) = answer.body_mut().read_json()
            {
                return Ok((status, body, requests));
            }
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("nobody answers after {REQUESTS_MAX} requests"))
}

/// Posts under a key until the outcome is known.
pub fn post(agent: &Agent, url: &str, token: &str, key: &str, body: &Value) -> Result<(u16, Value, u64), String> {
    let request = || agent.post(url).header("authorization", format!("Bearer {token}")).header("idempotency-key", key);
    ask(|| request().send_json(body)).map_err(|error| format!("{key}: {error}"))
}

/// What is shown at `url`.
pub fn get(agent: &Agent, url: &str, token: &str) -> Result<Value, String> {
    match ask(|| agent.get(url).header("authorization", format!("Bearer {token}")).call()) {
        Ok((200, shown, _)) => Ok(shown),
        Ok((status, answer, _)) => Err(format!("{url} answers {status} {answer}")),
        Err(error) => Err(format!("{url}: {error}")),
    }
}

/// A token of a user of the local cloud.
pub fn token_of(cloud: &Cloud, user: &str) -> Result<String, String> {
    let token = ureq::get(format!("{}/_local/tokens/{user}", cloud.url)).call();
    token.and_then(|mut token| token.body_mut().read_to_string()).map_err(|error| error.to_string())
}

/// Opens accounts in euros, each of a user of its own.
pub fn open_accounts(cloud: &Cloud, number: u64) -> Result<Vec<Account>, String> {
    let open = |number: u64| {
        let token = token_of(cloud, &format!("user-{number}"))?;
        let body = json!({ "currency": "EUR" });
        let (status, answer, _) = post(&agent(), &format!("{}/accounts", cloud.url), &token, "open", &body)?;
        let id =
            answer["id"].as_str().filter(|_| status == 201).ok_or_else(|| format!("no account: {status} {answer}"))?;
        Ok(Account { id: id.to_owned(), token })
    };
    (0..number).map(open).collect()
}

/// One client, until told to stop.
pub fn client(cloud: &Cloud, number: u64, accounts: &[Account], goes_on: &AtomicBool) -> Result<Told, String> {
    let (mut told, agent) = (Told::default(), agent());
    let mut rng = fastrand::Rng::with_seed(number);
    for command in 0.. {
        if !goes_on.load(Ordering::Relaxed) {
            break;
        }
        // A third of everything is about one account.
        let mut pick = || if rng.u8(0..3) == 0 { 0 } else { rng.usize(0..accounts.len()) };
        let (account, other) = (pick(), pick());
        let minor = rng.i64(1..2_000);
        let amount = format!("{}.{:02}", minor / 100, minor % 100);
        let (from, to) = (&accounts[account].id, &accounts[other].id);
        let (path, body, paid_in) = match rng.u8(0..20) {
            0..5 => (format!("/accounts/{from}/deposits"), json!({ "amount": amount, "currency": "EUR" }), minor),
            5..7 => (format!("/accounts/{from}/withdrawals"), json!({ "amount": amount, "currency": "EUR" }), -minor),
            _ => {
                let body = json!({ "from": from, "to": to, "amount": amount, "currency": "EUR" });
                ("/transactions".to_owned(), body, 0)
            }
        };
        let key = format!("client-{number}-{command}");
        let token = &accounts[account].token;
        let (status, answer, requests) = post(&agent, &format!("{}{path}", cloud.url), token, &key, &body)?;
        told.requests += requests;
        match status {
            200 | 202 => {
                told.paid_in += paid_in;
                match paid_in.signum() {
                    1 => told.deposits += 1,
                    -1 => told.withdrawals += 1,
                    _ => {
                        let id =
                            answer["id"].as_str().ok_or_else(|| format!("a transaction without an id: {answer}"))?;
                        told.transactions.push((account, id.to_owned()));
                    }
                }
                if paid_in != 0 && rng.u8(0..8) == 0 {
                    read_back(&agent, cloud, &accounts[account], &answer)?;
                }
                told.acknowledged.push(Acknowledged { account, path, key, body, answer });
            }
            // Too little money, from an account to itself, or frozen.
            422 => told.refusals += 1,
            status => return Err(format!("{path} answers {status}: {answer}")),
        }
    }
    Ok(told)
}

/// I20: who was answered asks to see at least that.
fn read_back(agent: &Agent, cloud: &Cloud, account: &Account, answer: &Value) -> Result<(), String> {
    let version = &answer["version"];
    let shown = get(agent, &format!("{}/accounts/{}?min_version={version}", cloud.url, account.id), &account.token)?;
    if shown["version"].as_u64() >= version.as_u64() {
        Ok(())
    } else {
        Err(format!("I20: {} shows {shown} to who knows of version {version}", account.id))
    }
}

/// The bank itself, which freezes accounts for a moment, so that some money comes back. All but the first, which is hot.
pub fn administrator(cloud: &Cloud, accounts: &[Account], goes_on: &AtomicBool) -> Result<(), String> {
    const FROZEN_FOR: Duration = Duration::from_millis(200);
    let (agent, token) = (agent(), token_of(cloud, "admin")?);
    for number in 0.. {
        if !goes_on.load(Ordering::Relaxed) {
            break;
        }
        let id = &accounts[1 + number % (accounts.len() - 1)].id;
        for what in ["freeze", "unfreeze"] {
            let url = format!("{}/accounts/{id}/{what}", cloud.url);
            let (status, answer, _) = post(&agent, &url, &token, &format!("{what}-{number}"), &json!({}))?;
            if status != 200 {
                return Err(format!("{url} answers {status} {answer}"));
            }
            std::thread::sleep(FROZEN_FOR);
        }
    }
    Ok(())
}
