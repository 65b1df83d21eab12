//! All routes, with what they take and give.

mod described;

use crate::api::{authority, header, health, marks, peers, status, studies};
use crate::audit;
use crate::dicomweb::{
    bulk_data, capabilities, commitment, delete, frames, instances, metadata, pixel_data, qido,
    rendered, stow, thumbnail, wado_uri,
};
use crate::identity;
use crate::routes::{Operation, Place, Routes};
use crate::start_page;
use described::{
    ACCEPT_ONLY, BULK, CAPABILITIES, COMMITMENT, DESCRIBED, EXPLAIN, FRAMES, INSTANCES, JSON, LIST,
    MODELS, PICTURES, REMOVED, RENDERED, RENDERING, RETRIEVED, SEARCH, SEARCHED, STORE_ANSWERS,
    STORE_REPORT, STORED, THUMBNAIL, WADO, WADO_PRODUCES,
};

const STUDY: Place = Place {
    path: "/dicom-web/studies/{study}",
    word: "Study",
};
const SERIES: Place = Place {
    path: "/dicom-web/studies/{study}/series/{series}",
    word: "Series",
};
const INSTANCE: Place = Place {
    path: "/dicom-web/studies/{study}/series/{series}/instances/{instance}",
    word: "Instance",
};
const FRAMES_OF: Place = Place {
    path: "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
    word: "Frames",
};
const LEVELS: &[Place] = &[STUDY, SERIES, INSTANCE];

/// The table.
pub fn routes() -> Routes {
    let routes = capability_routes(Routes::default());
    let routes = commitment_routes(store_routes(search_routes(routes)));
    let routes = rendered_routes(retrieve_routes(routes));
    let routes = page_routes(api_routes(remove_routes(routes)));
    let routes = authority_routes(peer_routes(mark_routes(routes)));
    audit::routes::add(identity::routes::add(routes))
}

