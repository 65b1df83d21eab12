//! How often somebody may ask: a bucket of tokens for each, filled at a steady rate.
//!
//! The limits keep one program that has run wild, or somebody who tries passwords, from taking the
//! server from others. They are far beyond what a workstation does.

use crate::caller;
use crate::config::HttpConfig;
use crate::connection::Peer;
use crate::problem::Problem;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gantry_core::principal::Principal;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Paths below which passwords and codes are tried.
const LOGIN_PATHS: [&str; 4] = [
    "/api/login",
    "/api/set-up",
    "/api/password-link",
    "/api/shares/open",
];
/// Parts of a table of buckets, so that requests seldom wait for each other.
const SHARDS: usize = 16;
/// Buckets of one shard; when there are more, those that are full again are forgotten.
const BUCKETS_MAX: usize = 4096;
/// A bucket holds what comes in so many seconds.
const BURST_SECONDS: f64 = 10.0;

/// The limits and who has used how much of them.
#[derive(Debug, Clone)]
pub struct RateLimits(Arc<Tables>);

#[derive(Debug)]
struct Tables {
    addresses: Option<Buckets<IpAddr>>,
    principals: Option<Buckets<String>>,
    logins: Option<Buckets<IpAddr>>,
    proxies: Vec<IpAddr>,
}

impl RateLimits {
    /// As configured; `proxies` are believed about the address of their client.
    pub fn new(config: &HttpConfig, proxies: &[IpAddr]) -> Self {
        let per_second = |rate: u32| {
            let rate = f64::from(rate);
            (rate > 0.0).then_some(Rate {
                per_second: rate,
                burst: rate * BURST_SECONDS,
            })
        };
        let logins = f64::from(config.logins_per_minute_per_address);
        let logins = (logins > 0.0).then_some(Rate {
            per_second: logins / 60.0,
            burst: logins / 2.0,
        });
        Self(Arc::new(Tables {
            addresses: per_second(config.requests_per_second_per_address).map(Buckets::new),
            principals: per_second(config.requests_per_second_per_principal).map(Buckets::new),
            logins: logins.map(Buckets::new),
            proxies: proxies.to_vec(),
        }))
    }
}

/// Limits what an address asks, logging in above all.
pub async fn of_address(
    State(limits): State<RateLimits>,
    request: Request,
    next: Next,
) -> Response {
    let Some(peer) = request.extensions().get::<Peer>() else {
        return next.run(request).await;
    };
    let peer = Some(peer.address);
    let Some(address) = caller::address(peer, request.headers(), &limits.0.proxies) else {
        return next.run(request).await;
    };
    if is_login(&request)
        && let Some(Err(wait)) = limits.0.logins.as_ref().map(|table| table.take(&address))
    {
        tracing::warn!(peer.address = %address, "too many attempts to log in");
        return too_many("too many attempts to log in from this address", wait);
    }
    if !address.is_loopback()
        && let Some(Err(wait)) = limits
            .0
            .addresses
            .as_ref()
            .map(|table| table.take(&address))
    {
        return too_many("too many requests from this address", wait);
    }
    next.run(request).await
}

/// Limits what a person, token or service asks, from wherever.
pub async fn of_principal(
    State(limits): State<RateLimits>,
    request: Request,
    next: Next,
) -> Response {
    let user = request
        .extensions()
        .get::<Arc<Principal>>()
        .and_then(|principal| principal.user.as_deref());
    if let Some(user) = user
        && let Some(table) = &limits.0.principals
        && let Err(wait) = table.take(user)
    {
        return too_many("too many requests", wait);
    }
    next.run(request).await
}

fn is_login(request: &Request) -> bool {
    let path = request.uri().path();
    *request.method() == Method::POST
        && LOGIN_PATHS
            .iter()
            .any(|login| path.strip_prefix(login).is_some_and(is_end_of_segment))
}

fn is_end_of_segment(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

fn too_many(detail: &str, wait: Duration) -> Response {
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).into_response();
    let seconds = wait.as_secs().saturating_add(1);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: f64,
    burst: f64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second).min(rate.burst.max(1.0));
        self.at = now;
    }
}

