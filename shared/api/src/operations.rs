//! Every operation of the API, in one table: what the contract (`infra/openapi.yaml`) is made from. The gateway routes by the
//! template, and a test holds the two against each other.

use aggregate::CorrelationId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::{
    ADMIN_SCOPE, AccountView, CreateAccountBody, JournalView, MoneyBody, OverdraftLimitBody, Problem,
    StatementEntryView, TotalsView, TransactionBody, TransactionView,
    call::{EVENT_TYPE, IDEMPOTENCY_KEY_CHARS_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX},
    views::{AccountEventView, Changed, PageView},
};

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// One operation.
pub struct Operation {
    /// The method.
    pub method: &'static str,
    /// The path, with `{parameters}`.
    pub path: &'static str,
    /// What it is called, here and in the template.
    pub id: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What a caller should know beside that.
    pub(crate) description: &'static str,
    /// Of a caller's token.
    pub scope: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) body: Option<SchemaOf>,
    /// The status of a success, and what comes with it.
    pub(crate) success: (u16, SchemaOf),
    /// The problems that are its own: those of its form come by themselves.
    pub(crate) refusals: &'static [&'static str],
}

/// A parameter of the query or a header.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) description: &'static str,
    pub(crate) schema: fn() -> Value,
}

/// The part of a request that a parameter is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Query,
    Header,
}

const fn query(name: &'static str, description: &'static str, schema: fn() -> Value) -> Parameter {
    Parameter { name, place: Place::Query, description, schema }
}

const fn header(name: &'static str, description: &'static str, schema: fn() -> Value) -> Parameter {
    Parameter { name, place: Place::Header, description, schema }
}

fn version() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX })
}

fn instant() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

