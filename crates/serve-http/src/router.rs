//! All routes with what they take and give, and the layers around them.

use crate::api::{header, health, status, studies};
use crate::config::HttpConfig;
use crate::context::Context;
use crate::cors::{self, Cors};
use crate::dicomweb::capabilities::{self, Table};
use crate::dicomweb::{
    bulk_data, delete, frames, instances, metadata, pixel_data, qido, rendered, stow, thumbnail,
    wado_uri,
};
use crate::problem::Problem;
use crate::routes::{Method, Operation, QueryParameter, Routes};
use crate::{access_log, browser_headers, openapi, start_page};
use axum::http::{HeaderMap, StatusCode, Version};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use gantry_archive::Archive;
use std::net::SocketAddr;
use std::sync::Arc;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Answers shorter than this are not worth compressing, in bytes.
const COMPRESSED_FROM: u16 = 1024;

/// The service of this door.
pub fn build(archive: Arc<Archive>, config: Arc<HttpConfig>, listening: SocketAddr) -> Router {
    let cors = Cors::new(&config.cors_origins);
    let (router, operations) = routes().into_parts();
    let document = health::Document(Arc::new(openapi::document(&operations)));
    let context = Context {
        archive,
        config,
        listening,
        windows: Arc::default(),
    };
    let is_text = SizeAbove::new(COMPRESSED_FROM).and(is_compressible);
    // Levels are low: an answer is made once and read once on a near network.
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(is_text);
    router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(Extension(document))
        .layer(Extension(Table(operations.into())))
        .layer(compression)
        .layer(from_fn(browser_headers::layer))
        .layer(from_fn_with_state(cors, cors::layer))
        .layer(from_fn(access_log::layer))
        .with_state(context)
}

async fn no_route() -> Problem {
    Problem::not_found("there is no such resource")
}

async fn no_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "the resource does not take this method",
    )
}

/// Text is compressed; pictures and DICOM objects are dense already.
fn is_compressible(
    _: StatusCode,
    _: Version,
    headers: &HeaderMap,
    _: &axum::http::Extensions,
) -> bool {
    let content_type = headers
        .get(axum::http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_text = content_type.starts_with("text/")
        || content_type.starts_with("multipart/related; type=\"application/dicom+xml\"");
    let essence = content_type.split(';').next().unwrap_or_default();
    is_text
        || matches!(
            essence,
            "application/dicom+json"
                | "application/json"
                | "application/problem+json"
                | "application/vnd.sun.wadl+xml"
                | "application/dicom+xml"
                | "image/svg+xml"
        )
}

const fn operation(
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        id,
        summary,
        query: &[],
        consumes: &[],
        produces: &[],
        statuses: &[200],
    }
}

const fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    operation(Method::Get, path, id, summary)
}

const fn string(name: &'static str, description: &'static str) -> QueryParameter {
    QueryParameter {
        name,
        description,
        kind: "string",
    }
}

const fn integer(name: &'static str, description: &'static str) -> QueryParameter {
    QueryParameter {
        name,
        description,
        kind: "integer",
    }
}

const fn boolean(name: &'static str, description: &'static str) -> QueryParameter {
    QueryParameter {
        name,
        description,
        kind: "boolean",
    }
}

const ACCEPT: QueryParameter = string("accept", "Media types; wins over the Accept header field");

const SEARCH: &[QueryParameter] = &[
    string(
        "{attribute}",
        "Keyword, tag or path of an attribute, and the value to match",
    ),
    string(
        "includefield",
        "Attributes to return, separated by commas, or all",
    ),
    integer("limit", "Most results"),
    integer("offset", "Results to skip"),
    boolean(
        "fuzzymatching",
        "Match words of person names by their beginning",
    ),
    boolean(
        "emptyvaluematching",
        "Two quotation marks match an attribute without value",
    ),
    boolean("multiplevaluematching", "All values of a key must match"),
    ACCEPT,
];

const RENDERING: &[QueryParameter] = &[
    string(
        "window",
        "center,width,function: linear, linear-exact or sigmoid",
    ),
    string("viewport", "vw,vh or vw,vh,sx,sy,sw,sh"),
    integer("quality", "Quality of a lossy format, 1 to 100"),
    string("annotation", "patient, technique"),
    string("iccprofile", "no, yes, srgb, adobergb, rommrgb, displayp3"),
    ACCEPT,
];

const THUMBNAIL: &[QueryParameter] = &[string("viewport", "vw,vh"), ACCEPT];

