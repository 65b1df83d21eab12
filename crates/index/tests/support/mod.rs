//! Instances for tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "a test fails by panicking"
)]

use gantry_blob::{BlobLocation, Position};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::header::Header;
use gantry_dicom::{Tag, Vr, tags};
use gantry_index::change::Stored;
use gantry_index::{Change, Index, NewInstance, Options, Outcome, Source, Span, Writer};
use std::path::Path;
use std::sync::Arc;

pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// An instance to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub study: String,
    pub series: String,
    pub uid: String,
    pub class: String,
    pub attributes: DataSet,
    pub length: u64,
    pub digest: [u8; 32],
    pub at: i64,
}

/// The `number`th instance of a series of a study, of the patient `PID<study / 2>`.
pub fn sample(study: u32, series: u32, number: u32) -> Sample {
    let study_uid = format!("1.2.3.{study}");
    let series_uid = format!("{study_uid}.{series}");
    let uid = format!("{series_uid}.{number}");
    let mut attributes = DataSet::new();
    attributes.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    attributes.put_uid(tags::SOP_CLASS_UID, CT);
    attributes.put_uid(tags::SOP_INSTANCE_UID, &uid);
    attributes.put_text(
        tags::STUDY_DATE,
        Vr::DA,
        &format!("2026{:02}{:02}", study % 12 + 1, study % 28 + 1),
    );
    attributes.put_text(tags::STUDY_TIME, Vr::TM, "101500");
    attributes.put_text(tags::ACCESSION_NUMBER, Vr::SH, &format!("A{study}"));
    attributes.put_text(
        tags::MODALITY,
        Vr::CS,
        if series.is_multiple_of(2) { "CT" } else { "SR" },
    );
    attributes.put_text(tags::STUDY_DESCRIPTION, Vr::LO, "Thorax");
    attributes.put_text(
        tags::PATIENT_NAME,
        Vr::PN,
        &format!("Müller^Anna {}", study / 2),
    );
    attributes.put_text(tags::PATIENT_ID, Vr::LO, &format!("PID{}", study / 2));
    attributes.put_uid(tags::STUDY_INSTANCE_UID, &study_uid);
    attributes.put_uid(tags::SERIES_INSTANCE_UID, &series_uid);
    attributes.put_text(tags::SERIES_NUMBER, Vr::IS, &series.to_string());
    attributes.put_text(tags::INSTANCE_NUMBER, Vr::IS, &number.to_string());
    let digest = *blake3::hash(uid.as_bytes()).as_bytes();
    Sample {
        study: study_uid,
        series: series_uid,
        uid,
        class: CT.into(),
        attributes,
        length: 1000 + u64::from(number),
        digest,
        at: 1_000_000 + i64::from(study),
    }
}

impl Sample {
    pub fn with(mut self, tag: Tag, vr: Vr, text: &str) -> Self {
        self.attributes.put_text(tag, vr, text);
        self
    }

    pub fn without(mut self, tag: Tag) -> Self {
        self.attributes.remove(tag);
        self
    }
}

/// An index under test, with a ledger of which only the positions exist.
pub struct Bench {
    pub index: Arc<Index>,
    pub writer: Writer,
    pub at: Position,
}

impl Bench {
    pub fn open(root: &Path) -> Self {
        let (index, writer) = Index::open(root, Options::default()).unwrap();
        let at = writer.applied_position();
        Self { index, writer, at }
    }

    /// The next stretch of the ledger.
    pub fn span(&self, records: usize) -> Span {
        let sequence = self.at.sequence + records as u64;
        Span {
            from: self.at,
            to: Position {
                sequence,
                pack: 1,
                offset: 4096 + sequence * 512,
            },
        }
    }

    pub fn apply(&mut self, changes: &[Change<'_>]) -> Vec<Outcome> {
        let span = self.span(changes.len());
        let outcomes = self.writer.apply(changes, Some(span)).unwrap();
        self.at = span.to;
        outcomes
    }

    pub fn store_all(&mut self, samples: &[Sample]) -> Vec<Outcome> {
        let from = self.at.sequence;
        let headers: Vec<Header> = samples
            .iter()
            .map(|sample| Header::from_data_set(&sample.attributes))
            .collect();
        let changes: Vec<_> = samples
            .iter()
            .zip(&headers)
            .zip(from..)
            .map(|((sample, header), at)| Change::Store(new_instance(sample, header, at)))
            .collect();
        self.apply(&changes)
    }

    pub fn store(&mut self, sample: &Sample) -> Outcome {
        self.store_all(std::slice::from_ref(sample)).remove(0)
    }

    pub fn stored(&mut self, sample: &Sample) -> Stored {
        match self.store(sample) {
            Outcome::Stored(stored) => stored,
            other => panic!("{other:?}"),
        }
    }
}

pub fn new_instance<'a>(sample: &'a Sample, header: &'a Header, at: u64) -> NewInstance<'a> {
    NewInstance {
        study_instance_uid: &sample.study,
        series_instance_uid: &sample.series,
        sop_instance_uid: &sample.uid,
        sop_class_uid: &sample.class,
        transfer_syntax_uid: EXPLICIT,
        attributes: &sample.attributes,
        header,
        frame_index: None,
        location: BlobLocation::Pack {
            pack: 1,
            offset: at * 10_000,
            length: sample.length,
        },
        data_set_offset: 300,
        departure: gantry_dicom::scan::Departure::default(),
        digest: sample.digest,
        received_at: sample.at,
        source: Source {
            door: "dimse",
            calling_ae: "MODALITY",
            ..Source::default()
        },
    }
}
