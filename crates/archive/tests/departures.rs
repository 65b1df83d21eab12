//! Data sets that are not what most are: in another encoding than declared, in big endian, with
//! fragments.

#![allow(clippy::unwrap_used, reason = "functions of a test")]

use gantry_archive::config::ArchiveConfig;
use gantry_archive::retrieve::{FrameTarget, InstanceRef, PictureRequest, Selection};
use gantry_archive::store::Announcement;
use gantry_archive::{Archive, Result};
use gantry_codec::render::Format;
use gantry_core::access::Right;
use gantry_core::failure::Kind;
use gantry_core::principal::Principal;
use gantry_dicom::data_set::{DataSet, Element, Fragments, Value};
use gantry_dicom::encoding::{self, Encoding, Limits};
use gantry_dicom::{Tag, Vr, tags};
use std::sync::Arc;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG: &str = "1.2.840.10008.1.2.2";
const H264: &str = "1.2.840.10008.1.2.4.102";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
const UID: &str = "1.2.3.1";
const PATH: &str = "7FE00010";

struct Bench {
    archive: Arc<Archive>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = ArchiveConfig {
            data: folder.path().to_owned(),
            pack_bytes: 16 << 20,
            ..ArchiveConfig::default()
        };
        let archive = Archive::open(config, Vec::new()).await.unwrap();
        Self {
            archive,
            _folder: folder,
        }
    }

    async fn try_store(&self, bytes: &[u8], declared: &str) -> Result<()> {
        let mut receiving = self.archive.begin_data_set(Announcement {
            transfer_syntax_uid: declared.into(),
            ..Announcement::by(Arc::new(Principal::command()))
        })?;
        receiving.write(bytes).await?;
        receiving.finish().await.map(drop)
    }

    async fn store(&self, data_set: &DataSet, actual: Encoding, declared: &str) -> InstanceRef {
        let bytes = encoding::write(data_set, actual);
        self.try_store(&bytes, declared).await.unwrap();
        self.find().await
    }

    async fn find(&self) -> InstanceRef {
        let selection = Selection {
            instances: vec![UID.into()],
            ..Selection::default()
        };
        let principal = Principal::command();
        let found = self
            .archive
            .select(&principal, Right::Download, &selection)
            .await
            .unwrap();
        found.first().unwrap().clone()
    }

    async fn read(&self, instance: &InstanceRef, syntax: &str, encoding: Encoding) -> DataSet {
        let stream = self.archive.data_set(instance, syntax).await.unwrap();
        let bytes = stream.collect(1 << 24).await.unwrap();
        encoding::parse(bytes, encoding, &Limits::default()).unwrap()
    }

    async fn bulk(
        &self,
        instance: &InstanceRef,
        path: &str,
        range: Option<std::ops::Range<u64>>,
    ) -> (Vec<u8>, u64) {
        let bulk = self.archive.bulk(instance, path, range).await.unwrap();
        let length = bulk.stream.length();
        let bytes = bulk.stream.collect(1 << 24).await.unwrap().to_vec();
        assert_eq!(length, Some(bytes.len() as u64), "the length is announced");
        (bytes, bulk.total_length)
    }
}

fn image(rows: u16, columns: u16) -> DataSet {
    let mut set = DataSet::new();
    set.put_uid(tags::SOP_CLASS_UID, SECONDARY_CAPTURE);
    set.put_uid(tags::SOP_INSTANCE_UID, UID);
    set.put_text(tags::PATIENT_ID, Vr::LO, "P1");
    set.put_uid(tags::STUDY_INSTANCE_UID, "1.2.3");
    set.put_uid(tags::SERIES_INSTANCE_UID, "1.2.3.0");
    set.put_u16(tags::SAMPLES_PER_PIXEL, 1);
    set.put_text(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    set.put_u16(tags::ROWS, rows);
    set.put_u16(tags::COLUMNS, columns);
    set.put_u16(tags::BITS_ALLOCATED, 16);
    set.put_u16(tags::BITS_STORED, 16);
    set.put_u16(tags::HIGH_BIT, 15);
    set.put_u16(tags::PIXEL_REPRESENTATION, 0);
    set
}

fn ramp(length: usize) -> Vec<u8> {
    let cells = (0..length / 2).flat_map(|at| (at as u16).to_le_bytes());
    cells.collect()
}

fn native() -> DataSet {
    let mut set = image(40, 40);
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, ramp(3200));
    set.put_bytes(Tag(0x6000, 0x3000), Vr::OW, ramp(2000));
    set
}

