//! Data sets as DICOM JSON or XML (PS3.18 8.7.3.2, annex F; PS3.19 A.1).

use crate::accept::Offer;
use crate::multipart::writer::Writer;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::model::ModelOptions;
use gantry_dicom::{json, xml};

/// DICOM JSON: one array of objects.
pub const JSON: Offer = Offer::single("application/dicom+json");
/// DICOM XML: one document a part.
pub const XML: Offer = Offer::multipart("application/dicom+xml");
/// DICOM XML of one data set.
pub const XML_SINGLE: Offer = Offer::single("application/dicom+xml");
/// JSON as browsers' tools ask for it.
const PLAIN_JSON: Offer = Offer::single("application/json");

/// Lists of data sets.
pub const OFFERS: &[Offer] = &[JSON, XML, PLAIN_JSON];
/// One data set.
pub const OFFERS_SINGLE: &[Offer] = &[JSON, XML_SINGLE, XML, PLAIN_JSON];

/// Writes one data set that is an answer by itself; returns the media type and the bytes.
pub fn write_one(data_set: &DataSet, offer: Offer) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    if offer == XML {
        let writer = Writer::new(b"one data set");
        bytes.extend_from_slice(&writer.part_head(XML.media_type, None));
        xml::write(data_set, &mut bytes, &ModelOptions::default());
        bytes.extend_from_slice(&writer.part_tail());
        bytes.extend_from_slice(&writer.closing());
        return (writer.content_type(XML.media_type), bytes);
    }
    if offer == XML_SINGLE {
        xml::write(data_set, &mut bytes, &ModelOptions::default());
    } else {
        json::write(data_set, &mut bytes, &ModelOptions::default());
    }
    (offer.media_type.to_owned(), bytes)
}

/// Writes a list of data sets one by one.
#[derive(Debug, Clone)]
pub struct ListWriter {
    offer: Offer,
    writer: Writer,
    is_first: bool,
}

impl ListWriter {
    /// A writer of a list in this form; `seed` makes the boundary of XML parts.
    pub fn new(offer: Offer, seed: &[u8]) -> Self {
        Self {
            offer,
            writer: Writer::new(seed),
            is_first: true,
        }
    }

    /// The media type of the list.
    pub fn content_type(&self) -> String {
        if self.offer == XML {
            self.writer.content_type(XML.media_type)
        } else {
            self.offer.media_type.to_owned()
        }
    }

    /// Appends a data set.
    pub fn add(&mut self, data_set: &DataSet, out: &mut Vec<u8>, options: &ModelOptions<'_>) {
        if self.offer == XML {
            out.extend_from_slice(&self.writer.part_head(XML.media_type, None));
            xml::write(data_set, out, options);
            out.extend_from_slice(&self.writer.part_tail());
        } else {
            out.push(if self.is_first { b'[' } else { b',' });
            json::write(data_set, out, options);
        }
        self.is_first = false;
    }

    /// Ends the list.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.offer == XML {
            out.extend_from_slice(&self.writer.closing());
        } else if self.is_first {
            out.extend_from_slice(b"[]");
        } else {
            out.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_dicom::{Vr, tags};

    fn patient(id: &str) -> DataSet {
        let mut data_set = DataSet::new();
        data_set.put_text(tags::PATIENT_ID, Vr::LO, id);
        data_set
    }

    fn list(offer: Offer, ids: &[&str]) -> (String, String) {
        let mut writer = ListWriter::new(offer, b"seed");
        let mut out = Vec::new();
        for id in ids {
            writer.add(&patient(id), &mut out, &ModelOptions::default());
        }
        writer.finish(&mut out);
        (writer.content_type(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn json_lists_are_arrays() {
        for (ids, expect) in [
            (&[][..], "[]"),
            (&["1"], r#"[{"00100020":{"vr":"LO","Value":["1"]}}]"#),
            (
                &["1", "2"],
                r#"[{"00100020":{"vr":"LO","Value":["1"]}},{"00100020":{"vr":"LO","Value":["2"]}}]"#,
            ),
        ] {
            assert_eq!(
                list(JSON, ids),
                ("application/dicom+json".into(), expect.into())
            );
        }
    }

    #[test]
    fn xml_lists_are_parts() {
        let (content_type, body) = list(XML, &["1", "2"]);
        assert!(content_type.starts_with("multipart/related; type=\"application/dicom+xml\""));
        assert_eq!(body.matches("<NativeDicomModel").count(), 2);
        assert_eq!(
            body.matches("Content-Type: application/dicom+xml").count(),
            2
        );
    }

    #[test]
    fn one_data_set_is_no_array() {
        let (content_type, body) = write_one(&patient("1"), JSON);
        assert_eq!(content_type, "application/dicom+json");
        assert!(body.starts_with(b"{"));
        let (_, body) = write_one(&patient("1"), XML_SINGLE);
        assert!(
            String::from_utf8(body)
                .unwrap()
                .contains("<NativeDicomModel")
        );
    }
}
