//! The API's documentation: its contract, and a page for every problem, so that the `type` of a problem can be opened.
//! It is made when the function is built. Nothing is read, and nobody is asked who they are.

use std::pin::pin;

use api::{Call, PROBLEM_PAGES, Problem, ProblemPage, Response};
use eventing::Host;
use lambda_http::{
    Body, Request,
    http::{HeaderName, HeaderValue, header},
};
use serde_json::json;

/// `infra/openapi.yaml` as compact JSON, by `build.rs`.
const CONTRACT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// Answers one request. The routes are the template's.
pub async fn handle(host: &impl Host, request: Request) -> Response {
    let call = Call::new(request, host);
    let work = pin!(async {
        match call.route() {
            "GET /openapi.json" => Ok(document(JSON, CONTRACT.to_owned())),
            "GET /problems/{name}" => problem(&call),
            _ => Err(api::no_such_route(call.method_and_path().1)),
        }
    });
    call.answer(host, work).await
}

/// The page of a problem: for a browser as HTML, for everybody else as JSON.
fn problem(call: &Call) -> Result<Response, Problem> {
    let name = call.path_parameter("name");
    let page = PROBLEM_PAGES.iter().find(|page| page.name == name).ok_or_else(Problem::no_such_route)?;
    let mut response = if call.accepts("text/html") { document(HTML, html(page)) } else { document(JSON, text(page)) };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn text(page: &ProblemPage) -> String {
    let page = json!({
        "type": format!("/problems/{}", page.name),
        "title": page.title,
        "status": page.status.as_u16(),
        "meaning": page.meaning,
        "remedy": page.remedy,
    });
    format!("{page:#}\n")
}

/// Every text here is ours, and none has a character that HTML would take for its own; a test looks.
fn html(page: &ProblemPage) -> String {
    let ProblemPage { name, title, status, meaning, remedy } = page;
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<h1>{title}</h1>\n\
         <p>Problem <code>{name}</code>, status {status}</p>\n<h2>Meaning</h2>\n<p>{meaning}</p>\n\
         <h2>What to do</h2>\n<p>{remedy}</p>\n</html>\n",
        status = status.as_u16(),
    )
}

/// An answer that is the same for everybody until the next deployment.
fn document(content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::Text(body));
    let fixed: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    response.headers_mut().extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}