fn encapsulated(fragments: &[&'static [u8]]) -> DataSet {
    let mut set = image(8, 8);
    set.put(Element {
        tag: tags::PIXEL_DATA,
        vr: Vr::OB,
        value: Value::Fragments(Fragments {
            offset_table: Vec::new().into(),
            fragments: fragments.iter().map(|bytes| (*bytes).into()).collect(),
        }),
    });
    set
}

#[tokio::test]
async fn a_data_set_in_another_encoding_is_read_as_what_it_is() {
    let all = [
        (Encoding::ExplicitLittle, EXPLICIT),
        (Encoding::ImplicitLittle, IMPLICIT),
        (Encoding::ExplicitBig, BIG),
    ];
    for (actual, _) in all {
        for (_, declared) in all {
            let bench = Bench::new().await;
            let instance = bench.store(&native(), actual, declared).await;
            for (encoding, wanted) in all {
                let found = bench.read(&instance, wanted, encoding).await;
                let case = format!("{actual:?} declared {declared} as {wanted}");
                assert_eq!(found.bytes(tags::PATIENT_ID).unwrap(), "P1", "{case}");
                let pixels = found.bytes(tags::PIXEL_DATA).unwrap();
                assert_eq!(pixels[..], ramp(3200), "{case}");
            }
            let target = FrameTarget::Native;
            let frame = bench.archive.frame(&instance, 1, target).await.unwrap();
            assert_eq!(frame.bytes[..], ramp(3200), "{actual:?} {declared}");
            let part10 = bench.archive.part10(&instance, declared).await.unwrap();
            let file = part10.collect(1 << 24).await.unwrap();
            assert_eq!(file.get(128..132), Some(&b"DICM"[..]));
        }
    }
}

#[tokio::test]
async fn bulk_values_stored_in_big_endian_are_given_out_in_little_endian() {
    let bench = Bench::new().await;
    let instance = bench.store(&native(), Encoding::ExplicitBig, BIG).await;
    let (pixels, length) = bench.bulk(&instance, PATH, None).await;
    assert_eq!((pixels, length), (ramp(3200), 3200));
    let (overlay, _) = bench.bulk(&instance, "60003000", None).await;
    assert_eq!(overlay, ramp(2000));
    for range in [0..1, 1..2, 3..8, 1999..2000, 700..700] {
        let wanted = range.start as usize..range.end as usize;
        let (part, length) = bench.bulk(&instance, "60003000", Some(range)).await;
        assert_eq!((part, length), (ramp(2000)[wanted].to_vec(), 2000));
    }
}

#[tokio::test]
async fn long_values_are_swapped_across_chunks() {
    let bench = Bench::new().await;
    let mut set = image(1000, 1000);
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, ramp(2_000_000));
    let instance = bench.store(&set, Encoding::ExplicitBig, BIG).await;
    assert_eq!(bench.bulk(&instance, PATH, None).await.0, ramp(2_000_000));
    let (part, _) = bench.bulk(&instance, PATH, Some(3..1_500_002)).await;
    assert_eq!(part, ramp(2_000_000)[3..1_500_002]);
}

#[tokio::test]
async fn a_video_is_given_out_without_item_tags() {
    let bench = Bench::new().await;
    let set = encapsulated(&[b"\0\0\0\x18ftyp", b"mp42", b"moovmdat"]);
    let instance = bench.store(&set, Encoding::ExplicitLittle, H264).await;
    let whole = b"\0\0\0\x18ftypmp42moovmdat";
    let (video, length) = bench.bulk(&instance, PATH, None).await;
    assert_eq!((&video[..], length), (&whole[..], 20));
    for range in [0..20, 4..12, 6..10, 19..20, 8..8] {
        let wanted = range.start as usize..range.end as usize;
        let (part, length) = bench.bulk(&instance, PATH, Some(range)).await;
        assert_eq!((&part[..], length), (&whole[wanted], 20));
    }
    let beyond = bench.archive.bulk(&instance, PATH, Some(0..21)).await;
    assert_eq!(beyond.unwrap_err().kind(), Kind::Malformed);
}

