//! Which route takes a request.
//!
//! As an HTTP API chooses: the most specific path that has the method or `ANY`, a greedy `{proxy+}` after all others, and
//! `$default` for the rest.

use std::collections::{BTreeMap, BTreeSet};

use matchit::Router;
use percent_encoding::percent_decode_str;

use crate::template::Route;

/// Stands for every method without routes of its own.
const ANY: &str = "ANY";

/// The routes of an API.
#[derive(Debug)]
pub struct Routes {
    all: Vec<Route>,
    /// By method: which route has a path, as a place in `all`.
    by_method: BTreeMap<String, Router<usize>>,
    default: Option<usize>,
}

/// A route with what its path's parameters stand for.
#[derive(Debug)]
pub struct Found<'a> {
    pub route: &'a Route,
    pub parameters: Vec<(String, String)>,
}

impl Routes {
    /// The routes of a template; two that would take the same requests are an error.
    pub fn new(routes: Vec<Route>) -> Result<Self, String> {
        let default = routes.iter().position(|route| route.path == Route::DEFAULT);
        let methods: BTreeSet<String> =
            routes.iter().map(|route| route.method.clone()).chain([ANY.to_owned()]).collect();
        let mut by_method = BTreeMap::new();
        for method in methods {
            let mut paths = Router::new();
            let has_own = |path: &str| routes.iter().any(|route| route.path == path && route.method == method);
            for (index, route) in routes.iter().enumerate().filter(|(index, _)| Some(*index) != default) {
                let takes_it = route.method == method || (route.method == ANY && !has_own(&route.path));
                if takes_it {
                    let path = numbered(&route.path);
                    paths.insert(path, index).map_err(|error| format!("route {}: {error}", route.key()))?;
                }
            }
            by_method.insert(method, paths);
        }
        Ok(Self { all: routes, by_method, default })
    }

    /// The route for a request.
    pub fn find(&self, method: &str, path: &str) -> Option<Found<'_>> {
        let router = self.by_method.get(method).or_else(|| self.by_method.get(ANY))?;
        if let Ok(found) = router.at(path) {
            let route = &self.all[*found.value];
            let values =
                found.params.iter().map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned());
            return Some(Found { route, parameters: names(&route.path).map(str::to_owned).zip(values).collect() });
        }
        self.default.map(|index| Found { route: &self.all[index], parameters: Vec::new() })
    }

    /// Whether the API shows its contract to everybody, for the page that reads it.
    pub fn have_contract(&self) -> bool {
        self.all.iter().any(|route| route.key() == "GET /openapi.json" && !route.authorized)
    }

    /// All routes, in the order in which they are shown.
    pub fn all(&self) -> &[Route] {
        &self.all
    }
}

/// The names of a path's parameters.
fn names(path: &str) -> impl Iterator<Item = &str> {
    parameters(path).map(|name| name.strip_suffix('+').unwrap_or(name))
}

fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// The path with its parameters numbered, because two routes may give one place different names: `/a/{x}` and `/a/{y}/b`.
fn numbered(path: &str) -> String {
    let mut numbered = path.to_owned();
    for (index, name) in parameters(path).enumerate() {
        let greedy = if name.ends_with('+') { "*" } else { "" };
        numbered = numbered.replacen(&format!("{{{name}}}"), &format!("{{{greedy}{index}}}"), 1);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        let route = |key: &&str| {
            let (method, path) = key.split_once(' ').unwrap_or((ANY, key));
            let (method, path, function) = (method.to_owned(), path.to_owned(), String::new());
            Route { name: String::new(), method, path, function, authorized: true, scopes: vec![], example: None }
        };
        Routes::new(keys.iter().map(route).collect()).unwrap()
    }

    #[test]
    fn the_most_specific_route_takes_a_request() {
        let routes = routes(&[
            "GET /pets/dog/1",
            "GET /pets/dog/{id}",
            "GET /pets/{proxy+}",
            "ANY /{proxy+}",
            "PUT /pets/{kind}/{name}",
            "$default",
        ]);
        let cases = [
            ("GET", "/pets/dog/1", "GET /pets/dog/1"),
            ("GET", "/pets/dog/2", "GET /pets/dog/{id}"),
            ("GET", "/pets/cat/1", "GET /pets/{proxy+}"),
            ("POST", "/test/5", "ANY /{proxy+}"),
            ("DELETE", "/", "$default"),
        ];
        for (method, path, expected) in cases {
            assert_eq!(routes.find(method, path).unwrap().route.key(), expected, "{method} {path}");
        }
    }

    #[test]
    fn parameters_keep_their_names_and_are_decoded() {
        let routes = routes(&["GET /a/{x}", "GET /a/{y}/b", "GET /files/{path+}"]);
        let parameters = |path| routes.find("GET", path).unwrap().parameters;
        assert_eq!(parameters("/a/1%2F2"), [("x".to_owned(), "1/2".to_owned())]);
        assert_eq!(parameters("/a/1/b"), [("y".to_owned(), "1".to_owned())]);
        assert_eq!(parameters("/files/a/b"), [("path".to_owned(), "a/b".to_owned())]);
    }

    #[test]
    fn a_request_without_a_route_is_not_found() {
        assert!(routes(&["GET /a"]).find("GET", "/b").is_none());
        assert!(routes(&["GET /a"]).find("POST", "/a").is_none());
    }
}
