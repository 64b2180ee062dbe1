//! CORS as an HTTP API does it: it answers preflight requests itself, and puts the headers on every answer.

use std::{str::FromStr, time::Duration};

use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::template::Cors;

/// What does it, for these settings; what is wrong with them.
pub fn layer(cors: &Cors) -> Result<CorsLayer, String> {
    let origins: Vec<HeaderValue> = all(&cors.origins)?;
    let any = cors.origins.iter().any(|origin| origin == "*");
    let methods: Vec<Method> = all(&cors.methods)?;
    let [allowed, exposed]: [Vec<HeaderName>; 2] = [all(&cors.headers)?, all(&cors.exposed)?];
    Ok(CorsLayer::new()
        .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(origins) })
        .allow_methods(methods)
        .allow_headers(allowed)
        .expose_headers(exposed)
        .max_age(Duration::from_secs(cors.max_age_s)))
}

fn all<T: FromStr>(texts: &[String]) -> Result<Vec<T>, String> {
    let one = |text: &String| text.parse().map_err(|_| format!("CorsConfiguration cannot have {text}"));
    texts.iter().map(one).collect()
}
