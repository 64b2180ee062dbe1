//! Throttling, as API Gateway does it: a token bucket for each route. The rate is how many tokens are added a second, the burst how
//! many the bucket holds ("Throttle requests to your HTTP APIs", developer guide).

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use crate::template::{Throttle, Throttling};

/// The bucket of every route that has a limit.
#[derive(Debug)]
pub struct Buckets(BTreeMap<String, Mutex<Bucket>>);

#[derive(Debug)]
struct Bucket {
    limit: Throttle,
    tokens: f64,
    filled_at: Instant,
}

impl Buckets {
    /// Full buckets for these routes.
    pub fn new(throttling: &Throttling, routes: impl IntoIterator<Item = String>, now: Instant) -> Self {
        let of_route = |route: String| {
            let limit = throttling.routes.get(&route).copied().or(throttling.default)?;
            Some((route, Mutex::new(Bucket { limit, tokens: limit.burst, filled_at: now })))
        };
        Self(routes.into_iter().filter_map(of_route).collect())
    }

    /// Takes a token for a request of `route`; false where there is none, and the request is throttled.
    pub fn take(&self, route: &str, now: Instant) -> bool {
        let Some(bucket) = self.0.get(route) else { return true };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * bucket.limit.rate).min(bucket.limit.burst);
        bucket.filled_at = bucket.filled_at.max(now);
        let is_admitted = bucket.tokens >= 1.0;
        if is_admitted {
            bucket.tokens -= 1.0;
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admitted(buckets: &Buckets, route: &str, now: Instant) -> usize {
        (0..100).filter(|_| buckets.take(route, now)).count()
    }

    #[test]
    fn a_route_takes_its_burst_at_once_and_its_rate_from_then_on() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let docs = Throttle { rate: 0.5, burst: 2.0 };
        let throttling = Throttling {
            default: Some(Throttle { rate: 10.0, burst: 20.0 }),
            routes: [("GET /docs".to_owned(), docs)].into(),
        };
        let buckets = Buckets::new(&throttling, ["GET /a", "GET /b", "GET /docs"].map(str::to_owned), start);
        assert_eq!(admitted(&buckets, "GET /a", start), 20);
        assert_eq!(admitted(&buckets, "GET /a", start + second), 10);
        assert_eq!(admitted(&buckets, "GET /a", start + second / 2), 0, "a clock that runs back fills nothing");
        assert_eq!(admitted(&buckets, "GET /a", start + second * 60), 20, "a bucket holds no more than its burst");
        assert_eq!(admitted(&buckets, "GET /b", start), 20, "another route has a bucket of its own");
        assert_eq!(admitted(&buckets, "GET /docs", start), 2);
        assert_eq!(admitted(&buckets, "GET /docs", start + second), 0);
        assert_eq!(admitted(&buckets, "GET /docs", start + second * 2), 1);
    }

    #[test]
    fn a_route_without_a_limit_takes_everything() {
        let now = Instant::now();
        assert_eq!(admitted(&Buckets::new(&Throttling::default(), ["GET /a".to_owned()], now), "GET /a", now), 100);
    }
}
