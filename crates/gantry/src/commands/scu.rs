//! What the SCU commands share: an association, queries from options, and statuses in words.

use super::usage::usage;
use crate::peer_address::{PeerAddress, PeerOptions};
use anyhow::Context;
use gantry_core::level::Level;
use gantry_core::uid::Uid;
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::dictionary;
use gantry_dicom::encoding::{self, Limits};
use gantry_dicom::part10::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use gantry_dicom::transfer_syntax::TransferSyntax;
use gantry_dicom::{Tag, Vr, tags, uids};
use gantry_dimse::association::requestor::{self, Proposal};
use gantry_dimse::association::settings::Settings;
use gantry_dimse::command::Response;
use gantry_dimse::scu::Client;
use gantry_dimse::status::Status;
use gantry_tls::{ClientStream, Connector};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;

/// Transfer syntaxes for data sets without pixels.
pub const PLAIN_SYNTAXES: [&str; 2] = [
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
];

/// Runs the work of a command to its end.
pub fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// A UID that this program itself writes.
pub fn uid(text: &str) -> anyhow::Result<Uid> {
    Uid::parse_lenient(text).map_err(usage)
}

/// A presentation context to propose.
pub fn context(
    abstract_syntax: &str,
    transfer_syntaxes: &[&str],
) -> anyhow::Result<(Uid, Vec<Uid>)> {
    let syntaxes = transfer_syntaxes
        .iter()
        .map(|syntax| uid(syntax))
        .collect::<Result<_, _>>()?;
    Ok((uid(abstract_syntax)?, syntaxes))
}

/// A presentation context for commands and queries.
pub fn plain_context(abstract_syntax: &str) -> anyhow::Result<(Uid, Vec<Uid>)> {
    context(abstract_syntax, &PLAIN_SYNTAXES)
}

/// What this end says of itself and how long it waits.
pub fn settings(options: &PeerOptions) -> anyhow::Result<Settings> {
    let mut settings = Settings::new(uid(IMPLEMENTATION_CLASS_UID)?, IMPLEMENTATION_VERSION_NAME);
    let wait = Duration::from_secs(options.timeout);
    settings.timeouts.connect = wait;
    settings.timeouts.associate = wait;
    settings.timeouts.response = wait;
    Ok(settings)
}

/// Connects to the peer with these presentation contexts; `adjust` may add to the proposal.
pub async fn connect(
    options: &PeerOptions,
    contexts: Vec<(Uid, Vec<Uid>)>,
    adjust: impl FnOnce(&mut Proposal),
) -> anyhow::Result<Client> {
    let (own, peer, connector) = options.resolve_secured()?;
    let mut proposal = Proposal::new(peer.ae_title.clone(), own);
    proposal.contexts = contexts;
    adjust(&mut proposal);
    let settings = settings(options)?;
    let client = match connector {
        None => Client::connect(peer.socket(), &proposal, &settings).await,
        Some(connector) => {
            let stream = secured(&connector, &peer, &settings)
                .await
                .with_context(|| format!("no association with {peer}"))?;
            Client::connect_over(stream, &proposal, &settings).await
        }
    };
    client.with_context(|| format!("no association with {peer}"))
}

async fn secured(
    connector: &Connector,
    peer: &PeerAddress,
    settings: &Settings,
) -> anyhow::Result<ClientStream<TcpStream>> {
    let stream = requestor::dial(peer.socket(), settings).await?;
    let handshake = connector.connect(stream, &peer.host, peer.certificate.as_ref());
    Ok(tokio::time::timeout(settings.timeouts.connect, handshake)
        .await
        .context("the TLS handshake took too long")??)
}

/// A final status in words, with the peer's comment.
pub fn status_text(response: &Response) -> String {
    let words = status_words(response.status);
    let mut text = format!("{}H {words}", response.status);
    if let Some(comment) = response
        .error_comment
        .as_deref()
        .filter(|comment| !comment.is_empty())
    {
        text.push_str(": ");
        text.extend(
            comment
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c }),
        );
    }
    text
}

