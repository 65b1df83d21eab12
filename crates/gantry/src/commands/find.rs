//! `gantry find`: Query (C-FIND, PS3.4 C.4.1) as SCU.

mod table;

use super::scu::{self, Model};
use super::usage::usage;
use crate::peer_address::PeerOptions;
use anyhow::Context;
use bytes::Bytes;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::json;
use gantry_dicom::model::ModelOptions;
use gantry_dicom::{Tag, Vr, tags};
use gantry_dimse::pdu::user_information::ExtendedNegotiation;
use gantry_dimse::status::Status;
use std::io::Write;
use std::process::ExitCode;
use table::Table;

/// Query a peer (C-FIND).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gantry find PACS@127.0.0.1:11112 -k PatientName='DOE*'
  gantry find PACS@127.0.0.1:11112 -k StudyDate=20260101- -k ModalitiesInStudy=CT --limit 20
  gantry find PACS@127.0.0.1:11112 --level series -k StudyInstanceUID=1.2.3
  gantry find PACS@127.0.0.1:11112 --level image -k StudyInstanceUID=1.2.3 -k SeriesInstanceUID=1.2.3.4
  gantry find PACS@127.0.0.1:11112 --model patient --level patient -k PatientID --only
  gantry find PACS@127.0.0.1:11112 -k 0010,0020=4711 --json | jq .

A key is Keyword[=VALUE] or GGGG,EEEE[=VALUE]; inside a sequence Sequence.Keyword[=VALUE].
Without a value it is only returned. The usual attributes of the level are asked for as well.

Exit code: 0 when the query succeeded (also without matches), 1 when not, 2 for a wrong call.")]
pub struct Find {
    #[command(flatten)]
    peer: PeerOptions,
    /// A matching or return key; can be given several times.
    #[arg(short, long = "key", value_name = "KEY[=VALUE]")]
    keys: Vec<String>,
    /// Query/Retrieve Level.
    #[arg(long, value_enum, default_value_t = FindLevel::Study)]
    level: FindLevel,
    /// Information model.
    #[arg(long, value_enum, default_value_t = Model::Study)]
    model: Model,
    /// Ask for the given keys alone.
    #[arg(long)]
    only: bool,
    /// Propose relational queries (PS3.4 C.5.1.1.1).
    #[arg(long)]
    relational: bool,
    /// Propose fuzzy matching of person names (PS3.4 C.5.1.1.1).
    #[arg(long)]
    fuzzy: bool,
    /// Stop after so many matches; the peer is told to cancel.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Print an array of DICOM JSON objects (PS3.18 F).
    #[arg(long)]
    json: bool,
}

/// Query/Retrieve Level, as options spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FindLevel {
    /// PATIENT.
    Patient,
    /// STUDY.
    Study,
    /// SERIES.
    Series,
    /// IMAGE.
    Image,
}

impl FindLevel {
    fn level(self) -> Level {
        match self {
            Self::Patient => Level::Patient,
            Self::Study => Level::Study,
            Self::Series => Level::Series,
            Self::Image => Level::Instance,
        }
    }

    /// What is asked for without being named, in the order of the table's columns.
    fn usual(self) -> &'static [Tag] {
        match self {
            Self::Patient => &[
                tags::PATIENT_NAME,
                tags::PATIENT_ID,
                tags::PATIENT_BIRTH_DATE,
                tags::PATIENT_SEX,
                tags::NUMBER_OF_PATIENT_RELATED_STUDIES,
            ],
            Self::Study => &[
                tags::PATIENT_NAME,
                tags::PATIENT_ID,
                tags::STUDY_DATE,
                tags::STUDY_TIME,
                tags::ACCESSION_NUMBER,
                tags::MODALITIES_IN_STUDY,
                tags::STUDY_DESCRIPTION,
                tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
                tags::STUDY_INSTANCE_UID,
            ],
            Self::Series => &[
                tags::MODALITY,
                tags::SERIES_NUMBER,
                tags::SERIES_DESCRIPTION,
                tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
                tags::SERIES_INSTANCE_UID,
            ],
            Self::Image => &[
                tags::INSTANCE_NUMBER,
                tags::SOP_CLASS_UID,
                tags::SOP_INSTANCE_UID,
            ],
        }
    }
}

/// Asks, and prints the matches as they come.
pub fn run(find: &Find) -> anyhow::Result<ExitCode> {
    let (identifier, columns) = identifier(find)?;
    scu::block_on(ask(find, identifier, columns))
}

/// The identifier and the attributes to show.
fn identifier(find: &Find) -> anyhow::Result<(DataSet, Vec<Tag>)> {
    if find.model == Model::Study && find.level == FindLevel::Patient {
        return Err(usage(
            "the study model has no patient level: add --model patient",
        ));
    }
    let mut identifier = DataSet::new();
    identifier.put_text(
        tags::QUERY_RETRIEVE_LEVEL,
        Vr::CS,
        find.level.level().as_str(),
    );
    let mut columns: Vec<Tag> = Vec::new();
    if !find.only {
        columns.extend(find.level.usual());
        for tag in find.level.usual() {
            scu::add_key(&mut identifier, &scu::name_of(*tag))?;
        }
    }
    for key in &find.keys {
        let path = scu::add_key(&mut identifier, key)?;
        if let Some(first) = path.first()
            && !columns.contains(first)
        {
            columns.push(*first);
        }
    }
    Ok((identifier, columns))
}

