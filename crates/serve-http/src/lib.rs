//! The HTTP door: DICOMweb (PS3.18), WADO-URI, a small API and the start page.
//!
//! It decodes a request, calls one use case of the archive and encodes the answer. It must never
//! know what is below the use cases (no SQL, no path), must never hold a whole instance in memory,
//! and must never log a value of a data set or of a query.

pub mod accept;
mod access_log;
mod api;
mod audit;
mod body_cache;
mod browser_headers;
mod bulk_path;
mod caller;
mod commitment_module;
mod compression;
pub mod conditional;
pub mod config;
mod connection;
mod context;
mod cors;
mod dicomweb;
mod frame_choice;
mod identity;
mod markup;
pub mod media_type;
mod model;
pub mod multipart;
mod openapi;
mod picture;
pub mod problem;
pub mod qido_parameters;
pub mod query_string;
pub mod range;
mod rate_limit;
mod redirect;
mod rendering_parameters;
mod reply;
mod request_body;
mod route_table;
mod router;
mod routes;
mod series_window;
mod server;
mod sr_html;
mod start_page;
mod store_response;
mod transfer_syntax_choice;
pub mod wado_uri_parameters;
mod zip_stream;

pub use api::peers::EchoPeer;
pub use config::HttpConfig;
pub use server::{Listeners, serve};