/// Statuses in words (PS3.7 Annex C, PS3.4 tables B.2-1, C.4-1, C.4-2, C.4-3).
fn status_words(status: Status) -> &'static str {
    match status.0 {
        0x0000 => "success",
        0x0105 => "no such attribute",
        0x0106 => "invalid attribute value",
        0x0107 => "attribute list error",
        0x0110 => "processing failure",
        0x0111 => "duplicate SOP instance",
        0x0112 => "no such SOP instance",
        0x0117 => "invalid SOP instance",
        0x0118 => "no such SOP class",
        0x0119 => "class-instance conflict",
        0x0120 => "missing attribute",
        0x0122 => "SOP class not supported",
        0x0124 => "not authorized",
        0x0210 => "duplicate invocation",
        0x0211 => "unrecognized operation",
        0x0212 => "mistyped argument",
        0x0213 => "resource limitation",
        0xA701 => "out of resources: unable to calculate number of matches",
        0xA702 => "out of resources: unable to perform sub-operations",
        0xA801 => "move destination unknown",
        0xA700..=0xA7FF => "out of resources",
        0xA900..=0xA9FF => "data set does not match SOP class",
        0xB000 => "warning: coercion of data elements, or sub-operations with failures",
        0xB006 => "warning: elements discarded",
        0xB007 => "warning: data set does not match SOP class",
        0xC000..=0xCFFF => "cannot understand, or unable to process",
        0xFE00 => "cancelled",
        0xFF00 | 0xFF01 => "pending",
        _ => "unknown status",
    }
}

/// The query/retrieve information models (PS3.4 C.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// Study Root.
    Study,
    /// Patient Root.
    Patient,
}

impl Model {
    /// The SOP class for C-FIND.
    pub fn find(self) -> &'static str {
        match self {
            Self::Study => uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
            Self::Patient => uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
        }
    }

    /// The SOP class for C-MOVE.
    pub fn move_(self) -> &'static str {
        match self {
            Self::Study => uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE,
            Self::Patient => uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE,
        }
    }

    /// The SOP class for C-GET.
    pub fn get(self) -> &'static str {
        match self {
            Self::Study => uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET,
            Self::Patient => uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET,
        }
    }
}

/// What to retrieve, named by its identifiers.
#[derive(Debug, Clone, clap::Args)]
pub struct RetrieveKeys {
    /// Patient ID; with the patient model alone it names all of the patient.
    #[arg(long, value_name = "ID")]
    pub patient: Option<String>,
    /// Study Instance UID; several times for several studies.
    #[arg(long, value_name = "UID")]
    pub study: Vec<Uid>,
    /// Series Instance UID, within one study; several times for several series.
    #[arg(long, value_name = "UID")]
    pub series: Vec<Uid>,
    /// SOP Instance UID, within one series; several times for several instances.
    #[arg(long, value_name = "UID")]
    pub instance: Vec<Uid>,
}

impl RetrieveKeys {
    /// The model that the keys need, and the identifier (PS3.4 C.4.2.1.4, C.4.3.1.3).
    pub fn identifier(&self) -> anyhow::Result<(Model, DataSet)> {
        let model = match (&self.patient, self.study.is_empty()) {
            (Some(_), _) => Model::Patient,
            (None, false) => Model::Study,
            (None, true) => return Err(usage("name what to retrieve: --study or --patient")),
        };
        let lists = [
            (
                Level::Study,
                tags::STUDY_INSTANCE_UID,
                "--study",
                &self.study,
            ),
            (
                Level::Series,
                tags::SERIES_INSTANCE_UID,
                "--series",
                &self.series,
            ),
            (
                Level::Instance,
                tags::SOP_INSTANCE_UID,
                "--instance",
                &self.instance,
            ),
        ];
        let level = lists
            .iter()
            .rev()
            .find(|(.., list)| !list.is_empty())
            .map_or(Level::Patient, |(level, ..)| *level);
        let mut identifier = DataSet::new();
        identifier.put_text(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str());
        if let Some(patient) = &self.patient {
            put_key_text(&mut identifier, tags::PATIENT_ID, patient);
        }
        for (of, tag, option, list) in lists {
            // Above the level there is exactly one value, at the level a list.
            if of < level && list.len() != 1 {
                return Err(usage(format!("{level} level needs exactly one {option}")));
            }
            if !list.is_empty() {
                let values: Vec<&str> = list.iter().map(Uid::as_str).collect();
                identifier.put_bytes(tag, Vr::UI, values.join("\\").into_bytes());
            }
        }
        Ok((model, identifier))
    }
}

