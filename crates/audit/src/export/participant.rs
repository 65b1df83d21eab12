//! Who takes part in an event, and in which role (ActiveParticipant, PS3.15 A.5.3).

use super::Source;
use crate::event::{Actor, Event};
use crate::kind::{Code, Family, Kind, dcm};

const APPLICATION: Code = dcm("110150", "Application");
const LAUNCHER: Code = dcm("110151", "Application Launcher");
const DESTINATION: Code = dcm("110152", "Destination Role ID");
const SOURCE: Code = dcm("110153", "Source Role ID");
const DESTINATION_MEDIA: Code = dcm("110154", "Destination Media");
const SOURCE_MEDIA: Code = dcm("110155", "Source Media");

/// A participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Participant {
    /// The login, AE title, address, or name of this archive.
    pub user_id: String,
    /// The AE title, for processes (A.5.2.2).
    pub ae_title: Option<String>,
    pub is_requestor: bool,
    pub roles: Vec<Code>,
    /// Names of roles of our own.
    pub own_roles: Vec<String>,
    pub address: Option<String>,
    /// Whether it is a medium or file.
    pub is_medium: bool,
    pub is_person: bool,
}

/// All who take part.
pub(crate) fn participants(event: &Event, source: &Source) -> Vec<Participant> {
    let archive = |roles: &[Code]| archive(source, roles);
    let actor = |roles: &[Code]| actor(&event.actor, source, roles);
    let other = |roles: &[Code]| other(event, roles);
    let mut all = match event.kind.family() {
        Family::ApplicationActivity => {
            vec![archive(&[APPLICATION]), actor(&[LAUNCHER])]
        }
        Family::BeginTransferring | Family::InstancesTransferred => {
            let is_incoming = matches!(
                event.kind,
                Kind::Received | Kind::ReceivedAgain | Kind::Committed
            );
            match other(&[DESTINATION]) {
                _ if is_incoming => vec![actor(&[SOURCE]), archive(&[DESTINATION])],
                Some(other) => vec![archive(&[SOURCE]), other, actor(&[])],
                None => vec![archive(&[SOURCE]), actor(&[DESTINATION])],
            }
        }
        Family::DataExport => {
            let medium = other(&[DESTINATION_MEDIA]).map(Participant::medium);
            let mut all = vec![actor(&[SOURCE])];
            all.extend(medium.or_else(|| Some(unknown_medium(DESTINATION_MEDIA))));
            all
        }
        Family::DataImport => {
            let medium = other(&[SOURCE_MEDIA]).map(Participant::medium);
            let mut all = vec![actor(&[DESTINATION])];
            all.extend(medium.or_else(|| Some(unknown_medium(SOURCE_MEDIA))));
            all
        }
        Family::Query => vec![actor(&[SOURCE]), archive(&[DESTINATION])],
        Family::NetworkEntry => other(&[]).into_iter().chain([actor(&[])]).collect(),
        Family::SecurityAlert => {
            let mut reporting = archive(&[]);
            reporting.is_requestor = false;
            let mut performing = actor(&[]);
            // Table A.5.3.11-1: shall be false.
            performing.is_requestor = false;
            vec![reporting, performing]
        }
        Family::AuditLogUsed
        | Family::InstancesAccessed
        | Family::StudyDeleted
        | Family::UserAuthentication
        | Family::OrderRecord
        | Family::PatientRecord
        | Family::ProcedureRecord => vec![actor(&[]), archive(&[])],
    };
    // The archive itself as the one who did it is there once.
    if event.actor.door == "system" {
        let mut seen = false;
        all.retain(|it| it.user_id != source.id || !std::mem::replace(&mut seen, true));
    }
    all
}

impl Participant {
    fn medium(self) -> Self {
        Self {
            is_medium: true,
            ..self
        }
    }
}

fn archive(source: &Source, roles: &[Code]) -> Participant {
    Participant {
        user_id: source.id.clone(),
        ae_title: Some(source.ae_title.clone()),
        is_requestor: false,
        roles: roles.to_vec(),
        own_roles: Vec::new(),
        address: Some(source.host.clone()).filter(|host| !host.is_empty()),
        is_medium: false,
        is_person: false,
    }
}

fn actor(actor: &Actor, source: &Source, roles: &[Code]) -> Participant {
    if actor.door == "system" && actor.user.is_none() {
        return Participant {
            is_requestor: true,
            ..archive(source, roles)
        };
    }
    let id = [
        &actor.user,
        &actor.calling_ae,
        &actor.certificate,
        &actor.address,
    ]
    .into_iter()
    .find_map(|id| id.clone());
    Participant {
        user_id: id.unwrap_or_else(|| actor.door.clone()),
        ae_title: actor.calling_ae.clone(),
        is_requestor: true,
        roles: roles.to_vec(),
        own_roles: actor.roles.clone(),
        address: actor.address.clone(),
        is_medium: false,
        is_person: actor.user.is_some(),
    }
}

fn other(event: &Event, roles: &[Code]) -> Option<Participant> {
    Some(Participant {
        user_id: event.other.clone()?,
        ae_title: None,
        is_requestor: false,
        roles: roles.to_vec(),
        own_roles: Vec::new(),
        address: None,
        is_medium: false,
        is_person: false,
    })
}

fn unknown_medium(role: Code) -> Participant {
    Participant {
        user_id: "unknown".into(),
        ae_title: None,
        is_requestor: false,
        roles: vec![role],
        own_roles: Vec::new(),
        address: None,
        is_medium: true,
        is_person: false,
    }
}
