//! Queries, asked as clients do: page by page, while projectors write, each answer checked.

use std::collections::HashMap;

use aggregate::{AggregateId, Timestamp, Version};
use api::{Call, Reader};
use domain::StatementEntry;
use eventing::{HOLD_BACK, HistoryTable, Host, ReadTable, catch_up};
use lambda_http::{
    Body, Request, RequestExt,
    aws_lambda_events::apigw::{
        ApiGatewayRequestAuthorizer, ApiGatewayRequestAuthorizerJwtDescription, ApiGatewayV2httpRequestContext,
    },
    request::RequestContext,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    answers::{self, List},
    machine::Machine,
    mutants::Mutant,
    ports::Services,
    readers::Reading,
    replicas::CursorSecret,
};

/// Pages that somebody reads at most, while everything goes on.
const PAGES_MAX: u32 = 8;

/// What somebody wants to know.
#[derive(Debug, Clone)]
pub struct Query {
    user: &'static str,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Account { id: AggregateId, as_of: AsOf },
    Statement { id: AggregateId, from: Option<Timestamp>, to: Option<Timestamp> },
    Events { id: AggregateId },
    Transactions { id: AggregateId },
    Accounts,
    Transaction { id: AggregateId },
    Journal { since: Option<Timestamp>, event_type: Option<&'static str> },
    Totals,
}

/// The state of an account that somebody wants to see.
#[derive(Debug, Clone, Copy)]
pub enum AsOf {
    Now,
    Version(Version),
    Time(Timestamp),
}

impl Query {
    /// One of all queries, about something that there is, nearly always.
    pub fn drawn(services: &Services) -> Option<Self> {
        let shared = services.shared();
        let rows = &shared.ledger.account_rows;
        let rng = &mut services.machine.state().rng;
        let id = rng.choice(rows.keys().collect::<Vec<_>>()).copied()?;
        let times: Vec<Timestamp> = rows[&id].iter().map(|row| row.updated_at).collect();
        let transactions: Vec<AggregateId> = shared.ledger.transaction_rows.keys().copied().collect();
        let transaction = rng.choice(&transactions).copied();
        let time = |rng: &mut fastrand::Rng| rng.choice(&times).copied().filter(|_| rng.bool());
        let what = match rng.u32(0..20) {
            0..2 => What::Account { id, as_of: AsOf::Now },
            2 => What::Account { id, as_of: AsOf::Version(rng.u64(1..=times.len() as u64 + 1)) },
            3 => What::Account { id, as_of: time(rng).map_or(AsOf::Now, AsOf::Time) },
            4..9 => {
                What::Statement { id, from: time(rng).filter(|_| rng.bool()), to: time(rng).filter(|_| rng.bool()) }
            }
            9..11 => What::Events { id },
            11..13 => What::Transactions { id },
            13..15 => What::Accounts,
            15..17 => What::Transaction { id: transaction? },
            17 => {
                let event_type = rng.bool().then_some("MoneyDeposited");
                What::Journal { since: time(rng), event_type }
            }
            18 => What::Totals,
            // An id that nobody has, or another aggregate's.
            _ => What::Account { id: transaction.unwrap_or(AggregateId(Uuid::nil())), as_of: AsOf::Now },
        };
        let user = match what {
            What::Journal { .. } | What::Totals => "admin",
            _ if rng.u32(0..8) == 0 => "stranger",
            _ => "owner",
        };
        Some(Self { user, what })
    }

