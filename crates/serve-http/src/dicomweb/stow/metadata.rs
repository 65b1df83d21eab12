//! Instances that come as metadata (JSON or XML) with their bulk values in other parts
//! (PS3.18 10.5.2, 8.6.1.2).

use super::part10::{Finishing, failed};
use super::{Parts, Storing};
use crate::encapsulate::{self, Pixels};
use crate::media_type::MediaType;
use crate::multipart::reader::{Event, PartHeader};
use crate::problem::{Problem, Purpose};
use crate::request_body::BodyError;
use crate::store_response::{FailedInstance, reason};
use bytes::Bytes;
use gantry_archive::store::Announcement;
use gantry_dicom::data_set::{DataSet, Value};
use gantry_dicom::encoding::{self, Encoding};
use gantry_dicom::model::{BulkReference, Metadata};
use gantry_dicom::{json, tags, uids, xml};
use std::collections::HashMap;

/// A bulk value of the request. Several parts with one location are the frames of one value.
#[derive(Debug)]
struct BulkPart {
    media_type: Option<MediaType>,
    pieces: Vec<Bytes>,
}

/// Reads all parts, then puts the instances together and stores them.
pub async fn store_parts(storing: &mut Storing<'_>, mut parts: Parts) -> Result<(), Problem> {
    let mut finishing = Finishing::default();
    let (instances, bulk) = read_parts(storing, &mut parts).await?;
    for metadata in instances {
        match assemble(&metadata, &bulk) {
            Ok((data_set, transfer_syntax)) => {
                let announcement = Announcement {
                    transfer_syntax_uid: transfer_syntax,
                    ..storing.announcement()
                };
                send(storing, announcement, &data_set, &mut finishing).await?;
            }
            Err(reason) => finishing.add_failed(refused(&metadata.data_set, reason)),
        }
    }
    finishing.report(storing).await;
    Ok(())
}

async fn read_parts(
    storing: &Storing<'_>,
    parts: &mut Parts,
) -> Result<(Vec<Metadata>, HashMap<String, BulkPart>), Problem> {
    let config = &storing.context.config;
    let mut bytes_left = config.store_bulk_bytes_max;
    let mut instances = Vec::new();
    let mut bulk: HashMap<String, BulkPart> = HashMap::new();
    while let Some(event) = parts.next().await? {
        let Event::Start(header) = event else {
            continue;
        };
        let media_type = header
            .field("content-type")
            .and_then(|text| MediaType::parse(text).ok());
        match media_type.as_ref().map(MediaType::essence) {
            Some("application/dicom+json" | "application/json") => {
                let text = parts.collect(config.store_metadata_bytes_max).await?;
                instances.extend(json::parse(&text).map_err(|error| {
                    Problem::bad_request(format!("metadata are no DICOM JSON: {error}"))
                })?);
            }
            Some("application/dicom+xml" | "application/xml" | "text/xml")
                if header.field("content-location").is_none() =>
            {
                let text = parts.collect(config.store_metadata_bytes_max).await?;
                instances.push(xml::parse(&text).map_err(|error| {
                    Problem::bad_request(format!("metadata are no DICOM XML: {error}"))
                })?);
            }
            _ => {
                let content = parts.collect(bytes_left).await?;
                bytes_left = bytes_left
                    .checked_sub(content.len())
                    .ok_or(BodyError::TooLarge)?;
                if let Some(location) = location(&header) {
                    let part = bulk.entry(location).or_insert_with(|| BulkPart {
                        media_type,
                        pieces: Vec::new(),
                    });
                    part.pieces.push(content.into());
                }
            }
        }
    }
    Ok((instances, bulk))
}

/// Content-Location is what a BulkDataURI refers to; some clients say it as Content-ID.
fn location(header: &PartHeader) -> Option<String> {
    header
        .field("content-location")
        .or_else(|| header.field("content-id"))
        .map(|location| {
            location
                .trim_matches(['<', '>'])
                .trim_start_matches("cid:")
                .to_owned()
        })
}

/// Puts the bulk values in; returns the data set and the transfer syntax it is then in.
fn assemble(
    metadata: &Metadata,
    bulk: &HashMap<String, BulkPart>,
) -> Result<(DataSet, String), u16> {
    let mut data_set = metadata.data_set.clone();
    let declared = metadata
        .file_meta
        .ascii(tags::TRANSFER_SYNTAX_UID)
        .map(str::to_owned);
    let mut transfer_syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned();
    for reference in &metadata.bulk_data {
        let part = find(bulk, &reference.uri).ok_or(reason::CANNOT_UNDERSTAND)?;
        let is_pixels = reference.path.items.is_empty() && reference.path.tag == tags::PIXEL_DATA;
        let value = if is_pixels {
            let pixels =
                encapsulate::pixels(part.media_type.as_ref(), &part.pieces, declared.as_deref())
                    .ok_or(reason::CANNOT_UNDERSTAND)?;
            transfer_syntax = pixels.transfer_syntax_uid().to_owned();
            match pixels {
                Pixels::Native(bytes) => Value::Bytes(even(bytes)),
                Pixels::Encapsulated { fragments, .. } => Value::Fragments(fragments),
            }
        } else {
            Value::Bytes(even(part.pieces.concat().into()))
        };
        if !put(&mut data_set, reference, value) {
            return Err(reason::CANNOT_UNDERSTAND);
        }
    }
    Ok((data_set, transfer_syntax))
}