const WADO: &[QueryParameter] = &[
    string("requestType", "WADO"),
    string("studyUID", "Study Instance UID"),
    string("seriesUID", "Series Instance UID"),
    string("objectUID", "SOP Instance UID"),
    string("contentType", "Media types, best first"),
    string("transferSyntax", "Transfer syntax of application/dicom"),
    integer("frameNumber", "Frame, counted from 1"),
    integer("rows", "Height of the picture"),
    integer("columns", "Width of the picture"),
    string("region", "left,top,right,bottom between 0 and 1"),
    string("windowCenter", "Window center"),
    string("windowWidth", "Window width"),
    integer("imageQuality", "Quality of a lossy format, 1 to 100"),
    string("annotation", "patient, technique"),
];

const LIST: &[QueryParameter] = &[
    string(
        "search",
        "Beginning of a name, a patient ID or an accession number",
    ),
    integer("offset", "Studies to skip"),
    integer("limit", "Most studies"),
];

const MODELS: &[&str] = &[
    "application/dicom+json",
    "multipart/related; type=\"application/dicom+xml\"",
];
const INSTANCES: &[&str] = &[
    "multipart/related; type=\"application/dicom\"",
    "application/dicom",
    "application/zip",
    "multipart/related; type=\"application/octet-stream\"",
];
const FRAMES: &[&str] = &[
    "multipart/related; type=\"application/octet-stream\"",
    "application/octet-stream",
    "multipart/related; type=\"image/jpeg\"",
    "multipart/related; type=\"image/jls\"",
    "multipart/related; type=\"image/jp2\"",
    "multipart/related; type=\"image/jphc\"",
    "multipart/related; type=\"image/jxl\"",
    "multipart/related; type=\"image/dicom-rle\"",
];
const BULK: &[&str] = &[
    "multipart/related; type=\"application/octet-stream\"",
    "application/octet-stream",
    "application/pdf",
    "video/mp4",
];
const PICTURES: &[&str] = &["image/jpeg", "image/png", "image/gif"];
const RENDERED: &[&str] = &[
    "image/jpeg",
    "image/png",
    "image/gif",
    "text/html",
    "application/pdf",
    "video/mp4",
    "multipart/related; type=\"image/jpeg\"",
];
const JSON: &[&str] = &["application/json"];
const STORED: &[&str] = &[
    "multipart/related; type=\"application/dicom\"",
    "multipart/related; type=\"application/dicom+json\"",
    "multipart/related; type=\"application/dicom+xml\"",
    "application/dicom",
];

const SEARCHED: &[u16] = &[200, 204, 400, 403, 406, 503];
const RETRIEVED: &[u16] = &[200, 206, 304, 400, 403, 404, 406, 410, 416, 503];
const STORE_ANSWERS: &[u16] = &[200, 202, 400, 403, 406, 408, 409, 413, 415, 507];
const REMOVED: &[u16] = &[204, 400, 403, 404, 503];

/// The table.
pub fn routes() -> Routes {
    let routes = retrieve_routes(rendered_routes(search_routes(Routes::default())));
    pages(remove_routes(store_routes(routes)))
}

fn search_routes(routes: Routes) -> Routes {
    let search = |path, id, summary| Operation {
        query: SEARCH,
        produces: MODELS,
        statuses: SEARCHED,
        ..get(path, id, summary)
    };
    routes
        .add(
            search("/dicom-web/studies", "searchStudies", "Search for studies"),
            qido::studies,
        )
        .add(
            search("/dicom-web/series", "searchSeries", "Search for series"),
            qido::series,
        )
        .add(
            search(
                "/dicom-web/instances",
                "searchInstances",
                "Search for instances",
            ),
            qido::instances,
        )
        .add(
            search(
                "/dicom-web/patients",
                "searchPatients",
                "Search for patients (extension)",
            ),
            qido::patients,
        )
        .add(
            search(
                "/dicom-web/studies/{study}/series",
                "searchStudySeries",
                "Search for series of a study",
            ),
            qido::series_of,
        )
        .add(
            search(
                "/dicom-web/studies/{study}/instances",
                "searchStudyInstances",
                "Search for instances of a study",
            ),
            qido::instances_of,
        )
        .add(
            search(
                "/dicom-web/studies/{study}/series/{series}/instances",
                "searchSeriesInstances",
                "Search for instances of a series",
            ),
            qido::instances_of,
        )
}