/// Puts text; what is not ASCII makes the identifier UTF-8.
pub fn put_key_text(identifier: &mut DataSet, tag: Tag, text: &str) {
    if !text.is_ascii() {
        identifier.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    }
    identifier.put_text(tag, dictionary::implicit_vr(tag, false), text);
}

/// Adds a key given as `Keyword`, `Keyword=value`, `0010,0010=value` or, inside a sequence,
/// `SequenceKeyword.Keyword=value`.
pub fn add_key(identifier: &mut DataSet, text: &str) -> anyhow::Result<Vec<Tag>> {
    let (path, value) = text.split_once('=').unwrap_or((text, ""));
    let path: Vec<Tag> = path
        .split('.')
        .map(|name| {
            dictionary::parse_attribute(name.trim())
                .ok_or_else(|| usage(format!("{name:?} is no attribute's keyword or tag")))
        })
        .collect::<Result<_, _>>()?;
    if path.len() > 8 {
        return Err(usage(format!("{text:?} is nested too deeply")));
    }
    if !value.is_ascii() {
        identifier.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    }
    put_at(identifier, &path, value)?;
    Ok(path)
}

fn put_at(data_set: &mut DataSet, path: &[Tag], value: &str) -> anyhow::Result<()> {
    let [tag, rest @ ..] = path else {
        return Ok(());
    };
    let vr = dictionary::implicit_vr(*tag, false);
    if rest.is_empty() && vr != Vr::SQ {
        put_value(data_set, *tag, vr, value)?;
        return Ok(());
    }
    if vr != Vr::SQ {
        return Err(usage(format!("{} is no sequence", name_of(*tag))));
    }
    let mut item = data_set.items(*tag).first().cloned().unwrap_or_default();
    if !value.is_ascii() && item.get(tags::SPECIFIC_CHARACTER_SET).is_none() {
        item.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    }
    put_at(&mut item, rest, value)?;
    item.remove(tags::SPECIFIC_CHARACTER_SET);
    let items = if rest.is_empty() {
        Vec::new()
    } else {
        vec![item]
    };
    data_set.put(Element {
        tag: *tag,
        vr: Vr::SQ,
        value: Value::Sequence(items),
    });
    Ok(())
}

/// Puts a matching value; numbers of binary VRs are given in decimal.
fn put_value(data_set: &mut DataSet, tag: Tag, vr: Vr, value: &str) -> anyhow::Result<()> {
    let wrong = |_| usage(format!("{value:?} is no number, as {} is", name_of(tag)));
    match vr {
        _ if value.is_empty() => data_set.put_empty(tag, vr),
        Vr::US => data_set.put_u16(tag, value.parse().map_err(wrong)?),
        Vr::UL => data_set.put_u32(tag, value.parse().map_err(wrong)?),
        _ => data_set.put_text(tag, vr, value),
    }
    Ok(())
}

/// The keyword of an attribute, or its tag.
pub fn name_of(tag: Tag) -> String {
    dictionary::keyword(tag).map_or_else(|| format!("{:04X},{:04X}", tag.0, tag.1), str::to_owned)
}