fn put(data_set: &mut DataSet, reference: &BulkReference, value: Value) -> bool {
    data_set.put_at(&reference.path, reference.vr, value)
}

/// A reference names a part as it is, or relative where the part is absolute, or the reverse.
fn find<'a>(bulk: &'a HashMap<String, BulkPart>, uri: &str) -> Option<&'a BulkPart> {
    let uri = uri.trim_start_matches("cid:");
    bulk.get(uri).or_else(|| {
        let is_end_of = |long: &str, short: &str| {
            !short.is_empty()
                && long
                    .strip_suffix(short)
                    .is_some_and(|rest| rest.ends_with('/') || short.starts_with('/'))
        };
        let mut found = bulk
            .iter()
            .filter(|(key, _)| is_end_of(key, uri) || is_end_of(uri, key));
        match (found.next(), found.next()) {
            (Some((_, part)), None) => Some(part),
            _ => None,
        }
    })
}

/// Values have an even length (PS3.5 7.1).
fn even(bytes: Bytes) -> Bytes {
    if bytes.len().is_multiple_of(2) {
        return bytes;
    }
    let mut padded = bytes.to_vec();
    padded.push(0);
    padded.into()
}

async fn send(
    storing: &Storing<'_>,
    announcement: Announcement,
    data_set: &DataSet,
    finishing: &mut Finishing,
) -> Result<(), Problem> {
    let is_for_study = storing.study.is_some();
    let archive = &storing.context.archive;
    let mut receiving = archive
        .begin_data_set(announcement)
        .map_err(|error| Problem::from_archive(&error, Purpose::Store))?;
    let bytes = encoding::write(data_set, Encoding::ExplicitLittle);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        if let Err(error) = receiving.write(chunk).await {
            finishing.add_failed(failed(&receiving, &error, is_for_study));
            return Ok(());
        }
    }
    finishing.add(receiving, is_for_study).await;
    Ok(())
}

/// Bytes handed to the archive in one step.
const CHUNK_BYTES: usize = 1 << 20;

fn refused(data_set: &DataSet, reason: u16) -> FailedInstance {
    let text = |tag| data_set.ascii(tag).map(str::to_owned);
    FailedInstance {
        sop_class_uid: text(tags::SOP_CLASS_UID),
        sop_instance_uid: text(tags::SOP_INSTANCE_UID),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::Vr;

    fn bulk(locations: &[&str]) -> HashMap<String, BulkPart> {
        locations
            .iter()
            .map(|location| {
                let pieces = vec![Bytes::copy_from_slice(location.as_bytes())];
                (
                    (*location).to_owned(),
                    BulkPart {
                        media_type: None,
                        pieces,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn references_find_their_parts_absolute_or_relative() {
        let bulk = bulk(&["http://a/bulk/1", "bulk/2"]);
        let found = |uri| find(&bulk, uri).map(|part| part.pieces[0].clone());
        assert_eq!(found("http://a/bulk/1").unwrap(), "http://a/bulk/1");
        assert_eq!(found("bulk/1").unwrap(), "http://a/bulk/1");
        assert_eq!(found("http://b/bulk/2").unwrap(), "bulk/2");
        assert!(found("bulk/3").is_none());
        assert!(found("").is_none());
        assert!(found("k/2").is_none());
    }

    #[test]
    fn a_value_that_did_not_come_fails_its_instance() {
        let metadata = Metadata {
            bulk_data: vec![BulkReference {
                path: tags::PIXEL_DATA.into(),
                vr: Vr::OW,
                uri: "missing".into(),
            }],
            ..Metadata::default()
        };
        assert_eq!(
            assemble(&metadata, &bulk(&["other"])),
            Err(reason::CANNOT_UNDERSTAND)
        );
    }

    #[test]
    fn odd_values_are_padded() {
        let metadata = Metadata {
            bulk_data: vec![BulkReference {
                path: tags::ENCAPSULATED_DOCUMENT.into(),
                vr: Vr::OB,
                uri: "doc".into(),
            }],
            ..Metadata::default()
        };
        let (data_set, syntax) = assemble(&metadata, &bulk(&["doc"])).unwrap();
        assert_eq!(
            data_set
                .bytes(tags::ENCAPSULATED_DOCUMENT)
                .unwrap()
                .as_ref(),
            b"doc\0"
        );
        assert_eq!(syntax, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    }
}
