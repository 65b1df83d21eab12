//! What to do with a PDU, by the state of the association (PS3.8 Table 9-10).
//!
//! Idle (Sta1) and waiting for the transport (Sta4) have no association yet; in Sta13 whatever
//! comes is discarded until the peer closes the connection.

use crate::pdu::PduKind;

/// A state in which PDUs are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Sta2: awaiting the A-ASSOCIATE-RQ.
    AwaitingRequest,
    /// Sta3: the acceptor's application decides.
    Deciding,
    /// Sta5: awaiting the answer to an A-ASSOCIATE-RQ.
    AwaitingAnswer,
    /// Sta6: established.
    Established,
    /// Sta7: awaiting the A-RELEASE-RP.
    AwaitingReleaseResponse,
    /// Sta8: the peer has asked for the release, the application has not answered.
    ReleaseRequested,
    /// Sta9: release collision, the requestor has to answer.
    CollisionRequestorAnswers,
    /// Sta10: release collision, the acceptor awaits the A-RELEASE-RP.
    CollisionAcceptorAwaits,
    /// Sta11: release collision, the requestor awaits the A-RELEASE-RP.
    CollisionRequestorAwaits,
    /// Sta12: release collision, the acceptor has to answer.
    CollisionAcceptorAnswers,
}

impl State {
    /// All of them, in the order of the standard's numbers.
    pub const ALL: [Self; 10] = [
        Self::AwaitingRequest,
        Self::Deciding,
        Self::AwaitingAnswer,
        Self::Established,
        Self::AwaitingReleaseResponse,
        Self::ReleaseRequested,
        Self::CollisionRequestorAnswers,
        Self::CollisionAcceptorAwaits,
        Self::CollisionRequestorAwaits,
        Self::CollisionAcceptorAnswers,
    ];
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AwaitingRequest => "awaiting the association request (Sta2)",
            Self::Deciding => "deciding on the association (Sta3)",
            Self::AwaitingAnswer => "awaiting the association's answer (Sta5)",
            Self::Established => "established (Sta6)",
            Self::AwaitingReleaseResponse => "awaiting the release response (Sta7)",
            Self::ReleaseRequested => "asked for the release (Sta8)",
            Self::CollisionRequestorAnswers => "in release collision (Sta9)",
            Self::CollisionAcceptorAwaits => "in release collision (Sta10)",
            Self::CollisionRequestorAwaits => "in release collision (Sta11)",
            Self::CollisionAcceptorAnswers => "in release collision (Sta12)",
        })
    }
}

/// What a PDU means in a state; the standard's action in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// A request to decide on (AE-6).
    Request,
    /// The association is established (AE-3).
    Accepted,
    /// The association is rejected (AE-4).
    Rejected,
    /// Data for the application (DT-2, AR-6).
    Data,
    /// The peer asks for the release (AR-2).
    ReleaseIndication,
    /// Both ends ask for the release at the same time (AR-8).
    ReleaseCollision,
    /// The release is confirmed (AR-3, AR-10).
    ReleaseConfirmed,
    /// The peer aborts (AA-2, AA-3).
    Aborted,
    /// Abort as the service-user (AA-1).
    AbortAsUser,
    /// Abort as the service-provider, reason unexpected PDU (AA-8).
    AbortAsProvider,
}

/// What `kind` means in `state`.
pub fn react(state: State, kind: PduKind) -> Reaction {
    use PduKind as P;
    use State as S;
    match (state, kind) {
        (_, P::Abort) => Reaction::Aborted,
        (S::AwaitingRequest, P::AssociateRq) => Reaction::Request,
        (S::AwaitingRequest, _) => Reaction::AbortAsUser,
        (S::AwaitingAnswer, P::AssociateAc) => Reaction::Accepted,
        (S::AwaitingAnswer, P::AssociateRj) => Reaction::Rejected,
        (S::Established | S::AwaitingReleaseResponse, P::PDataTf) => Reaction::Data,
        (S::Established, P::ReleaseRq) => Reaction::ReleaseIndication,
        (S::AwaitingReleaseResponse, P::ReleaseRq) => Reaction::ReleaseCollision,
        (
            S::AwaitingReleaseResponse | S::CollisionAcceptorAwaits | S::CollisionRequestorAwaits,
            P::ReleaseRp,
        ) => Reaction::ReleaseConfirmed,
        _ => Reaction::AbortAsProvider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PS3.8 Table 9-10, rows of received PDUs; a column for each state that receives.
    #[test]
    fn reactions_are_those_of_table_9_10() {
        use Reaction::*;
        const A8: Reaction = AbortAsProvider;
        const A1: Reaction = AbortAsUser;
        #[rustfmt::skip]
        let table = [
            //                      Sta2     Sta3 Sta5      Sta6               Sta7              Sta8 Sta9 Sta10             Sta11             Sta12
            (PduKind::AssociateAc, [A1,      A8,  Accepted, A8,                A8,               A8,  A8,  A8,               A8,               A8]),
            (PduKind::AssociateRj, [A1,      A8,  Rejected, A8,                A8,               A8,  A8,  A8,               A8,               A8]),
            (PduKind::AssociateRq, [Request, A8,  A8,       A8,                A8,               A8,  A8,  A8,               A8,               A8]),
            (PduKind::PDataTf,     [A1,      A8,  A8,       Data,              Data,             A8,  A8,  A8,               A8,               A8]),
            (PduKind::ReleaseRq,   [A1,      A8,  A8,       ReleaseIndication, ReleaseCollision, A8,  A8,  A8,               A8,               A8]),
            (PduKind::ReleaseRp,   [A1,      A8,  A8,       A8,                ReleaseConfirmed, A8,  A8,  ReleaseConfirmed, ReleaseConfirmed, A8]),
            (PduKind::Abort,       [Aborted; 10]),
        ];
        for (kind, row) in table {
            for (state, expected) in State::ALL.into_iter().zip(row) {
                assert_eq!(react(state, kind), expected, "{kind} while {state}");
            }
        }
    }
}