/// Encodes a data set for a presentation context.
pub fn encoded(data_set: &DataSet, transfer_syntax: &Uid) -> bytes::Bytes {
    let encoding = TransferSyntax::of(transfer_syntax.as_str()).encoding;
    encoding::write(data_set, encoding).into()
}

/// Decodes the data set of a response.
pub fn decoded(bytes: bytes::Bytes, transfer_syntax: &Uid) -> anyhow::Result<DataSet> {
    let encoding = TransferSyntax::of(transfer_syntax.as_str()).encoding;
    let limits = Limits {
        depth_max: 32,
        elements_max: 1 << 18,
        ..Limits::default()
    };
    encoding::parse(bytes, encoding, &limits).context("the peer's data set cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(study: &[&str], series: &[&str], patient: Option<&str>) -> RetrieveKeys {
        let list = |uids: &[&str]| uids.iter().map(|uid| Uid::parse(uid).unwrap()).collect();
        RetrieveKeys {
            patient: patient.map(str::to_owned),
            study: list(study),
            series: list(series),
            instance: Vec::new(),
        }
    }

    #[test]
    fn the_level_follows_from_the_keys() {
        let (model, identifier) = keys(&["1.2", "1.3"], &[], None).identifier().unwrap();
        assert_eq!(model, Model::Study);
        assert_eq!(identifier.ascii(tags::QUERY_RETRIEVE_LEVEL), Some("STUDY"));
        let uids: Vec<&str> = identifier.ascii_values(tags::STUDY_INSTANCE_UID).collect();
        assert_eq!(uids, ["1.2", "1.3"]);
        let (_, identifier) = keys(&["1.2"], &["1.2.1"], None).identifier().unwrap();
        assert_eq!(identifier.ascii(tags::QUERY_RETRIEVE_LEVEL), Some("SERIES"));
        let (model, identifier) = keys(&[], &[], Some("42")).identifier().unwrap();
        assert_eq!(model, Model::Patient);
        assert_eq!(
            identifier.ascii(tags::QUERY_RETRIEVE_LEVEL),
            Some("PATIENT")
        );
        assert!(
            keys(&["1.2", "1.3"], &["1.2.1"], None)
                .identifier()
                .is_err()
        );
        assert!(keys(&[], &["1.2.1"], None).identifier().is_err());
    }

    #[test]
    fn keys_are_read_by_keyword_tag_and_path() {
        let mut identifier = DataSet::new();
        add_key(&mut identifier, "PatientName=Müller*").unwrap();
        add_key(&mut identifier, "0008,0020=20260101-").unwrap();
        add_key(&mut identifier, "StudyInstanceUID").unwrap();
        add_key(
            &mut identifier,
            "RequestAttributesSequence.RequestedProcedureID=7",
        )
        .unwrap();
        add_key(
            &mut identifier,
            "RequestAttributesSequence.ScheduledProcedureStepID",
        )
        .unwrap();
        assert_eq!(
            identifier.string(tags::PATIENT_NAME).as_deref(),
            Some("Müller*")
        );
        assert_eq!(
            identifier.ascii(tags::SPECIFIC_CHARACTER_SET),
            Some("ISO_IR 192")
        );
        assert_eq!(identifier.ascii(tags::STUDY_DATE), Some("20260101-"));
        assert!(identifier.get(tags::STUDY_INSTANCE_UID).is_some());
        let item = &identifier.items(tags::REQUEST_ATTRIBUTES_SEQUENCE)[0];
        assert_eq!(
            item.string(tags::REQUESTED_PROCEDURE_ID).as_deref(),
            Some("7")
        );
        assert!(item.get(tags::SCHEDULED_PROCEDURE_STEP_ID).is_some());
        for wrong in ["NoSuchThing=1", "PatientName.PatientID=1", "Rows=x"] {
            assert!(add_key(&mut identifier, wrong).is_err(), "{wrong}");
        }
    }
}