const LIMIT: Parameter = query(
    "limit",
    "How many items the page may have.",
    || json!({ "type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS_DEFAULT }),
);
const CURSOR: Parameter = query(
    "cursor",
    "The `next_cursor` of the page before, of the same query.",
    || json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" }),
);
const MIN_VERSION: Parameter = query(
    "min_version",
    "Answers with at least this version, or with `not-yet`.",
    || json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
);
const IF_NONE_MATCH: Parameter = header(
    "If-None-Match",
    "The `ETag` of an answer that you have: 304 if it is still good.",
    || json!({ "type": "string" }),
);
const KEY: Parameter = header(
    "Idempotency-Key",
    "The same key with the same request has one effect and one answer, for ever; a repeated answer says `Idempotent-Replayed: true`. \
     A request that is refused or finds nothing to do leaves the key free. A key may be bare, or quoted as in the IETF's draft; \
     `k1` and `\"k1\"` are one key.",
    || {
        let (bare, quoted) = (r"[!#-+\--:<-~]", r#"[ !#-\[\]-~]|\\["\\]"#);
        let max = IDEMPOTENCY_KEY_CHARS_MAX;
        json!({ "type": "string", "pattern": format!("^({bare}{{1,{max}}}|\"({quoted}){{1,{max}}}\")$") })
    },
);
const IF_MATCH: Parameter = header(
    "If-Match",
    "The `ETag` of the account that you decided on, or several: 412 if it has another by now. A weak one never matches. `*` is every \
     version of what exists.",
    || {
        let tag = "(W/)?\"[1-9][0-9]{0,17}\"";
        json!({ "type": "string", "pattern": format!("^([*]|{tag}( *, *{tag}){{0,9}})$") })
    },
);
const CORRELATION_ID: Parameter = header(
    "X-Correlation-Id",
    "Joins everything that the request leads to. Made where there is none; always answered.",
    || json!({ "type": "string", "pattern": CorrelationId::RULE.pattern() }),
);

const COMMAND: &[Parameter] = &[KEY, IF_MATCH, CORRELATION_ID];
const PAGE: &[Parameter] = &[LIMIT, CURSOR];

const READ: &str = "daybook/read";
const WRITE: &str = "daybook/write";
const ADMIN: &str = ADMIN_SCOPE;

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        method: "POST",
        path: "/accounts",
        id: "CreateAccount",
        summary: "Opens an account of the caller's.",
        description: "The owner is the caller. The account is empty and holds one currency, for ever.",
        scope: WRITE,
        parameters: COMMAND,
        body: Some(of::<CreateAccountBody>),
        success: (201, of::<Changed>),
        refusals: &["already-open"],
    },
    Operation {
        method: "GET",
        path: "/accounts",
        id: "ListAccounts",
        summary: "The caller's accounts, oldest first.",
        description: "Read from a read model, which follows within moments.",
        scope: READ,
        parameters: PAGE,
        body: None,
        success: (200, of::<PageView<AccountView>>),
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "/accounts/{id}",
        id: "GetAccount",
        summary: "An account as it stands, or as it stood.",
        description: "With `version` or `at` it is folded from the events up to there; otherwise it is read from a read model.",
        scope: READ,
        parameters: &[
            MIN_VERSION,
            query("version", "As of this version.", version),
            query("at", "As of this instant. With `version` as well: of the earlier of the two.", instant),
            IF_NONE_MATCH,
        ],
        body: None,
        success: (200, of::<AccountView>),
        refusals: &[],
    },
    Operation {
        method: "POST",
        path: "/accounts/{id}/deposits",
        id: "DepositMoney",
        summary: "Puts money in.",
        description: "The amount is in the currency of the account.",
        scope: WRITE,
        parameters: COMMAND,
        body: Some(of::<MoneyBody>),
        success: (200, of::<Changed>),
        refusals: &["currency-mismatch", "account-closed", "account-frozen"],
    },
    Operation {
        method: "POST",
        path: "/accounts/{id}/withdrawals",
        id: "WithdrawMoney",
        summary: "Takes money out.",
        description: "At most what is `available`: the balance and the overdraft limit.",
        scope: WRITE,
        parameters: COMMAND,
        body: Some(of::<MoneyBody>),
        success: (200, of::<Changed>),
        refusals: &["currency-mismatch", "insufficient-funds", "account-closed", "account-frozen"],
    },
    Operation {
        method: "POST",
        path: "/accounts/{id}/close",
        id: "CloseAccount",
        summary: "Closes an account that is empty and has no transaction under way.",
        description: "A closed account stays closed and can still be read.",
        scope: WRITE,
        parameters: COMMAND,
        body: None,
        success: (200, of::<Changed>),
        refusals: &["account-not-empty", "transactions-under-way", "account-frozen", "account-closed"],
    },
    Operation {
        method: "POST",
        path: "/accounts/{id}/freeze",
        id: "FreezeAccount",
        summary: "Stops all movements of an account's money.",
        description: "Frozen again, nothing changes and the answer is the same.",
        scope: ADMIN,
        parameters: COMMAND,
        body: None,
        success: (200, of::<Changed>),
        refusals: &["account-closed"],
    },
    Operation {
        method: "POST",
        path: "/accounts/{id}/unfreeze",
        id: "UnfreezeAccount",
        summary: "Lets money move again.",
        description: "An account that is not frozen stays as it is.",
        scope: ADMIN,
        parameters: COMMAND,
        body: None,
        success: (200, of::<Changed>),
        refusals: &["account-closed"],
    },
    Operation {
        method: "PUT",
        path: "/accounts/{id}/overdraft-limit",
        id: "SetOverdraftLimit",
        summary: "Sets how far the balance may go below zero.",
        description: "Zero takes the overdraft away, unless it is in use.",
        scope: ADMIN,
        parameters: COMMAND,
        body: Some(of::<OverdraftLimitBody>),
        success: (200, of::<Changed>),
        refusals: &["currency-mismatch", "overdraft-in-use", "account-closed"],
    },
    Operation {
        method: "GET",
        path: "/accounts/{id}/statement",
        id: "GetStatement",
        summary: "What moved an account's money, with the balance after it, newest first.",
        description: "A transfer stands here once the money has moved, not when it is ordered.",
        scope: READ,
        parameters: &[
            query("from", "Entries of this instant and later.", instant),
            query("to", "Entries before this instant.", instant),
            MIN_VERSION,
            LIMIT,
            CURSOR,
        ],
        body: None,
        success: (200, of::<PageView<StatementEntryView>>),
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "/accounts/{id}/events",
        id: "GetEvents",
        summary: "The audit trail of an account: every event with who, when and why, oldest first. An event that another customer caused does not say who, or why.",
        description: "Read from the event store, so the newest are there at once.",
        scope: READ,
        parameters: PAGE,
        body: None,
        success: (200, of::<PageView<AccountEventView>>),
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "/accounts/{id}/transactions",
        id: "ListTransactions",
        summary: "The transactions from and to an account, newest first.",
        description: "Both what the account pays and what it is paid. Read from a read model, which follows within moments.",
        scope: READ,
        parameters: PAGE,
        body: None,
        success: (200, of::<PageView<TransactionView>>),
        refusals: &[],
    },
    Operation {
        method: "POST",
        path: "/transactions",
        id: "InitiateTransaction",
        summary: "Begins to move money from an account of the caller's to another account.",
        description: "The money moves after the answer. Follow the transaction until its status is `completed` or `failed`. It fails where the destination cannot receive the money.",
        scope: WRITE,
        parameters: COMMAND,
        body: Some(of::<TransactionBody>),
        success: (202, of::<Changed>),
        refusals: &["not-found", "currency-mismatch", "same-account"],
    },
    Operation {
        method: "GET",
        path: "/transactions/{id}",
        id: "GetTransaction",
        summary: "A transaction as it stands.",
        description: "For the owners of both accounts. A failed transaction has moved no money.",
        scope: READ,
        parameters: &[MIN_VERSION, IF_NONE_MATCH],
        body: None,
        success: (200, of::<TransactionView>),
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "/events",
        id: "ListEvents",
        summary: "The journal: every event of every account and transaction, oldest first.",
        description: "Keep `next_cursor` and continue with it later: no event is missed, and none comes twice.",
        scope: ADMIN,
        parameters: &[
            query("since", "Events of this instant and later.", instant),
            query("type", "Events of this type only.", || json!({ "type": "string", "pattern": EVENT_TYPE.pattern() })),
            LIMIT,
            CURSOR,
        ],
        body: None,
        success: (200, of::<JournalView>),
        refusals: &[],
    },
    Operation {
        method: "GET",
        path: "/totals",
        id: "GetTotals",
        summary: "What the bank holds and moves, by currency.",
        description: "Counted from the events, a few moments behind them.",
        scope: ADMIN,
        parameters: &[],
        body: None,
        success: (200, of::<TotalsView>),
        refusals: &[],
    },
];

impl Operation {
    /// Whether it changes something.
    #[must_use]
    pub fn is_command(&self) -> bool {
        self.method != "GET"
    }

    pub(crate) fn takes(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|known| known.name == parameter)
    }
}