    /// Everything about one account, and all lists.
    pub fn everything(services: &Services) -> Vec<Self> {
        let shared = services.shared();
        let ids: Vec<AggregateId> = shared.ledger.account_rows.keys().copied().collect();
        let id = services.machine.state().rng.choice(&ids).copied();
        let of_all = [What::Accounts, What::Totals];
        let of_account = id.into_iter().flat_map(|id| {
            [
                What::Account { id, as_of: AsOf::Now },
                What::Statement { id, from: None, to: None },
                What::Events { id },
                What::Transactions { id },
            ]
        });
        let user = |what: &What| if matches!(what, What::Totals) { "admin" } else { "owner" };
        of_account.chain(of_all).map(|what| Self { user: user(&what), what }).collect()
    }
}

/// Asks, page by page; whether everything was answered. At rest, everything is, and is the whole.
pub async fn ask(services: Services, Query { user, what }: Query, at_rest: bool) -> bool {
    let client = Client { services, user, at_rest };
    match what {
        What::Account { id, as_of } => client.account(id, as_of).await,
        What::Statement { id, from, to } => client.statement(id, (from, to)).await,
        What::Events { id } => client.events(id).await,
        What::Transactions { id } => client.list(List::TransactionsOf(id)).await,
        What::Accounts => client.list(List::Accounts).await,
        What::Transaction { id } => client.transaction(id).await,
        What::Journal { since, event_type } => client.journal(since, event_type).await,
        What::Totals => client.totals().await,
    }
}

/// The administrator who keeps reading the journal reads one page more; whether there was anything new.
pub async fn follow_journal(services: Services) -> bool {
    let client = Client { services, user: "admin", at_rest: false };
    let cursor = client.services.shared().readers.cursor.clone();
    let parameters = [Some(client.limit()), cursor.clone().map(|cursor| ("cursor", cursor))];
    let Ok((body, _)) = client.get("GET /events", None, parameters.into_iter().flatten().collect()).await else {
        return false;
    };
    let next = body["next_cursor"].as_str().map(str::to_owned);
    let is_new = next != cursor;
    let mut shared = client.services.shared();
    shared.readers.seen.extend(answers::event_ids(&body));
    shared.readers.cursor = next;
    is_new
}

/// Somebody who asks.
struct Client {
    services: Services,
    user: &'static str,
    at_rest: bool,
}

type Parameters = Vec<(&'static str, String)>;

/// A body and who it was for, or the status of a problem.
type Outcome = Result<(Value, Reader), u16>;

impl Client {
    async fn account(&self, id: AggregateId, as_of: AsOf) -> bool {
        let min_version = self.min_version(id).filter(|_| matches!(as_of, AsOf::Now));
        let parameter = match as_of {
            AsOf::Now => min_version.map(|version| ("min_version", version.to_string())),
            AsOf::Version(version) => Some(("version", version.to_string())),
            AsOf::Time(time) => Some(("at", time.to_string())),
        };
        let known = self.known(id);
        let may_see = self.may_see_account(id);
        let outcome = self.get("GET /accounts/{id}", Some(id), parameter.into_iter().collect()).await;
        let shared = self.services.shared();
        match outcome {
            Ok((body, _)) => {
                assert!(self.may_see(&shared.ledger, id), "I21: {} is shown account {id}", self.user);
                answers::check_account(&shared.ledger, id, (known, min_version.unwrap_or(0)), as_of, &body);
                true
            }
            Err(status) => {
                let asked = if let AsOf::Version(version) = as_of { version } else { min_version.unwrap_or(0) };
                let is_before_all = matches!(as_of, AsOf::Time(time) if answers::is_before(&shared.ledger, id, time));
                self.check_refusal(status, may_see && !is_before_all, asked > known)
            }
        }
    }

    async fn transaction(&self, id: AggregateId) -> bool {
        let min_version = self.min_version(id);
        let (known, may_see) = {
            let shared = self.services.shared();
            (shared.ledger.version(id), answers::may_see_transaction(&shared.ledger, id, self.user))
        };
        let parameters = min_version.map(|version| ("min_version", version.to_string())).into_iter().collect();
        let outcome = self.get("GET /transactions/{id}", Some(id), parameters).await;
        let shared = self.services.shared();
        match outcome {
            Ok((body, reader)) => {
                let may_see = answers::may_see_transaction(&shared.ledger, id, self.user);
                assert!(may_see, "I21: {} is shown transaction {id}", self.user);
                let version = answers::check_transaction(&shared.ledger, id, &reader, &body);
                let least = min_version.unwrap_or(0);
                assert!(version >= least, "I20: version {version} of {id} for a reader who knows of {least}");
                true
            }
            Err(status) => self.check_refusal(status, may_see, min_version.unwrap_or(0) > known),
        }
    }

    async fn statement(&self, id: AggregateId, window: (Option<Timestamp>, Option<Timestamp>)) -> bool {
        let times = [window.0.map(|time| ("from", time.to_string())), window.1.map(|time| ("to", time.to_string()))];
        let (mut cursor, mut before) = (None, None);
        for page in 0.. {
            // A cursor is good with any version, or without.
            let min_version = self.min_version(id);
            let of_page =
                [Some(self.limit()), min_version.map(|version| ("min_version", version.to_string())), cursor.take()];
            let (known, may_see) = (self.known(id), self.may_see_account(id));
            let parameters = times.iter().cloned().chain(of_page).flatten().collect();
            let outcome = match (min_version, self.services.lacks(Mutant::JointWithoutBoundary)) {
                (Some(min_version), true) if page == 0 && window == (None, None) && !self.at_rest => {
                    let Some(entries) = self.joined_without_a_boundary(id, min_version).await else { return false };
                    let shared = self.services.shared();
                    answers::check_statement_page(&shared.ledger, id, window, (before, min_version), &entries, false);
                    return false;
                }
                _ => self.get("GET /accounts/{id}/statement", Some(id), parameters).await,
            };
            let shared = self.services.shared();
            let (body, _) = match outcome {
                Ok(answer) => answer,
                Err(status) => return self.check_refusal(status, may_see, min_version.unwrap_or(0) > known),
            };
            assert!(self.may_see(&shared.ledger, id), "I21: {} is shown the statement of {id}", self.user);
            // At rest the tables have everything.
            let at_least = if self.at_rest { Version::MAX } else { min_version.unwrap_or(0) };
            let (items, next) = answers::page(&body);
            answers::check_statement_page(&shared.ledger, id, window, (before, at_least), items, next.is_none());
            let last = items.last().and_then(|item| item["version"].as_u64());
            before = last.or(before);
            cursor = next;
            if cursor.is_none() || (!self.at_rest && page == PAGES_MAX) {
                break;
            }
        }
        true
    }

    async fn events(&self, id: AggregateId) -> bool {
        let (mut cursor, mut from) = (None, 1);
        for page in 0.. {
            let may_see = self.may_see_account(id);
            let parameters = [Some(self.limit()), cursor.take()].into_iter().flatten().collect();
            let outcome = self.get("GET /accounts/{id}/events", Some(id), parameters).await;
            let shared = self.services.shared();
            let (body, _) = match outcome {
                Ok(answer) => answer,
                Err(status) => return self.check_refusal(status, may_see, false),
            };
            assert!(self.may_see(&shared.ledger, id), "I21: {} is shown the events of {id}", self.user);
            let (items, next) = answers::page(&body);
            from = answers::check_events_page(&shared.ledger, id, from, items);
            if next.is_none() && self.at_rest {
                assert_eq!(from - 1, shared.ledger.version(id), "I20: pages of events are not the whole");
            }
            cursor = next;
            if cursor.is_none() || (!self.at_rest && page == PAGES_MAX) {
                break;
            }
        }
        true
    }

    async fn list(&self, list: List) -> bool {
        let must = list.certain(&self.services, self.user, self.at_rest);
        let (mut cursor, mut seen) = (None, Vec::new());
        for page in 0.. {
            let (route, id, may_see) = match list {
                List::Accounts => ("GET /accounts", None, true),
                List::TransactionsOf(id) => ("GET /accounts/{id}/transactions", Some(id), self.may_see_account(id)),
            };
            let parameters = [Some(self.limit()), cursor.take()].into_iter().flatten().collect();
            let (body, reader) = match self.get(route, id, parameters).await {
                Ok(answer) => answer,
                Err(status) => return self.check_refusal(status, may_see, false),
            };
            let shared = self.services.shared();
            let may_look = id.is_none_or(|id| self.may_see(&shared.ledger, id));
            assert!(may_look, "I21: {} is shown the transactions of {id:?}", self.user);
            let (items, next) = answers::page(&body);
            list.check_page(&shared.ledger, &reader, items, &mut seen);
            cursor = next;
            if cursor.is_none() {
                let missing = must.iter().find(|id| !seen.iter().any(|(_, seen)| seen == *id));
                assert_eq!(missing, None, "I20: pages of a list are not the whole");
            }
            if cursor.is_none() || (!self.at_rest && page == PAGES_MAX) {
                break;
            }
        }
        true
    }

    async fn journal(&self, since: Option<Timestamp>, event_type: Option<&'static str>) -> bool {
        let wanted = [since.map(|time| ("since", time.to_string())), event_type.map(|name| ("type", name.to_owned()))];
        let event_type = event_type.map(str::to_owned);
        let mut reading = Reading { since, event_type, seen: Vec::new(), complete_until: None };
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let parameters = wanted.iter().cloned().chain([Some(self.limit()), cursor.take()]).flatten().collect();
            let (body, _) = match self.get("GET /events", None, parameters).await {
                Ok(answer) => answer,
                Err(status) => return self.check_refusal(status, true, false),
            };
            reading.seen.extend(answers::event_ids(&body));
            reading.complete_until = body["complete_until"].as_str().and_then(|time| time.parse().ok());
            cursor = answers::page(&body).1;
        }
        self.services.shared().readers.others.push(reading);
        true
    }

    async fn totals(&self) -> bool {
        let outcome = self.get("GET /totals", None, Vec::new()).await;
        let shared = self.services.shared();
        match outcome {
            Ok((body, _)) => {
                answers::check_totals(&shared.ledger, &body, self.at_rest);
                true
            }
            Err(status) => self.check_refusal(status, true, false),
        }
    }

    /// What is answered where an answer cannot be given, and only there; false, for it is none.
    fn check_refusal(&self, status: u16, is_there: bool, is_early: bool) -> bool {
        let is_right = match status {
            503 => !self.at_rest,
            // To old code, an event in the new form is one of the future.
            500 => self.services.old_code,
            404 => !is_there,
            409 => is_there && is_early,
            _ => false,
        };
        assert!(is_right, "I20: {} is answered with {status}", self.user);
        false
    }

    fn may_see(&self, ledger: &ledger::Ledger, id: AggregateId) -> bool {
        self.user == "owner" && ledger.account_rows.contains_key(&id)
    }

    /// The version that is recorded by now.
    fn known(&self, id: AggregateId) -> Version {
        self.services.shared().ledger.version(id)
    }

    fn may_see_account(&self, id: AggregateId) -> bool {
        self.may_see(&self.services.shared().ledger, id)
    }

    /// A version that somebody knows of, or guesses.
    fn min_version(&self, id: AggregateId) -> Option<Version> {
        let version = self.known(id);
        let rng = &mut self.services.machine.state().rng;
        match rng.u32(0..10) {
            0..4 => None,
            9 if !self.at_rest => Some(version + 1),
            _ => Some(rng.u64(0..=version)),
        }
    }

    fn limit(&self) -> (&'static str, String) {
        let rng = &mut self.services.machine.state().rng;
        let limit = [1, 2, 3, 5, 20, 100][rng.usize(0..6)];
        ("limit", limit.to_string())
    }

    async fn get(&self, route: &'static str, id: Option<AggregateId>, mut parameters: Parameters) -> Outcome {
        let Services { machine, .. } = &self.services;
        let is_answered = self.user == "stranger" && self.services.lacks(Mutant::StrangersAreAnswered);
        let user = if is_answered { "owner" } else { self.user };
        if self.services.lacks(Mutant::MinVersionIsIgnored) {
            parameters.retain(|(name, _)| *name != "min_version");
        }
        let call = Call::new(request(user, route, id, parameters), machine);
        let reader = call.reader().map_err(|problem| problem.status().as_u16())?;
        let cloud = self.services.cloud();
        let outcome = if self.user == "admin" {
            let (journal, totals) = (cloud.journal.clone(), cloud.totals.clone());
            let queries = admin_queries::Queries { journal, totals, cursor_keys: CursorSecret };
            if self.services.lacks(Mutant::NoHoldBack) {
                Box::pin(queries.answer(&Ahead(machine.clone()), &call)).await
            } else {
                Box::pin(queries.answer(machine, &call)).await
            }
        } else {
            let queries = account_queries::Queries {
                store: self.services.clone(),
                accounts: cloud.accounts.clone(),
                statement: cloud.statement.clone(),
                transactions: cloud.transactions.clone(),
                cursor_keys: CursorSecret,
            };
            Box::pin(queries.answer(&call)).await
        };
        let response = outcome.map_err(|problem| problem.status().as_u16())?;
        let body = serde_json::from_slice(response.body()).expect("I20: an answer is JSON");
        Ok((body, reader))
    }

    /// A page of a statement as it was once made: the entries that the table lacks, and then the table as it is by now.
    async fn joined_without_a_boundary(&self, id: AggregateId, min_version: Version) -> Option<Vec<Value>> {
        let table = &self.services.cloud().statement;
        let newest = table.latest(id).await.ok()?;
        let fresh = catch_up(&self.services, id, newest.as_ref(), min_version).await.ok()?;
        let rows: Vec<StatementEntry> = table.newest_first(id, 1..Version::MAX, 20).await.ok()?;
        let entries = fresh.into_iter().rev().chain(rows).filter(|entry| entry.amount.is_some());
        Some(entries.map(answers::entry).collect())
    }
}

/// A request as API Gateway hands it on.
fn request(user: &str, route: &'static str, id: Option<AggregateId>, parameters: Parameters) -> Request {
    let mut token = ApiGatewayRequestAuthorizerJwtDescription::default();
    token.claims.insert("sub".to_owned(), user.to_owned());
    token.claims.insert("scope".to_owned(), format!("daybook/{user}"));
    let mut authorizer = ApiGatewayRequestAuthorizer::default();
    authorizer.jwt = Some(token);
    let mut context = ApiGatewayV2httpRequestContext::default();
    (context.route_key, context.authorizer) = (Some(route.to_owned()), Some(authorizer));
    let id = id.map(|id| ("id".to_owned(), id.to_string()));
    let path = route.trim_start_matches("GET ").replace("{id}", id.as_ref().map_or("", |(_, id)| id));
    let parameters: HashMap<String, String> =
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Request::new(Body::Empty)
        .with_raw_http_path(path)
        .with_path_parameters(id.into_iter().collect::<HashMap<String, String>>())
        .with_query_string_parameters(parameters)
        .with_request_context(RequestContext::ApiGatewayV2(context))
}

/// A machine whose readers do not hold back.
struct Ahead(Machine);

impl Host for Ahead {
    fn now(&self) -> Timestamp {
        let micros = i64::try_from(HOLD_BACK.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.0.now().as_micros() + micros)
    }

    async fn sleep(&self, duration: std::time::Duration) {
        self.0.sleep(duration).await;
    }

    fn new_id(&self) -> Uuid {
        self.0.new_id()
    }

    fn jitter(&self, ceiling: std::time::Duration) -> std::time::Duration {
        self.0.jitter(ceiling)
    }
}