/// A bucket for each key.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    hasher: RandomState,
    shards: [Mutex<HashMap<K, Bucket>>; SHARDS],
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Takes a token; or says how long to wait for one.
    fn take<Q>(&self, key: &Q) -> Result<(), Duration>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.take_at(key, Instant::now())
    }

    fn take_at<Q>(&self, key: &Q, now: Instant) -> Result<(), Duration>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        let Some(shard) = self.shards.get(shard) else {
            return Ok(());
        };
        let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            bucket.fill(self.rate, now);
            if bucket.tokens < 1.0 {
                let missing = (1.0 - bucket.tokens) / self.rate.per_second;
                return Err(Duration::from_secs_f64(missing));
            }
            bucket.tokens -= 1.0;
            return Ok(());
        }
        if buckets.len() >= BUCKETS_MAX {
            let rate = self.rate;
            buckets.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.tokens < rate.burst
            });
        }
        // With so many at once, newcomers are not counted rather than remembered without bound.
        if buckets.len() < BUCKETS_MAX {
            let tokens = self.rate.burst.max(1.0) - 1.0;
            buckets.insert(key.to_owned(), Bucket { tokens, at: now });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::{get, post};
    use std::net::SocketAddr;
    use tower::ServiceExt;

    fn peer(address: &str) -> Peer {
        Peer::plain(SocketAddr::new(address.parse().unwrap(), 4000))
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate {
            per_second: 2.0,
            burst: 20.0,
        };
        let buckets: Buckets<String> = Buckets::new(rate);
        let start = Instant::now();
        for _ in 0..20 {
            buckets.take_at("a", start).unwrap();
        }
        let wait = buckets.take_at("a", start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        buckets.take_at("b", start).unwrap();
        let later = start + Duration::from_secs(1);
        assert!(buckets.take_at("a", later).is_ok() && buckets.take_at("a", later).is_ok());
        assert!(buckets.take_at("a", later).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_full_are_forgotten() {
        let rate = Rate {
            per_second: 1.0,
            burst: 10.0,
        };
        let buckets: Buckets<u64> = Buckets::new(rate);
        let start = Instant::now();
        for key in 0..(SHARDS * BUCKETS_MAX * 2) as u64 {
            buckets.take_at(&key, start).unwrap();
        }
        let count = |buckets: &Buckets<u64>| -> usize {
            let lengths = buckets
                .shards
                .iter()
                .map(|shard| shard.lock().unwrap().len());
            lengths.sum()
        };
        assert!(count(&buckets) <= SHARDS * BUCKETS_MAX);
        let later = start + Duration::from_secs(60);
        for key in 0..1000 {
            buckets.take_at(&(u64::MAX - key), later).unwrap();
        }
        assert!(count(&buckets) < SHARDS * BUCKETS_MAX / 2 + 1000);
    }

    async fn status(router: &Router, method: Method, path: &str, address: &str) -> StatusCode {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        request.extensions_mut().insert(peer(address));
        let response = router.clone().oneshot(request).await.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(response.headers().contains_key(RETRY_AFTER));
        }
        response.status()
    }

    #[tokio::test]
    async fn logging_in_is_limited_more_than_reading_and_this_machine_only_in_that() {
        let limits = RateLimits::new(
            &HttpConfig {
                requests_per_second_per_address: 10,
                logins_per_minute_per_address: 10,
                ..HttpConfig::default()
            },
            &[],
        );
        let router = Router::new()
            .route("/api/login", post(|| async {}))
            .route("/x", get(|| async {}))
            .layer(from_fn_with_state(limits, of_address));
        for _ in 0..5 {
            let status = status(&router, Method::POST, "/api/login", "127.0.0.1").await;
            assert_eq!(status, StatusCode::OK);
        }
        let refused = status(&router, Method::POST, "/api/login", "127.0.0.1").await;
        assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
        for _ in 0..300 {
            let read = status(&router, Method::GET, "/x", "127.0.0.1").await;
            assert_eq!(read, StatusCode::OK);
        }
        let mut refused = 0;
        for _ in 0..200 {
            let read = status(&router, Method::GET, "/x", "192.0.2.7").await;
            refused += u32::from(read == StatusCode::TOO_MANY_REQUESTS);
        }
        assert!((50..=100).contains(&refused), "{refused}");
        let other = status(&router, Method::GET, "/x", "192.0.2.8").await;
        assert_eq!(other, StatusCode::OK);
    }

    #[tokio::test]
    async fn by_default_a_workstation_is_never_bothered() {
        let limits = RateLimits::new(&HttpConfig::default(), &[]);
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let table = limits.0.addresses.as_ref().unwrap();
        let start = Instant::now();
        // Ten workstations behind one address that open studies of a thousand frames each.
        for frame in 0..10_000 {
            let now = start + Duration::from_micros(100) * frame;
            table.take_at(&address, now).unwrap();
        }
    }
}