/// The paths of a study, a series and an instance, and a word for each.
const LEVELS: [(&str, &str); 3] = [
    ("/dicom-web/studies/{study}", "Study"),
    ("/dicom-web/studies/{study}/series/{series}", "Series"),
    (
        "/dicom-web/studies/{study}/series/{series}/instances/{instance}",
        "Instance",
    ),
];

/// One operation for each level. The table lives as long as the program, and so do its texts.
fn at_levels<H, T>(
    mut routes: Routes,
    suffix: &str,
    id: &str,
    summary: &str,
    like: Operation,
    handler: H,
) -> Routes
where
    H: axum::handler::Handler<T, Context> + Clone,
    T: 'static,
{
    for (path, level) in LEVELS {
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let operation = Operation {
            path: leak(format!("{path}{suffix}")),
            id: leak(id.replace("{level}", level)),
            summary: leak(summary.replace("{level}", &level.to_lowercase())),
            ..like
        };
        routes = routes.add(operation, handler.clone());
    }
    routes
}

fn retrieve_routes(routes: Routes) -> Routes {
    let like = Operation {
        query: &[ACCEPT],
        statuses: RETRIEVED,
        ..get("", "", "")
    };
    let instances_like = Operation {
        produces: INSTANCES,
        ..like
    };
    let models_like = Operation {
        produces: MODELS,
        ..like
    };
    let bulk_like = Operation {
        produces: BULK,
        ..like
    };
    let frames_like = Operation {
        produces: FRAMES,
        ..like
    };
    let instance = "/dicom-web/studies/{study}/series/{series}/instances/{instance}";
    let routes = at_levels(
        routes,
        "",
        "retrieve{level}",
        "Retrieve a {level}",
        instances_like,
        instances::retrieve,
    );
    let routes = at_levels(
        routes,
        "/metadata",
        "retrieve{level}Metadata",
        "Retrieve the metadata of a {level}",
        models_like,
        metadata::retrieve,
    );
    let routes = at_levels(
        routes,
        "/bulkdata",
        "retrieve{level}BulkData",
        "Retrieve all bulk values of a {level}",
        bulk_like,
        bulk_data::retrieve_all,
    );
    let routes = at_levels(
        routes,
        "/pixeldata",
        "retrieve{level}PixelData",
        "Retrieve all frames of a {level}",
        frames_like,
        pixel_data::retrieve,
    );
    let leak = |suffix: &str| -> &'static str { Box::leak(format!("{instance}{suffix}").into()) };
    routes
        .add(
            Operation {
                path: leak("/bulkdata/{*path}"),
                id: "retrieveBulkData",
                summary: "Retrieve a bulk value, or ranges of it",
                ..bulk_like
            },
            bulk_data::retrieve,
        )
        .add(
            Operation {
                path: leak("/frames/{frames}"),
                id: "retrieveFrames",
                summary: "Retrieve frames",
                ..frames_like
            },
            frames::retrieve,
        )
        .add(
            Operation {
                query: WADO,
                produces: &[
                    "image/jpeg",
                    "image/png",
                    "image/gif",
                    "application/dicom",
                    "text/html",
                ],
                statuses: &[200, 206, 304, 400, 403, 404, 406, 410, 416, 501, 503],
                ..get(
                    "/wado",
                    "retrieveByQuery",
                    "Retrieve an instance by query (WADO-URI)",
                )
            },
            wado_uri::retrieve,
        )
        .add(
            Operation {
                query: WADO,
                produces: &[
                    "image/jpeg",
                    "image/png",
                    "image/gif",
                    "application/dicom",
                    "text/html",
                ],
                statuses: &[200, 206, 304, 400, 403, 404, 406, 410, 416, 501, 503],
                ..get(
                    "/dicom-web/wado",
                    "retrieveByQueryToo",
                    "The same under /dicom-web",
                )
            },
            wado_uri::retrieve,
        )
}

fn rendered_routes(routes: Routes) -> Routes {
    let rendered_like = Operation {
        query: RENDERING,
        produces: RENDERED,
        statuses: RETRIEVED,
        ..get("", "", "")
    };
    let thumbnail_like = Operation {
        query: THUMBNAIL,
        produces: PICTURES,
        statuses: RETRIEVED,
        ..get("", "", "")
    };
    let routes = at_levels(
        routes,
        "/rendered",
        "retrieveRendered{level}",
        "Retrieve a {level} rendered",
        rendered_like,
        rendered::retrieve,
    );
    let routes = at_levels(
        routes,
        "/thumbnail",
        "retrieve{level}Thumbnail",
        "Retrieve a thumbnail of a {level}",
        thumbnail_like,
        thumbnail::retrieve,
    );
    routes
        .add(
            Operation {
                path: "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered",
                id: "retrieveRenderedFrames",
                summary: "Retrieve frames rendered",
                ..rendered_like
            },
            rendered::frames,
        )
        .add(
            Operation {
                path: "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail",
                id: "retrieveFrameThumbnail",
                summary: "Retrieve a thumbnail of a frame",
                ..thumbnail_like
            },
            thumbnail::of_frame,
        )
}

