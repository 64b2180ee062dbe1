//! The paths of the API. The gateway routes by the template, and hands on what matches none of its routes; this list only
//! tells a wrong method from an unknown path then. A test holds it against the template.

use crate::Problem;

/// Method and path of every route.
pub const ROUTES: [(&str, &str); 16] = [
    ("POST", "/accounts"),
    ("GET", "/accounts"),
    ("GET", "/accounts/{id}"),
    ("POST", "/accounts/{id}/deposits"),
    ("POST", "/accounts/{id}/withdrawals"),
    ("POST", "/accounts/{id}/close"),
    ("POST", "/accounts/{id}/freeze"),
    ("POST", "/accounts/{id}/unfreeze"),
    ("PUT", "/accounts/{id}/overdraft-limit"),
    ("GET", "/accounts/{id}/statement"),
    ("GET", "/accounts/{id}/transactions"),
    ("GET", "/accounts/{id}/events"),
    ("POST", "/transactions"),
    ("GET", "/transactions/{id}"),
    ("GET", "/events"),
    ("GET", "/totals"),
];

/// The problem of a request that matches no route.
#[must_use]
pub fn no_such_route(path: &str) -> Problem {
    let of_path = |template: &str| {
        let (template, path) = (template.split('/'), path.trim_end_matches('/').split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
    };
    let allowed: Vec<&str> =
        ROUTES.iter().filter(|(_, template)| of_path(template)).map(|(method, _)| *method).collect();
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
        assert_eq!(no_such_route("/").allow(), None);
    }
}