/// Routes that need no token and no parameter of the query. They document the API, so they are no operations of its contract.
pub const DOCUMENTATION: [(&str, &str); 2] = [("GET", "/openapi.json"), ("GET", "/problems/{name}")];

/// The most parameters that a query has.
const QUERY_PARAMETERS_MAX: usize = 8;

/// The part of an operation that functions need. Copied when this is compiled, or the linker would keep what makes schemas in every
/// function.
struct Route {
    method: &'static str,
    path: &'static str,
    query: [&'static str; QUERY_PARAMETERS_MAX],
    query_count: usize,
}

const ROUTES_COUNT: usize = OPERATIONS.len() + DOCUMENTATION.len();

static ROUTES: [Route; ROUTES_COUNT] = {
    let mut routes =
        [const { Route { method: "", path: "", query: [""; QUERY_PARAMETERS_MAX], query_count: 0 } }; ROUTES_COUNT];
    let mut place = 0;
    while place < OPERATIONS.len() {
        let (operation, route) = (&OPERATIONS[place], &mut routes[place]);
        (route.method, route.path) = (operation.method, operation.path);
        let mut parameter = 0;
        while parameter < operation.parameters.len() {
            if matches!(operation.parameters[parameter].place, Place::Query) {
                route.query[route.query_count] = operation.parameters[parameter].name;
                route.query_count += 1;
            }
            parameter += 1;
        }
        place += 1;
    }
    let mut place = 0;
    while place < DOCUMENTATION.len() {
        let route = &mut routes[OPERATIONS.len() + place];
        (route.method, route.path) = DOCUMENTATION[place];
        place += 1;
    }
    routes
};

/// The parameters that the query of a route may have; nothing where there is no such route.
pub(crate) fn query_parameters(route_key: &str) -> Option<&'static [&'static str]> {
    let (method, path) = route_key.split_once(' ')?;
    let route = ROUTES.iter().find(|route| route.method == method && route.path == path)?;
    Some(&route.query[..route.query_count])
}

/// The problem of a request that matches no route.
#[must_use]
pub fn no_such_route(path: &str) -> Problem {
    let of_path = |template: &str| {
        let (template, path) = (template.split('/'), path.trim_end_matches('/').split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
    };
    let allowed: Vec<&str> = ROUTES.iter().filter(|route| of_path(route.path)).map(|route| route.method).collect();
    if allowed.is_empty() { Problem::no_such_route() } else { Problem::method_not_allowed(&allowed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_path_says_what_it_takes() {
        assert_eq!(no_such_route("/accounts").allow(), Some("POST, GET"));
        assert_eq!(no_such_route("/accounts/1").allow(), Some("GET"));
        assert_eq!(no_such_route("/accounts/1/deposits").allow(), Some("POST"));
        assert_eq!(no_such_route("/accounts/1/nothing").allow(), None);
        assert_eq!(no_such_route("/openapi.json").allow(), Some("GET"));
        assert_eq!(no_such_route("/problems/not-found").allow(), Some("GET"));
        assert_eq!(no_such_route("/").allow(), None);
    }
}