fn store_routes(routes: Routes) -> Routes {
    let store = |path, id, summary| Operation {
        consumes: STORED,
        produces: &["application/dicom+json", "application/dicom+xml"],
        statuses: STORE_ANSWERS,
        ..operation(Method::Post, path, id, summary)
    };
    routes
        .add(
            store("/dicom-web/studies", "storeInstances", "Store instances"),
            stow::store,
        )
        .add(
            store(
                "/dicom-web/studies/{study}",
                "storeInstancesOfStudy",
                "Store instances of one study",
            ),
            stow::store_in_study,
        )
        .add(
            Operation {
                produces: &["application/vnd.sun.wadl+xml", "application/json"],
                statuses: &[200, 400, 406],
                ..operation(
                    Method::Options,
                    "/dicom-web",
                    "capabilities",
                    "Retrieve capabilities",
                )
            },
            capabilities::retrieve,
        )
        .add(
            Operation {
                produces: &["application/vnd.sun.wadl+xml", "application/json"],
                statuses: &[200, 400, 406],
                ..operation(
                    Method::Options,
                    "/dicom-web/",
                    "capabilitiesToo",
                    "Retrieve capabilities",
                )
            },
            capabilities::retrieve,
        )
}

fn remove_routes(routes: Routes) -> Routes {
    let delete_like = Operation {
        statuses: REMOVED,
        ..operation(Method::Delete, "", "", "")
    };
    let routes = at_levels(
        routes,
        "",
        "delete{level}",
        "Delete a {level}; it can be restored for a while",
        delete_like,
        delete::delete,
    );
    routes
        .add(
            Operation {
                produces: JSON,
                statuses: &[200, 403, 503],
                ..get(
                    "/api/deletions",
                    "listDeletions",
                    "What was deleted and can be restored",
                )
            },
            delete::list,
        )
        .add(
            Operation {
                produces: JSON,
                statuses: &[200, 400, 403, 404, 503],
                ..operation(
                    Method::Post,
                    "/api/deletions/{deletion}/restore",
                    "restore",
                    "Restore what was deleted",
                )
            },
            delete::restore,
        )
}

fn pages(routes: Routes) -> Routes {
    let json = |path, id, summary| Operation {
        produces: JSON,
        ..get(path, id, summary)
    };
    let text = |path, id, summary| Operation {
        produces: &["text/plain"],
        ..get(path, id, summary)
    };
    let page = |path, id, summary| Operation {
        produces: &["text/html"],
        statuses: &[200, 304],
        ..get(path, id, summary)
    };
    routes
        .add(
            json("/api/status", "status", "What this server is"),
            status::status,
        )
        .add(
            Operation {
                statuses: &[200, 403, 503],
                ..json(
                    "/api/statistics",
                    "statistics",
                    "What the archive holds, in numbers",
                )
            },
            status::statistics,
        )
        .add(
            Operation {
                query: LIST,
                statuses: &[200, 400, 403, 503],
                ..json(
                    "/api/studies",
                    "listStudies",
                    "A page of studies, the newest first",
                )
            },
            studies::list,
        )
        .add(
            Operation {
                statuses: &[200, 400, 403, 404, 410, 503],
                ..json(
                    "/api/studies/{study}/series/{series}/instances/{instance}/header",
                    "instanceHeader",
                    "The header of an instance, with keywords",
                )
            },
            header::header,
        )
        .add(
            json("/api/openapi.json", "openapi", "This document"),
            health::openapi,
        )
        .add(
            text("/livez", "livez", "The process answers"),
            health::livez,
        )
        .add(
            Operation {
                statuses: &[200, 503],
                ..text("/readyz", "readyz", "The archive answers")
            },
            health::readyz,
        )
        .add(page("/", "startPage", "The start page"), start_page::index)
        .add(
            Operation {
                statuses: &[200, 304, 404],
                ..page("/start/{file}", "startPageFile", "A file of the start page")
            },
            start_page::file,
        )
        .add(page("/favicon.ico", "icon", "The icon"), start_page::icon)
}
