//! C-FIND (PS3.4 C.4.1): matches stream from the index to the peer.

use crate::identifier;
use crate::operations::Cancel;
use crate::session::{Asked, Session};
use crate::status;
use gantry_archive::query::{AskedAs, FindOptions, FindRequest, Matches, Model, Query};
use gantry_archive::{Error, Result};
use gantry_core::failure::Kind;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::MatchOptions;
use gantry_dicom::tags;
use gantry_dimse::association::error::AssociationError;
use gantry_dimse::status::Status;

/// Answers a C-FIND: a pending response for each match (FF01H instead of FF00H where keys are not
/// supported, PS3.4 C.4.1.1.4), then the final one.
pub(crate) async fn c_find(
    session: &Session,
    asked: &Asked,
    model: Model,
    identifier: &DataSet,
    cancel: Cancel,
) -> std::result::Result<(), AssociationError> {
    let options = options(session, asked, identifier);
    let outcome = match FindRequest::from_identifier(identifier, model, &options) {
        Ok(request) => answer(session, asked, &request, cancel).await?,
        Err(error) => Err(error),
    };
    let response = match outcome {
        Ok(()) => asked.request.response(Status::SUCCESS),
        Err(error) => status::failure(&asked.request, &error, status::of_find),
    };
    session.respond(asked, &response).await
}

/// What was negotiated for this SOP class (PS3.4 C.5.1.1): relational queries, combined
/// date-time matching, fuzzy names, timezone adjustment, (conversion to enhanced multi-frame),
/// empty value and multiple value matching.
fn options(session: &Session, asked: &Asked, identifier: &DataSet) -> FindOptions {
    let agreed = session
        .negotiated
        .extended_of(asked.context.abstract_syntax.as_str());
    let is_agreed = |at: usize| {
        agreed
            .and_then(|bytes| bytes.get(at))
            .is_some_and(|&byte| byte == 1)
    };
    let timezone = identifier
        .ascii(tags::TIMEZONE_OFFSET_FROM_UTC)
        .filter(|_| is_agreed(3))
        .and_then(Offset::parse)
        .unwrap_or_default();
    FindOptions {
        is_relational: is_agreed(0),
        matching: MatchOptions {
            combined_date_time: is_agreed(1),
            fuzzy: is_agreed(2),
            empty_value: is_agreed(5),
            multiple_value: is_agreed(6),
            timezone,
        },
    }
}

async fn answer(
    session: &Session,
    asked: &Asked,
    request: &FindRequest,
    mut cancel: Cancel,
) -> std::result::Result<Result<()>, AssociationError> {
    let matches_max = session.server.config.matches_max;
    let query = Query {
        limit: (matches_max > 0).then(|| matches_max.saturating_add(1)),
        ..request.query()
    };
    let asked_as = AskedAs {
        service: asked.context.abstract_syntax.as_str(),
        text: &request.question,
    };
    let found = session
        .server
        .archive
        .find(&session.principal, query, asked_as)
        .await;
    let mut matches = match found {
        Ok(matches) => matches,
        Err(error) => return Ok(Err(error)),
    };
    let status = if request.unsupported.is_empty() {
        Status::PENDING
    } else {
        Status::PENDING_KEYS_UNSUPPORTED
    };
    let pending = asked.request.response(status);
    let mut count: u64 = 0;
    loop {
        if cancel.is_cancelled() {
            return Ok(Err(cancelled()));
        }
        let found = match next(session, &mut matches, &mut cancel).await? {
            Some(Ok(found)) => found,
            Some(Err(error)) => return Ok(Err(error)),
            None => return Ok(Ok(())),
        };
        count = count.saturating_add(1);
        if matches_max > 0 && count > matches_max {
            return Ok(Err(Error::new(
                Kind::OutOfResources,
                format!("more than {matches_max} matches"),
            )));
        }
        let data_set = identifier::encode(&request.complete(found), &asked.context);
        session.feed(asked, &pending, data_set).await?;
    }
}

fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "cancelled")
}

/// The next match. What was found so far is sent before anything is waited for.
async fn next(
    session: &Session,
    matches: &mut Matches,
    cancel: &mut Cancel,
) -> std::result::Result<Option<Result<DataSet>>, AssociationError> {
    tokio::select! {
        biased;
        found = matches.next() => return Ok(found),
        () = std::future::ready(()) => {}
    }
    session.flush().await?;
    Ok(tokio::select! {
        found = matches.next() => found,
        () = cancel.cancelled() => Some(Err(cancelled())),
    })
}
