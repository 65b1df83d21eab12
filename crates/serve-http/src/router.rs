//! The service of this door: the routes, and the layers around them.

use crate::api::health;
use crate::api::peers::EchoPeer;
use crate::compression;
use crate::config::HttpConfig;
use crate::context::Context;
use crate::cors::{self, Cors};
use crate::dicomweb::capabilities::Table;
use crate::identity::gate::{self, Gate};
use crate::problem::Problem;
use crate::rate_limit::{self, RateLimits};
use crate::redirect::{self, Redirect};
use crate::{access_log, browser_headers, openapi, route_table};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use gantry_archive::Archive;
use gantry_identity::Identity;
use std::net::SocketAddr;
use std::sync::Arc;

/// The service.
pub fn build(
    archive: Arc<Archive>,
    identity: Option<Arc<Identity>>,
    config: Arc<HttpConfig>,
    listening: SocketAddr,
    echo: Option<EchoPeer>,
) -> Router {
    let cors = Cors::new(&config.cors_origins);
    let (router, operations) = route_table::routes().into_parts();
    let document = health::Document(Arc::new(openapi::document(&operations)));
    let proxies = identity
        .as_ref()
        .map(|identity| identity.settings().trusted_proxies.clone());
    let limits = RateLimits::new(&config, &proxies.unwrap_or_default());
    let browser = browser_headers::Policy::new(&config);
    let redirect = Redirect::new(&config);
    let context = Context {
        echo,
        ..Context::new(archive, identity, config, listening)
    };
    let gate = Gate::new(context.clone(), &operations);
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(limits.clone(), rate_limit::of_principal))
        .layer(from_fn_with_state(gate, gate::layer))
        .layer(Extension(document))
        .layer(Extension(Table(operations.into())))
        .layer(compression::layer())
        .layer(from_fn_with_state(browser, browser_headers::layer))
        .layer(from_fn_with_state(cors, cors::layer))
        .layer(from_fn_with_state(redirect, redirect::layer))
        .layer(from_fn_with_state(limits, rate_limit::of_address))
        .layer(from_fn(access_log::layer))
        .with_state(context)
}

async fn no_route() -> Problem {
    Problem::not_found("there is no such resource")
}

/// The router says in Allow which methods there are.
async fn no_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "the resource does not take this method",
    )
}