fn capability_routes(mut routes: Routes) -> Routes {
    type New = fn(&'static str, &'static str, &'static str) -> Operation;
    let rows: [(New, &str, &str); 4] = [
        (Operation::options, "/dicom-web", "capabilities"),
        (Operation::get, "/dicom-web", "getCapabilities"),
        (Operation::options, "/dicom-web/", "capabilitiesOfRoot"),
        (Operation::get, "/dicom-web/", "getCapabilitiesOfRoot"),
    ];
    for (new, path, id) in rows {
        let operation = new(path, id, "Retrieve capabilities")
            .query(ACCEPT_ONLY)
            .produces(CAPABILITIES)
            .answers(DESCRIBED);
        routes = routes.add(operation, capabilities::retrieve);
    }
    routes
}

fn search_routes(routes: Routes) -> Routes {
    let search = |path, id, summary| {
        Operation::get(path, id, summary)
            .query(SEARCH)
            .produces(MODELS)
            .answers(SEARCHED)
    };
    let [studies, series, instances, patients] = [
        search("/dicom-web/studies", "searchStudies", "Search for studies"),
        search("/dicom-web/series", "searchSeries", "Search for series"),
        search(
            "/dicom-web/instances",
            "searchInstances",
            "Search for instances",
        ),
        search(
            "/dicom-web/patients",
            "searchPatients",
            "Search for patients (extension)",
        ),
    ];
    let series_of = search(
        "/series",
        "search{level}Series",
        "Search for series of a {level}",
    );
    let instances_of = search(
        "/instances",
        "search{level}Instances",
        "Search for instances of a {level}",
    );
    routes
        .add(studies, qido::studies)
        .add(series, qido::series)
        .add(instances, qido::instances)
        .add(patients, qido::patients)
        .add_at(&[STUDY], series_of, qido::series_of)
        .add_at(&[STUDY, SERIES], instances_of, qido::instances_of)
}

fn store_routes(routes: Routes) -> Routes {
    let store = |path, id, summary| {
        Operation::post(path, id, summary)
            .query(ACCEPT_ONLY)
            .consumes(STORED)
            .produces(STORE_REPORT)
            .answers(STORE_ANSWERS)
    };
    let in_study = store("", "storeInstancesOfStudy", "Store instances of one study");
    routes
        .add(
            store("/dicom-web/studies", "storeInstances", "Store instances"),
            stow::store,
        )
        .add_at(&[STUDY], in_study, stow::store_in_study)
}

fn commitment_routes(routes: Routes) -> Routes {
    let path = "/dicom-web/commitment-requests/{transaction}";
    let request = Operation::post(path, "requestCommitment", "Request storage commitment")
        .query(ACCEPT_ONLY)
        .consumes(COMMITMENT)
        .produces(COMMITMENT)
        .answers(&[200, 202, 400, 403, 406, 408, 409, 413, 415, 503]);
    let check = Operation::get(
        path,
        "checkCommitment",
        "The result of a request for storage commitment",
    )
    .query(ACCEPT_ONLY)
    .produces(COMMITMENT)
    .answers(&[200, 202, 400, 403, 404, 406, 503]);
    routes
        .add(request, commitment::request)
        .add(check, commitment::check)
}

fn retrieve_routes(routes: Routes) -> Routes {
    let retrieve = |path, id, summary, produces| {
        Operation::get(path, id, summary)
            .query(ACCEPT_ONLY)
            .produces(produces)
            .answers(RETRIEVED)
    };
    let wado = |path, id| {
        Operation::get(path, id, "Retrieve an instance by query (WADO-URI)")
            .query(WADO)
            .produces(WADO_PRODUCES)
            .answers(RETRIEVED)
    };
    let whole = retrieve("", "retrieve{level}", "Retrieve a {level}", INSTANCES);
    let metadata_of = retrieve(
        "/metadata",
        "retrieve{level}Metadata",
        "Retrieve the metadata of a {level}",
        MODELS,
    );
    let bulk_of = retrieve(
        "/bulkdata",
        "retrieve{level}BulkData",
        "Retrieve all bulk values of a {level}",
        BULK,
    );
    let pixels_of = retrieve(
        "/pixeldata",
        "retrieve{level}PixelData",
        "Retrieve all frames of a {level}",
        FRAMES,
    );
    let bulk = retrieve(
        "/bulkdata/{*path}",
        "retrieveBulkData",
        "Retrieve a bulk value, or ranges of it",
        BULK,
    );
    let frames = retrieve("", "retrieveFrames", "Retrieve frames", FRAMES);
    routes
        .add_at(LEVELS, whole, instances::retrieve)
        .add_at(LEVELS, metadata_of, metadata::retrieve)
        .add_at(LEVELS, bulk_of, bulk_data::retrieve_all)
        .add_at(LEVELS, pixels_of, pixel_data::retrieve)
        .add_at(&[INSTANCE], bulk, bulk_data::retrieve)
        .add_at(&[FRAMES_OF], frames, frames::retrieve)
        .add(wado("/wado", "retrieveByQuery"), wado_uri::retrieve)
        .add(
            wado("/dicom-web/wado", "retrieveByQueryToo"),
            wado_uri::retrieve,
        )
}

fn rendered_routes(routes: Routes) -> Routes {
    let rendered = Operation::get(
        "/rendered",
        "retrieveRendered{level}",
        "Retrieve a {level} rendered",
    )
    .query(RENDERING)
    .produces(RENDERED)
    .answers(RETRIEVED);
    let thumbnail = Operation::get(
        "/thumbnail",
        "retrieve{level}Thumbnail",
        "Retrieve a thumbnail of a {level}",
    )
    .query(THUMBNAIL)
    .produces(PICTURES)
    .answers(RETRIEVED);
    let of_frames = Operation {
        summary: "Retrieve frames rendered",
        ..rendered
    };
    let of_frame = Operation {
        summary: "Retrieve a thumbnail of a frame",
        ..thumbnail
    };
    routes
        .add_at(LEVELS, rendered, rendered::retrieve)
        .add_at(LEVELS, thumbnail, thumbnail::retrieve)
        .add_at(&[FRAMES_OF], of_frames, rendered::frames)
        .add_at(&[FRAMES_OF], of_frame, thumbnail::of_frame)
}

fn remove_routes(routes: Routes) -> Routes {
    let delete = Operation::delete(
        "",
        "delete{level}",
        "Delete a {level}; it can be restored for a while",
    )
    .answers(REMOVED);
    let list = Operation::get(
        "/api/deletions",
        "listDeletions",
        "What was deleted and can be restored",
    )
    .produces(JSON)
    .answers(&[200, 403, 503]);
    let restore = Operation::post(
        "/api/deletions/{deletion}/restore",
        "restore",
        "Restore what was deleted",
    )
    .produces(JSON)
    .answers(&[200, 400, 403, 404, 409, 503]);
    routes
        .add_at(LEVELS, delete, delete::delete)
        .add(list, delete::list)
        .add(restore, delete::restore)
}

fn api_routes(routes: Routes) -> Routes {
    let json = |path, id, summary, statuses| {
        Operation::get(path, id, summary)
            .produces(JSON)
            .answers(statuses)
    };
    let status = json("/api/status", "status", "What this server is", &[200]);
    let statistics = json(
        "/api/statistics",
        "statistics",
        "What the archive holds, in numbers",
        &[200, 403, 503],
    );
    let list = json(
        "/api/studies",
        "listStudies",
        "A page of studies, the newest first",
        &[200, 400, 403, 503],
    );
    let header = json(
        "/api/studies/{study}/series/{series}/instances/{instance}/header",
        "instanceHeader",
        "The header of an instance, with keywords",
        &[200, 400, 403, 404, 410, 503],
    );
    let document = json("/api/openapi.json", "openapi", "This document", &[200]);
    routes
        .add(status, status::status)
        .add(statistics, status::statistics)
        .add(list.query(LIST), studies::list)
        .add(header, header::header)
        .add(document, health::openapi)
}

const KNOWN: &[u16] = &[200, 400, 403, 404, 503];
const MARKED: &[u16] = &[200, 400, 403, 404, 409, 503];

fn mark_routes(routes: Routes) -> Routes {
    let marks = "/api/studies/{study}/marks";
    let label = "/api/studies/{study}/labels/{label}";
    let restriction = "/api/studies/{study}/restriction";
    let why = "/api/studies/{study}/explanation";
    let get = |path, id, summary| {
        let operation = Operation::get(path, id, summary);
        operation.produces(JSON).answers(KNOWN)
    };
    let change = |operation: Operation| operation.produces(JSON).answers(MARKED);
    let put = |path, id, summary| change(Operation::put(path, id, summary));
    let delete = |path, id, summary| change(Operation::delete(path, id, summary));
    routes
        .add(
            get(
                marks,
                "studyMarks",
                "A study's labels, and whether it is restricted",
            ),
            marks::marks,
        )
        .add(put(label, "labelStudy", "Label a study"), marks::label)
        .add(
            delete(label, "unlabelStudy", "Take a label from a study"),
            marks::unlabel,
        )
        .add(
            put(
                restriction,
                "restrictStudy",
                "Restrict a study (embargo, VIP)",
            ),
            marks::restrict,
        )
        .add(
            delete(restriction, "liftRestriction", "Lift a study's restriction"),
            marks::lift,
        )
        .add(
            get(why, "explainStudy", "Why somebody sees a study, or not")
                .query(EXPLAIN)
                .answers(&[200, 400, 403, 404, 409, 503]),
            marks::explanation,
        )
}

fn peer_routes(routes: Routes) -> Routes {
    let list = Operation::get(
        "/api/peers",
        "listPeers",
        "Known AEs, and others that called",
    );
    let echo = Operation::post(
        "/api/peers/{ae_title}/echo",
        "echoPeer",
        "Ask a known AE whether it answers (C-ECHO)",
    );
    routes
        .add(list.produces(JSON).answers(&[200, 403, 503]), peers::list)
        .add(
            echo.produces(JSON).answers(&[200, 403, 404, 409]),
            peers::echo,
        )
}

fn page_routes(routes: Routes) -> Routes {
    let text = |path, id, summary, statuses| {
        Operation::get(path, id, summary)
            .produces(&["text/plain"])
            .answers(statuses)
            .public()
    };
    let live = text("/livez", "livez", "The process answers", &[200]);
    let ready = text("/readyz", "readyz", "The archive answers", &[200, 503]);
    let page = Operation::get("/", "startPage", "The start page")
        .produces(&["text/html"])
        .answers(&[200, 304])
        .public();
    let file = Operation::get("/start/{file}", "startPageFile", "A file of the start page")
        .produces(&["text/javascript", "text/css", "image/svg+xml"])
        .answers(&[200, 304, 404])
        .public();
    let icon = Operation::get("/favicon.ico", "icon", "The icon")
        .produces(&["image/svg+xml"])
        .answers(&[200, 304])
        .public();
    routes
        .add(live, health::livez)
        .add(ready, health::readyz)
        .add(page, start_page::index)
        .add(file, start_page::file)
        .add(icon, start_page::icon)
}

fn authority_routes(routes: Routes) -> Routes {
    let public = |path, id, summary, produces| {
        Operation::get(path, id, summary)
            .produces(produces)
            .answers(&[200, 404])
            .public()
    };
    let certificate = public(
        "/tls/ca.pem",
        "certificateAuthority",
        "The certificate of the local authority",
        &["application/x-pem-file"],
    );
    let list = public(
        "/tls/ca.crl",
        "revocationList",
        "What the local authority has revoked",
        &["application/pkix-crl"],
    );
    routes
        .add(certificate, authority::certificate)
        .add(list, authority::revocation_list)
}
