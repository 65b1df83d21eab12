//! Instances that come as metadata (JSON or XML) with their bulk values in other parts
//! (PS3.18 10.5.2, 8.6.1.2).

use super::assembly::{self, Assembled, AssemblyError, Stretch};
use super::bulk_parts::BulkParts;
use super::part10::{Finishing, failed};
use super::{Parts, Storing};
use crate::media_type::MediaType;
use crate::multipart::reader::Event;
use crate::problem::{Problem, Purpose};
use crate::store_response::{FailedInstance, reason_of};
use gantry_archive::Error;
use gantry_archive::store::{Announcement, Receiving};
use gantry_dicom::data_set::DataSet;
use gantry_dicom::model::Metadata;
use gantry_dicom::{json, tags, xml};

/// Reads all parts, then puts the instances together and stores them.
pub async fn store_parts(storing: &mut Storing<'_>, mut parts: Parts) -> Result<(), Problem> {
    let mut finishing = Finishing::default();
    let (instances, bulk) = read_parts(storing, &mut parts).await?;
    for metadata in instances {
        let mut instance = identity(&metadata.data_set);
        match assembly::assemble(metadata, &bulk).await {
            Ok(assembled) => send(storing, assembled, instance, &mut finishing).await?,
            Err(error) => {
                instance.reason = reason_for(&error);
                finishing.add_failed(instance);
            }
        }
    }
    finishing.report(storing).await;
    Ok(())
}

fn reason_for(error: &AssemblyError) -> u16 {
    match error {
        AssemblyError::Refused(reason) => *reason,
        AssemblyError::Lost(error) => {
            tracing::error!(error = error.chain(), "an instance could not be stored");
            reason_of(error.kind())
        }
    }
}

async fn read_parts(
    storing: &Storing<'_>,
    parts: &mut Parts,
) -> Result<(Vec<Metadata>, BulkParts), Problem> {
    let text_max = storing.context.config.store_metadata_bytes_max;
    let mut instances = Vec::new();
    let mut bulk = BulkParts::default();
    while let Some(event) = parts.next().await? {
        let Event::Start(header) = event else {
            continue;
        };
        let media_type = header
            .field("content-type")
            .and_then(|text| MediaType::parse(text).ok());
        match media_type.as_ref().map(MediaType::essence) {
            Some("application/dicom+json" | "application/json") => {
                let text = parts.collect(text_max).await?;
                instances.extend(json::parse(&text).map_err(|error| {
                    Problem::bad_request(format!("metadata are no DICOM JSON: {error}"))
                })?);
            }
            Some("application/dicom+xml" | "application/xml" | "text/xml")
                if header.field("content-location").is_none() =>
            {
                let text = parts.collect(text_max).await?;
                instances.push(xml::parse(&text).map_err(|error| {
                    Problem::bad_request(format!("metadata are no DICOM XML: {error}"))
                })?);
            }
            _ => bulk.receive(storing, parts, &header, media_type).await?,
        }
    }
    Ok((instances, bulk))
}

/// Hands an instance to the archive. `instance` is what is said of it when it fails before its
/// data set tells.
async fn send(
    storing: &Storing<'_>,
    assembled: Assembled,
    mut instance: FailedInstance,
    finishing: &mut Finishing,
) -> Result<(), Problem> {
    let is_for_study = storing.study.is_some();
    let announcement = Announcement {
        transfer_syntax_uid: assembled.transfer_syntax_uid,
        ..storing.announcement()
    };
    let archive = &storing.context.archive;
    let mut receiving = archive
        .begin_data_set(announcement)
        .map_err(|error| Problem::from_archive(&error, Purpose::Store))?;
    for stretch in assembled.stretches {
        if let Err(error) = write(&mut receiving, stretch).await {
            let FailedInstance { reason, text, .. } = failed(&receiving, &error, is_for_study);
            (instance.reason, instance.text) = (reason, text);
            finishing.add_failed(instance);
            return Ok(());
        }
    }
    finishing.add(receiving, is_for_study).await;
    Ok(())
}

/// Bytes handed to the archive in one step.
const CHUNK_BYTES: usize = 1 << 20;

async fn write(receiving: &mut Receiving, stretch: Stretch) -> Result<(), Error> {
    match stretch {
        Stretch::Encoded(encoded) => {
            for chunk in encoded.chunks(CHUNK_BYTES) {
                receiving.write(chunk).await?;
            }
        }
        Stretch::Piece(piece) => {
            let mut at = 0;
            while at < piece.length() {
                let bytes = piece.read(at).await?;
                receiving.write(&bytes).await?;
                at += bytes.len() as u64;
            }
        }
    }
    Ok(())
}

fn identity(data_set: &DataSet) -> FailedInstance {
    let text = |tag| data_set.ascii(tag).map(str::to_owned);
    FailedInstance {
        sop_class_uid: text(tags::SOP_CLASS_UID),
        sop_instance_uid: text(tags::SOP_INSTANCE_UID),
        reason: 0,
        text: String::new(),
    }
}