#[tokio::test]
async fn fragments_of_other_elements_are_joined_too() {
    let bench = Bench::new().await;
    let mut set = image(8, 8);
    set.put_text(Tag(0x7FE1, 0x0010), Vr::LO, "MAKER");
    let Some(Value::Fragments(fragments)) = encapsulated(&[b"one ", b"more"])
        .get(tags::PIXEL_DATA)
        .map(|element| element.value.clone())
    else {
        panic!("no fragments");
    };
    set.put(Element {
        tag: Tag(0x7FE1, 0x1010),
        vr: Vr::OB,
        value: Value::Fragments(fragments),
    });
    let instance = bench.store(&set, Encoding::ExplicitLittle, H264).await;
    let (value, length) = bench.bulk(&instance, "7FE11010", None).await;
    assert_eq!((&value[..], length), (&b"one more"[..], 8));
}

#[tokio::test]
async fn a_forgotten_last_delimiter_is_added_on_the_way_out() {
    let jpeg = "1.2.840.10008.1.2.4.50";
    let bench = Bench::new().await;
    let mut set = encapsulated(&[b"one ", b"more"]);
    set.put_text(tags::NUMBER_OF_FRAMES, Vr::IS, "2");
    let whole = encoding::write(&set, Encoding::ExplicitLittle);
    let cut = &whole[..whole.len() - 8];
    bench.try_store(cut, jpeg).await.unwrap();
    let stream = bench.archive.data_set(&bench.find().await, jpeg).await;
    let bytes = stream.unwrap().collect(1 << 24).await.unwrap();
    assert_eq!(bytes[..], whole);
}

#[tokio::test]
async fn what_may_have_been_cut_after_a_fragment_is_refused() {
    let bench = Bench::new().await;
    let set = encapsulated(&[b"one ", b"more"]);
    let bytes = encoding::write(&set, Encoding::ExplicitLittle);
    let cut = &bytes[..bytes.len() - 8];
    let refused = bench.try_store(cut, H264).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Malformed);
    assert!(refused.to_string().contains("never closed"), "{refused}");
}

#[tokio::test]
async fn pixels_in_another_form_than_declared_stay_as_they_are() {
    let bench = Bench::new().await;
    let jpeg = "1.2.840.10008.1.2.4.50";
    let instance = bench.store(&native(), Encoding::ExplicitLittle, jpeg).await;
    assert!(!bench.archive.can_provide(&instance, IMPLICIT));
    assert!(bench.archive.can_provide(&instance, jpeg));
    let target = FrameTarget::Native;
    let frame = bench.archive.frame(&instance, 1, target).await.unwrap();
    assert_eq!(frame.bytes[..], ramp(3200));
}

#[tokio::test]
async fn a_zlib_stream_is_inflated_as_a_deflated_one() {
    use std::io::Write;
    let deflated = "1.2.840.10008.1.2.1.99";
    let bench = Bench::new().await;
    let bytes = encoding::write(&native(), Encoding::ExplicitLittle);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&bytes).unwrap();
    let stored = bench.try_store(&zlib.finish().unwrap(), deflated).await;
    stored.unwrap();
    let instance = bench.find().await;
    let (overlay, _) = bench.bulk(&instance, "60003000", Some(10..20)).await;
    assert_eq!(overlay, ramp(2000)[10..20]);
    let target = FrameTarget::Native;
    let frame = bench.archive.frame(&instance, 1, target).await.unwrap();
    assert_eq!(frame.bytes[..], ramp(3200));
}

#[tokio::test]
async fn too_many_frames_make_no_moving_picture() {
    let bench = Bench::new().await;
    let mut set = image(1, 1);
    set.put_text(tags::NUMBER_OF_FRAMES, Vr::IS, "2001");
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, ramp(4002));
    let instance = bench.store(&set, Encoding::ExplicitLittle, EXPLICIT).await;
    let request = PictureRequest {
        format: Format::Gif,
        ..PictureRequest::default()
    };
    let refused = bench.archive.render(&instance, &request).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::OutOfResources);
}
