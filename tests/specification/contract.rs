//! The contract is what the code says, and the template has the same routes.

use std::collections::BTreeSet;

use api::{DOCUMENTATION, FieldError, OPERATIONS, Problem, openapi};
use domain::{Currency, Rejection};
use local::template::Route;
use serde_json::{Value, json};
use tests::{Contract, repository};

#[test]
fn the_checked_in_document_is_what_the_code_makes() {
    let mut contract = Contract::read();
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        Contract::write(&contract.examples());
        contract = Contract::read();
    }
    let made = serde_json::to_value(openapi(&contract.examples())).unwrap();
    let checked_in = serde_json::to_value(contract.document()).unwrap();
    assert!(made == checked_in, "run `UPDATE_CONTRACT=1 cargo test -p tests contract` and look at the difference");
}

#[test]
fn the_template_has_the_same_routes_with_the_same_names_and_scopes() {
    let template = std::fs::read_to_string(repository().join("template.yaml")).unwrap();
    let routes = local::template::load(&repository().join("template.yaml")).unwrap().routes;
    // Beside the operations: what matches no route, what browsers ask before they call, and the API's documentation.
    let is_documentation = |route: &Route| DOCUMENTATION.contains(&(route.method.as_str(), route.path.as_str()));
    let documentation: Vec<&Route> = routes.iter().filter(|route| is_documentation(route)).collect();
    assert_eq!(documentation.len(), DOCUMENTATION.len());
    assert!(
        documentation.iter().all(|route| !route.authorized && route.scopes.is_empty() && route.function == "api-docs")
    );
    let routes = routes.iter().filter(|route| route.path != "$default" && route.method != "OPTIONS");
    let routes = routes.filter(|route| !is_documentation(route));
    let of_template: BTreeSet<_> = routes
        .map(|route| (route.method.clone(), route.path.clone(), route.scopes.clone(), route.name.clone()))
        .collect();
    let of_edge: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|it| (it.method.to_owned(), it.path.to_owned(), vec![it.scope.to_owned()], it.id.to_owned()))
        .collect();
    assert_eq!(of_template, of_edge);
    assert!(template.contains("$default"), "what matches no route is answered by the functions");
}

/// Every value in the document, with its place.
fn values<'a>(place: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (format!("{place}/{name}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (format!("{place}/{at}"), value)).collect(),
        _ => Vec::new(),
    };
    let below = below.iter().flat_map(|(place, value)| values(place, value));
    std::iter::once((place.to_owned(), value)).chain(below).collect()
}

#[test]
fn the_document_has_nothing_that_client_generators_misread() {
    let document = serde_json::to_value(Contract::read().document()).unwrap();
    for (place, value) in values("", &document) {
        let choices = value.get("oneOf").or(value.get("anyOf")).and_then(Value::as_array);
        let constants = choices.is_some_and(|choices| choices.iter().any(|choice| choice.get("const").is_some()));
        assert!(!constants, "{place}: constants belong into one `enum`");
        assert!(choices.is_none() || value.get("properties").is_none(), "{place}: a union beside properties");
        assert!(!place.contains("/links/") || !place.ends_with("/requestBody"), "{place}: a body in a link");
        if value["enum"][0].as_str().is_some_and(|first| first.starts_with("/problems/")) {
            let names = value["x-enum-varnames"].as_array().map(Vec::len);
            assert_eq!(names, value["enum"].as_array().map(Vec::len), "{place}: every value has a name");
        }
    }
}

#[test]
fn every_member_of_a_problem_is_in_the_document() {
    let eur = Currency::from_code("EUR").unwrap();
    let rejections = [
        Rejection::CurrencyMismatch { account: eur, given: Currency::from_code("USD").unwrap() },
        Rejection::InsufficientFunds { currency: eur, available: 1.into() },
        Rejection::NotEmpty { currency: eur, balance: 1.into() },
        Rejection::InFlight { transactions: 1 },
        Rejection::OverdraftInUse { currency: eur, balance: (-1).into() },
    ];
    let others = [Problem::invalid_request(&[FieldError::parameter("limit", "is wrong")]), Problem::not_yet(1)];
    let document = serde_json::to_value(Contract::read().document()).unwrap();
    let known = |problem: &Value, schema: &str| {
        let properties = &document["components"]["schemas"][schema]["properties"];
        problem.as_object().unwrap().keys().all(|member| properties.get(member).is_some())
    };
    for problem in rejections.into_iter().map(Problem::from).chain(others) {
        let problem = problem.to_value().unwrap();
        assert!(known(&problem, "Problem") && known(&problem, "ProblemOrMessage"), "{problem}");
        for error in problem["errors"].as_array().into_iter().flatten() {
            assert!(known(error, "FieldError"), "{problem}");
        }
    }
}

#[test]
fn the_document_refuses_what_the_api_refuses() {
    let contract = Contract::read();
    let objection = |amount: &str, currency: &str| {
        let body = json!({ "amount": amount, "currency": currency });
        contract.objection_to_request("POST", "/accounts/{id}/deposits", &body)
    };
    for (amount, currency) in
        [("12.34", "EUR"), ("0.5", "EUR"), ("1", "JPY"), ("1.234", "KWD"), ("10000000000.00", "EUR"), ("0.0001", "CLF")]
    {
        assert_eq!(objection(amount, currency), None, "{amount} {currency}");
    }
    for (amount, currency) in [
        ("0", "EUR"),
        ("0.00", "EUR"),
        ("0.001", "EUR"),
        ("1.0", "JPY"),
        ("10000000001", "EUR"),
        ("007", "EUR"),
        ("-1", "EUR"),
        ("1e3", "EUR"),
        ("1.", "EUR"),
        ("1", "XAU"),
        ("1", "eur"),
    ] {
        assert!(objection(amount, currency).is_some(), "{amount} {currency}");
    }
    let zero = json!({ "amount": "0", "currency": "EUR" });
    assert_eq!(contract.objection_to_request("PUT", "/accounts/{id}/overdraft-limit", &zero), None);
    for body in [
        json!({ "amount": 1, "currency": "EUR" }),
        json!({ "amount": "1", "currency": "EUR", "owner": "bob" }),
        json!({ "amount": "1", "currency": "EUR", "description": "a\nb" }),
        json!({ "amount": "1", "currency": "EUR", "description": "x".repeat(141) }),
    ] {
        assert!(contract.objection_to_request("POST", "/accounts/{id}/deposits", &body).is_some(), "{body}");
    }
}
