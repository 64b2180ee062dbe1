//! The JWT authorizer of an HTTP API.
//!
//! Promises: a route that the template gives to the authorizer is reached only with a token of the template's issuer and
//! audience, in time, with one of the route's scopes; its claims reach the function, and nothing else that a caller sends can
//! take their place. See "Control access to HTTP APIs with JWT authorizers" in AWS's guide.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use jsonwebtoken::{DecodingKey, Validation, decode};
use serde_json::{Map, Value, json};

use super::{response::message, scopes};
use crate::{
    identity::{ALGORITHM, Identity},
    template::{Authorizer as Settings, Route},
};

/// The authorizer of the API.
pub struct Authorizer {
    settings: Settings,
    key: DecodingKey,
}

/// Why a request does not reach its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No token, or not a good one.
    Unauthorized,
    /// The token has none of the route's scopes.
    Forbidden,
}

type Claims = Map<String, Value>;

impl Authorizer {
    /// An authorizer that trusts the tokens of `identity`.
    pub fn new(settings: Settings, identity: &Identity) -> Self {
        Self { settings, key: identity.public_key() }
    }

    /// What the function gets to know of the caller; nothing where the route is open to everybody.
    pub fn authorize(&self, route: &Route, headers: &HeaderMap) -> Result<Option<Value>, Denied> {
        if !route.authorized {
            return Ok(None);
        }
        let claims = self.claims(headers).ok_or(Denied::Unauthorized)?;
        let claims = scopes::handed_on(&claims);
        let of_route = scopes::granted(&route.scopes, &claims);
        if of_route.is_empty() && !route.scopes.is_empty() {
            return Err(Denied::Forbidden);
        }
        let scopes = if route.scopes.is_empty() { Value::Null } else { json!(of_route) };
        Ok(Some(json!({ "jwt": { "claims": claims, "scopes": scopes } })))
    }

    /// The claims of a good token.
    fn claims(&self, headers: &HeaderMap) -> Option<Claims> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next()?.to_str().ok()?;
        // Two tokens are none: which one would count is nothing to guess.
        if values.next().is_some() {
            return None;
        }
        let token = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")).unwrap_or(value);
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss"]);
        validation.validate_nbf = true;
        // API Gateway takes `client_id` where there is no `aud`; see below.
        validation.validate_aud = false;
        validation.leeway = 0;
        let claims = decode::<Claims>(token, &self.key, &validation).ok()?.claims;
        let audience = claims.get("aud").or_else(|| claims.get("client_id"))?;
        let is_meant = |audience: &Value| {
            audience.as_str().is_some_and(|name| self.settings.audience.iter().any(|own| own == name))
        };
        let is_for_us = audience.as_array().map_or_else(|| is_meant(audience), |all| all.iter().any(is_meant));
        is_for_us.then_some(claims)
    }
}

impl Denied {
    /// As an HTTP API says it.
    pub fn response(self) -> Response {
        match self {
            Self::Unauthorized => {
                let mut response = message(StatusCode::UNAUTHORIZED, "Unauthorized");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
                response
            }
            Self::Forbidden => message(StatusCode::FORBIDDEN, "Forbidden"),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::identity::Wish;

    fn settings() -> Settings {
        Settings { issuer: "https://issuer".to_owned(), audience: vec!["api".to_owned()] }
    }

    fn route(scopes: &[&str]) -> Route {
        Route {
            name: String::new(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            function: String::new(),
            authorized: true,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            example: None,
        }
    }

    fn ask(identity: &Identity, scopes: &[&str], token: &str) -> Result<Option<Value>, Denied> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        Authorizer::new(settings(), identity).authorize(&route(scopes), &headers)
    }

    fn wish(text: &str) -> Wish {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_good_token_brings_its_claims_to_the_function() {
        let identity = Identity::new(settings(), None).unwrap();
        let token = identity.token("alice", &wish(r#"{"scope":"read write"}"#)).unwrap();
        let context = ask(&identity, &["write", "all"], &token).unwrap().unwrap();
        assert_eq!(context["jwt"]["claims"]["sub"], "alice");
        assert_eq!(context["jwt"]["scopes"], json!(["write"]));
        assert!(context["jwt"]["claims"]["exp"].is_string());
    }

    #[test]
    fn every_other_token_is_refused() {
        let identity = Identity::new(settings(), None).unwrap();
        let stranger = Identity::new(settings(), None).unwrap();
        let token = |text: &str| identity.token("alice", &wish(text)).unwrap();
        let good = token("{}");
        let parts: Vec<&str> = good.split('.').collect();
        let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let symmetric = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let forged =
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"bob","iss":"https://issuer","aud":"api","exp":9999999999}"#);
        for bad in [
            String::new(),
            "x".to_owned(),
            token(r#"{"expires_in":-1}"#),
            token(r#"{"audience":"other"}"#),
            token(r#"{"issuer":"https://other"}"#),
            stranger.token("alice", &wish("{}")).unwrap(),
            format!("{unsigned}.{}.", parts[1]),
            format!("{unsigned}.{}.{}", parts[1], parts[2]),
            format!("{symmetric}.{}.{}", parts[1], parts[2]),
            format!("{}.{forged}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
        ] {
            assert_eq!(ask(&identity, &[], &bad), Err(Denied::Unauthorized), "{bad}");
        }
        assert!(ask(&identity, &[], &good).is_ok());
        assert_eq!(ask(&identity, &["daybook/other"], &good), Err(Denied::Forbidden));
    }

    #[test]
    fn two_tokens_are_none() {
        let identity = Identity::new(settings(), None).unwrap();
        let token = identity.token("alice", &wish("{}")).unwrap();
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(header::AUTHORIZATION, token.parse().unwrap());
        }
        assert_eq!(Authorizer::new(settings(), &identity).authorize(&route(&[]), &headers), Err(Denied::Unauthorized));
    }
}
