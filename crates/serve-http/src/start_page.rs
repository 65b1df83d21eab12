//! The app: pages that are part of the program, compressed when it was built.

use crate::browser_headers::PAGE_POLICY;
use crate::compression::Coding;
use crate::conditional::EntityTag;
use crate::context::Asked;
use crate::problem::Problem;
use crate::reply::{self, Freshness};
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use std::io::Read as _;

/// A file of the app, as browsers take it.
struct File {
    /// The path below `/`.
    name: &'static str,
    brotli: &'static [u8],
    gzip: &'static [u8],
}

/// The built app; nothing when it was not built.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/app_files.rs"));
const INDEX: &str = "index.html";
/// What is shown instead of an app that was not built.
const UNBUILT: &str = include_str!("../../../web/unbuilt.html");
const ICON: &[u8] = include_bytes!("../../../web/app/src/app/icon.svg");

/// The names of these files have a hash of their content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// `GET /`.
pub async fn index(asked: Asked) -> Response {
    match find(INDEX) {
        Some(file) => respond(&asked, file, None),
        None => plain(&asked, "text/html; charset=utf-8", UNBUILT.as_bytes()),
    }
}

/// `GET /start/{file}`.
pub async fn file(Path(name): Path<String>, asked: Asked) -> Result<Response, Problem> {
    // It has this name always, also where the app was not built.
    if name == "icon.svg" {
        return Ok(icon(asked).await);
    }
    find(&format!("start/{name}"))
        .map(|file| respond(&asked, file, Some(FOR_EVER)))
        .ok_or_else(|| Problem::not_found("no such file"))
}

/// `GET /favicon.ico`.
pub async fn icon(asked: Asked) -> Response {
    plain(&asked, "image/svg+xml", ICON)
}

fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

fn respond(asked: &Asked, file: &'static File, cached: Option<HeaderValue>) -> Response {
    let coding = Coding::negotiate_one_of(&asked.headers, &[Coding::Brotli, Coding::Gzip]);
    let tag = EntityTag::of(&[b"app", file.name.as_bytes(), file.brotli, &[coding as u8]]);
    let response = reply::precondition(asked, &tag, Freshness::Revalidate);
    let mut response = match response {
        Some(response) => response,
        None => match content(file, coding) {
            Some(bytes) => {
                let mut response = reply::with_body(content_type(file.name), Body::from(bytes));
                response.headers_mut().insert(ETAG, tag.header());
                let always = HeaderValue::from_static("private, no-cache");
                response.headers_mut().insert(CACHE_CONTROL, always);
                reply::encoded(response, Some(coding))
            }
            None => return broken(),
        },
    };
    let headers = response.headers_mut();
    add_policy(headers);
    if let Some(cached) = cached {
        headers.insert(CACHE_CONTROL, cached);
    }
    response
}

fn content(file: &'static File, coding: Coding) -> Option<Bytes> {
    match coding {
        Coding::Brotli => Some(Bytes::from_static(file.brotli)),
        Coding::Gzip => Some(Bytes::from_static(file.gzip)),
        _ => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(file.gzip);
            decoder.read_to_end(&mut plain).ok()?;
            Some(plain.into())
        }
    }
}

/// It was made when the program was built, so this does not happen.
fn broken() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn plain(asked: &Asked, content_type: &str, content: &'static [u8]) -> Response {
    let tag = EntityTag::of(&[b"page", content]);
    let pieces = vec![Bytes::from_static(content)];
    let mut response =
        reply::precondition(asked, &tag, Freshness::Revalidate).unwrap_or_else(|| {
            reply::with_pieces(asked, &tag, Freshness::Revalidate, content_type, pieces)
        });
    add_policy(response.headers_mut());
    response
}

fn add_policy(headers: &mut HeaderMap) {
    let policy = HeaderValue::from_static(PAGE_POLICY);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        Some("json" | "map") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &'static File) -> String {
        String::from_utf8(content(file, Coding::Identity).unwrap().to_vec()).unwrap()
    }

    /// True of the built app and of the page that stands for it.
    #[test]
    fn the_page_has_no_inline_script_or_style() {
        let built = find(INDEX).map(text);
        for page in built.iter().map(String::as_str).chain([UNBUILT]) {
            let page = page.to_lowercase();
            for forbidden in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
                assert!(!page.contains(forbidden), "{forbidden}");
            }
            for script in page.split("<script").skip(1) {
                assert!(script.trim_start().contains(" src=\"./start/"), "{script}");
            }
        }
    }

    /// What the page refers to has to be part of the program.
    #[test]
    fn every_file_that_is_referred_to_is_there() {
        let Some(index) = find(INDEX).map(text) else {
            return;
        };
        let references: Vec<&str> = index
            .split('"')
            .filter_map(|part| part.strip_prefix("./"))
            .collect();
        assert!(references.len() >= 3, "{references:?}");
        for reference in references {
            assert!(find(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn both_codings_are_the_same_file() {
        for file in FILES {
            let mut brotli = Vec::new();
            brotli::Decompressor::new(file.brotli, 4096)
                .read_to_end(&mut brotli)
                .unwrap();
            assert_eq!(
                content(file, Coding::Identity).unwrap(),
                brotli,
                "{}",
                file.name
            );
        }
    }

    #[test]
    fn browsers_are_told_what_a_file_is() {
        assert_eq!(
            content_type("start/a-1.js"),
            "text/javascript; charset=utf-8"
        );
        assert_eq!(content_type("start/a.wasm"), "application/wasm");
        assert_eq!(content_type("x"), "application/octet-stream");
    }
}
