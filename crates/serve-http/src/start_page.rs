//! The start page: a few files that are part of the program.

use crate::browser_headers::PAGE_POLICY;
use crate::conditional::EntityTag;
use crate::context::Asked;
use crate::problem::Problem;
use crate::reply::{self, Freshness};
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::Response;
use bytes::Bytes;

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

macro_rules! file {
    ($name:literal, $content_type:literal) => {
        File {
            name: $name,
            content_type: $content_type,
            content: include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../web/start/",
                $name
            )),
        }
    };
}

const INDEX: File = file!("index.html", "text/html; charset=utf-8");
const FILES: &[File] = &[
    file!("start.css", "text/css; charset=utf-8"),
    file!("start.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("format.js", "text/javascript; charset=utf-8"),
    file!("server.js", "text/javascript; charset=utf-8"),
    file!("study-list.js", "text/javascript; charset=utf-8"),
    file!("study-view.js", "text/javascript; charset=utf-8"),
    file!("header-table.js", "text/javascript; charset=utf-8"),
    file!("upload.js", "text/javascript; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
];

/// `GET /`.
pub async fn index(asked: Asked) -> Response {
    respond(&asked, &INDEX)
}

/// `GET /start/{file}`.
pub async fn file(Path(name): Path<String>, asked: Asked) -> Result<Response, Problem> {
    let file = FILES.iter().find(|file| file.name == name);
    file.map(|file| respond(&asked, file))
        .ok_or_else(|| Problem::not_found("no such file"))
}

/// `GET /favicon.ico`.
pub async fn icon(asked: Asked) -> Result<Response, Problem> {
    file(Path("icon.svg".to_owned()), asked).await
}

fn respond(asked: &Asked, file: &File) -> Response {
    let tag = EntityTag::of(&[b"page", file.name.as_bytes(), file.content]);
    let mut response =
        reply::precondition(asked, &tag, Freshness::Revalidate).unwrap_or_else(|| {
            let content = vec![Bytes::from_static(file.content)];
            reply::with_pieces(
                asked,
                &tag,
                Freshness::Revalidate,
                file.content_type,
                content,
            )
        });
    let policy = HeaderValue::from_static(PAGE_POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page refers to has to be part of the program.
    #[test]
    fn every_file_that_is_referred_to_is_there() {
        let all = FILES.iter().chain([&INDEX]);
        for file in all {
            let text = String::from_utf8_lossy(file.content);
            for reference in text
                .split(['"', '\''])
                .filter_map(|part| part.strip_prefix("./"))
            {
                assert!(
                    FILES.iter().any(|other| other.name == reference),
                    "{reference}"
                );
            }
            for reference in text
                .split(['"', '\''])
                .filter_map(|part| part.strip_prefix("start/"))
            {
                assert!(
                    FILES.iter().any(|other| other.name == reference),
                    "{reference}"
                );
            }
        }
    }

    /// The policy forbids scripts and styles inside the page.
    #[test]
    fn the_page_has_no_inline_script_or_style() {
        let text = String::from_utf8_lossy(INDEX.content).to_lowercase();
        for forbidden in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        for script in text.split("<script").skip(1) {
            assert!(
                script.trim_start().starts_with("type=\"module\" src="),
                "{script}"
            );
        }
    }
}
