//! The routes of the audit trail, with what they take and give.

use super::{list, report, verify};
use crate::routes::{Operation, QueryParameter, Routes};

const ACCEPT: QueryParameter =
    QueryParameter::string("accept", "Media types; wins over the Accept header field");
const FILTER: &[QueryParameter] = &[
    QueryParameter::string("from", "Recorded at or after this time (RFC 3339)"),
    QueryParameter::string("until", "Recorded before this time"),
    QueryParameter::string("person", "Login of the one who did it"),
    QueryParameter::string("ae", "Calling AE title of the one who did it"),
    QueryParameter::string("address", "Network address of the one who did it"),
    QueryParameter::string("study", "Study Instance UID"),
    QueryParameter::string("kind", "Kinds of events, separated by commas"),
    QueryParameter::boolean("failures", "Only what failed or was refused"),
    QueryParameter::integer("before", "Only events before this number: the next page"),
    QueryParameter::integer(
        "limit",
        "Most events of a page, up to 1000; CSV has all pages",
    ),
    ACCEPT,
];
const HEADS: &[QueryParameter] = &[QueryParameter::string(
    "head",
    "An end of the chain that was noted before, number:hash; may be repeated",
)];
const JSON: &[&str] = &["application/json"];

/// Adds them.
pub fn add(routes: Routes) -> Routes {
    let list = Operation::get(
        "/api/audit",
        "listAudit",
        "Events of the audit trail, the newest first",
    )
    .query(FILTER)
    .produces(list::FORMS)
    .answers(&[200, 400, 403, 406, 503]);
    let search = Operation::post(
        "/api/audit/search",
        "searchAudit",
        "Events of the audit trail; the body has the filter, and can name a patient",
    )
    .query(&[ACCEPT])
    .consumes(JSON)
    .produces(list::FORMS)
    .answers(&[200, 400, 403, 406, 408, 413, 503]);
    let report = Operation::post(
        "/api/audit/patients/report",
        "reportPatientAccess",
        "Who has accessed the images of a patient",
    )
    .consumes(JSON)
    .produces(JSON)
    .answers(&[200, 400, 403, 408, 413, 503]);
    let verify = Operation::get(
        "/api/audit/verify",
        "verifyAudit",
        "Whether the audit trail is what was recorded",
    )
    .query(HEADS)
    .produces(JSON)
    .answers(&[200, 400, 403, 503]);
    routes
        .add(list, list::list)
        .add(search, list::search)
        .add(report, report::report)
        .add(verify, verify::verify)
}