async fn ask(find: &Find, identifier: DataSet, columns: Vec<Tag>) -> anyhow::Result<ExitCode> {
    let sop_class = find.model.find();
    let contexts = vec![scu::plain_context(sop_class)?];
    let sop_class_uid = scu::uid(sop_class)?;
    let client = scu::connect(&find.peer, contexts, |proposal| {
        if find.relational || find.fuzzy {
            // Relational, combined date-time, fuzzy, timezone (PS3.4 C.5.1.1.1).
            let information =
                Bytes::from(vec![u8::from(find.relational), 0, u8::from(find.fuzzy), 0]);
            let sop_class_uid = sop_class_uid.clone();
            proposal.extended.push(ExtendedNegotiation {
                sop_class_uid,
                information,
            });
        }
    })
    .await?;
    let context = client.context(&scu::uid(sop_class)?)?.clone();
    let encoded = scu::encoded(&identifier, &context.transfer_syntax);
    let mut operation = client.find(&context, encoded).await?;
    let mut printer = Printer::new(find.json, columns);
    let mut matches = 0_u64;
    let last = loop {
        let reply = operation.next().await?;
        if !reply.response.status.is_pending() {
            break reply.response;
        }
        let Some(bytes) = reply.data_set else {
            continue;
        };
        if find.limit.is_some_and(|limit| matches >= limit) {
            continue;
        }
        matches += 1;
        printer.print(&scu::decoded(bytes, &context.transfer_syntax)?)?;
        if find.limit == Some(matches) {
            operation.cancel().await?;
        }
    };
    printer.finish()?;
    drop(operation);
    client
        .release()
        .await
        .context("the association was not released")?;
    let is_cut = find.limit.is_some_and(|limit| matches >= limit);
    if last.status == Status::SUCCESS || (last.status == Status::CANCEL && is_cut) {
        if !find.json {
            let more = if last.status == Status::CANCEL {
                ", there are more"
            } else {
                ""
            };
            eprintln!("{matches} matches{more}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("gantry: the query ended with {}", scu::status_text(&last));
    Ok(if last.status.is_done() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints matches one after the other.
enum Printer {
    Json { is_first: bool },
    Table(Box<Table>),
}

impl Printer {
    fn new(is_json: bool, columns: Vec<Tag>) -> Self {
        match is_json {
            true => Self::Json { is_first: true },
            false => Self::Table(Box::new(Table::new(columns))),
        }
    }

    fn print(&mut self, data_set: &DataSet) -> anyhow::Result<()> {
        match self {
            Self::Json { is_first } => {
                let mut object = Vec::new();
                json::write(data_set, &mut object, &ModelOptions::default());
                let mut out = std::io::stdout().lock();
                out.write_all(if *is_first { b"[" } else { b",\n" })?;
                out.write_all(&object)?;
                *is_first = false;
            }
            Self::Table(table) => table.add(data_set)?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match self {
            Self::Json { is_first } => {
                out.write_all(if is_first { b"[]\n" } else { b"]\n" })?;
            }
            Self::Table(table) => table.finish()?,
        }
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        find: Find,
    }

    fn parsed(arguments: &[&str]) -> Find {
        let arguments = ["find", "A@h:1"].iter().chain(arguments);
        Arguments::try_parse_from(arguments).unwrap().find
    }

    #[test]
    fn usual_attributes_are_asked_for_beside_the_keys() {
        let find = parsed(&["-k", "PatientName=DOE*", "-k", "BodyPartExamined"]);
        let (identifier, columns) = identifier(&find).unwrap();
        assert_eq!(
            identifier.string(tags::PATIENT_NAME).as_deref(),
            Some("DOE*")
        );
        assert!(identifier.get(tags::STUDY_INSTANCE_UID).is_some());
        assert_eq!(columns.first(), Some(&tags::PATIENT_NAME));
        assert_eq!(columns.last(), Some(&tags::BODY_PART_EXAMINED));
    }

    #[test]
    fn only_means_only() {
        let find = parsed(&["--only", "-k", "PatientID=1", "--level", "patient"]);
        assert!(
            identifier(&find).is_err(),
            "the study model has no patient level"
        );
        let find = parsed(&[
            "--only",
            "-k",
            "PatientID=1",
            "--level",
            "patient",
            "--model",
            "patient",
        ]);
        let (identifier, columns) = identifier(&find).unwrap();
        assert_eq!(identifier.elements().len(), 2);
        assert_eq!(columns, [tags::PATIENT_ID]);
    }
}
