//! Failures of use cases in the terms of DIMSE statuses (PS3.4 B.2.3, C.4, J.3; PS3.7 C).

use gantry_archive::Error;
use gantry_core::failure::Kind;
use gantry_dimse::command::{Request, Response};
use gantry_dimse::status::Status;

/// Unable to process (PS3.4 C.4.1.1.4: Cxxx), for what is this end's fault.
pub(crate) const UNABLE_TO_PROCESS: Status = Status(0xC001);

/// C-STORE (PS3.4 Table B.2-1).
pub(crate) fn of_store(kind: Kind) -> Status {
    match kind {
        Kind::Malformed => Status::CANNOT_UNDERSTAND,
        Kind::MismatchedSopClass => Status::DATA_SET_MISMATCH,
        Kind::Unauthenticated | Kind::Forbidden => Status::NOT_AUTHORIZED,
        Kind::Conflict => Status::DUPLICATE_SOP_INSTANCE,
        Kind::Unsupported => Status::SOP_CLASS_NOT_SUPPORTED,
        Kind::OutOfResources => Status::OUT_OF_RESOURCES,
        Kind::NotFound | Kind::Gone | Kind::Cancelled | Kind::Internal => {
            Status::PROCESSING_FAILURE
        }
    }
}

/// C-FIND (PS3.4 Table C.4-1). What is not there is no failure of a query.
pub(crate) fn of_find(kind: Kind) -> Status {
    match kind {
        Kind::Malformed => Status::CANNOT_UNDERSTAND,
        Kind::MismatchedSopClass => Status::DATA_SET_MISMATCH,
        Kind::Unauthenticated | Kind::Forbidden => Status::NOT_AUTHORIZED,
        Kind::NotFound | Kind::Gone => Status::SUCCESS,
        Kind::Unsupported => Status::SOP_CLASS_NOT_SUPPORTED,
        Kind::OutOfResources => Status::OUT_OF_RESOURCES,
        Kind::Cancelled => Status::CANCEL,
        Kind::Conflict | Kind::Internal => UNABLE_TO_PROCESS,
    }
}

/// C-MOVE and C-GET (PS3.4 Tables C.4-2 and C.4-3), before sub-operations begin.
pub(crate) fn of_retrieve(kind: Kind) -> Status {
    match kind {
        Kind::OutOfResources => Status::UNABLE_TO_CALCULATE_MATCHES,
        other => of_find(other),
    }
}

/// N-ACTION of storage commitment (PS3.4 J.3.2.1.4).
pub(crate) fn of_commitment(kind: Kind) -> Status {
    match kind {
        Kind::Malformed | Kind::MismatchedSopClass => Status::INVALID_ARGUMENT_VALUE,
        Kind::Unauthenticated | Kind::Forbidden => Status::NOT_AUTHORIZED,
        Kind::NotFound | Kind::Gone => Status::NO_SUCH_SOP_INSTANCE,
        Kind::Conflict => Status::DUPLICATE_TRANSACTION_UID,
        Kind::Unsupported => Status::SOP_CLASS_NOT_SUPPORTED,
        Kind::OutOfResources => Status::RESOURCE_LIMITATION,
        Kind::Cancelled | Kind::Internal => Status::PROCESSING_FAILURE,
    }
}

/// The response to a request that failed; what is this end's own fault is logged in full.
pub(crate) fn failure(request: &Request, error: &Error, of: fn(Kind) -> Status) -> Response {
    let status = of(error.kind());
    match error.kind() {
        Kind::Internal | Kind::OutOfResources => tracing::error!(
            operation = request.operation().name(),
            %status,
            "request failed: {}",
            error.chain()
        ),
        _ => tracing::info!(
            operation = request.operation().name(),
            %status,
            "request refused: {}",
            error.chain()
        ),
    }
    let response = request.response(status);
    if status.is_done() {
        response
    } else {
        response.with_comment(error.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind, in every service: store, find, retrieve, commitment.
    #[test]
    fn each_kind_has_its_status() {
        for (kind, store, find, retrieve, commitment) in [
            (Kind::Malformed, 0xC000, 0xC000, 0xC000, 0x0115),
            (Kind::MismatchedSopClass, 0xA900, 0xA900, 0xA900, 0x0115),
            (Kind::Unauthenticated, 0x0124, 0x0124, 0x0124, 0x0124),
            (Kind::Forbidden, 0x0124, 0x0124, 0x0124, 0x0124),
            (Kind::NotFound, 0x0110, 0x0000, 0x0000, 0x0112),
            (Kind::Gone, 0x0110, 0x0000, 0x0000, 0x0112),
            (Kind::Conflict, 0x0111, 0xC001, 0xC001, 0x0131),
            (Kind::Unsupported, 0x0122, 0x0122, 0x0122, 0x0122),
            (Kind::OutOfResources, 0xA700, 0xA700, 0xA701, 0x0213),
            (Kind::Cancelled, 0x0110, 0xFE00, 0xFE00, 0x0110),
            (Kind::Internal, 0x0110, 0xC001, 0xC001, 0x0110),
        ] {
            assert_eq!(of_store(kind), Status(store), "store: {kind:?}");
            assert_eq!(of_find(kind), Status(find), "find: {kind:?}");
            assert_eq!(of_retrieve(kind), Status(retrieve), "retrieve: {kind:?}");
            assert_eq!(
                of_commitment(kind),
                Status(commitment),
                "commitment: {kind:?}"
            );
        }
    }
}
