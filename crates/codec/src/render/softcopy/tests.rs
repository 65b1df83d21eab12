//! States made here, and the pixels that the standard wants of them.

mod annotation;
mod contrast;
mod geometry;

use super::super::compose as compose_request;
use super::super::presentation::Presentation;
use super::super::request::{IccOutput, RenderRequest, Viewport};
use super::*;
use crate::image::{ImageDescription, Photometric, SampleKind};
use gantry_dicom::data_set::{DataSet, Element, Value};
use gantry_dicom::{Tag, Vr, tags};
use std::sync::Arc;

const UID: &str = "1.2.3";

/// An image of eight bits: its frame and its header.
fn image(columns: u32, rows: u32, bytes: Vec<u8>) -> (Frame, DataSet) {
    let image = ImageDescription {
        rows,
        columns,
        samples_per_pixel: 1,
        bits_allocated: 8,
        bits_stored: 8,
        high_bit: 7,
        signed: false,
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        samples: SampleKind::Integer,
        words: false,
    };
    let mut header = DataSet::new();
    header.put_uid(tags::SOP_INSTANCE_UID, UID);
    header.put_u16(tags::BITS_STORED, 8);
    header.put_u16(tags::PIXEL_REPRESENTATION, 0);
    let bytes = bytes.into();
    (Frame { image, bytes }, header)
}

/// A square image of one value.
fn flat(side: u32, value: u8) -> (Frame, DataSet) {
    image(side, side, vec![value; (side * side) as usize])
}

/// A data set of elements.
fn item(elements: Vec<Element>) -> DataSet {
    DataSet::from_elements(elements)
}

fn text(tag: Tag, vr: Vr, value: &str) -> Element {
    let mut item = DataSet::new();
    item.put_text(tag, vr, value);
    item.into_iter().next().unwrap()
}

fn code(tag: Tag, value: &str) -> Element {
    text(tag, Vr::CS, value)
}

fn bytes(tag: Tag, vr: Vr, bytes: Vec<u8>) -> Element {
    Element {
        tag,
        vr,
        value: Value::Bytes(bytes.into()),
    }
}

fn words(tag: Tag, numbers: &[u16]) -> Element {
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes(tag, Vr::US, numbers.collect())
}

fn longs(tag: Tag, numbers: &[i32]) -> Element {
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes(tag, Vr::SL, numbers.collect())
}

fn floats(tag: Tag, numbers: &[f32]) -> Element {
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes(tag, Vr::FL, numbers.collect())
}

fn sequence(tag: Tag, items: Vec<DataSet>) -> Element {
    Element {
        tag,
        vr: Vr::SQ,
        value: Value::Sequence(items),
    }
}

fn try_shown(
    kind: StateKind,
    state: Vec<Element>,
    (frame, header): &(Frame, DataSet),
    viewport: Option<Viewport>,
) -> Result<Picture> {
    let presentation = Presentation::through_state(&item(state), kind, header, 0, |_| None)?;
    let request = RenderRequest {
        viewport,
        icc: IccOutput::No,
        ..RenderRequest::new(Arc::new(presentation))
    };
    Ok(compose_request(frame, &request)?.0)
}

/// The picture that a grayscale state makes of an image.
fn shown(state: Vec<Element>, image: &(Frame, DataSet)) -> Picture {
    try_shown(StateKind::Grayscale, state, image, None).unwrap()
}

/// Rows of a grey picture.
fn rows(picture: &Picture) -> Vec<&[u8]> {
    assert_eq!(picture.samples(), 1);
    picture.bytes().chunks(picture.width as usize).collect()
}

/// A grey picture as text: a dot for 0, an x for anything else.
fn drawn(picture: &Picture) -> Vec<String> {
    let cell = |level: &u8| if *level == 0 { '.' } else { 'x' };
    rows(picture)
        .into_iter()
        .map(|row| row.iter().map(cell).collect())
        .collect()
}
