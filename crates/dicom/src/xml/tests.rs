use super::*;
use crate::data_set::{DataSet, Deferred, Element, Value};
use crate::element_path::ElementPath;
use crate::model::{Metadata, ModelErrorKind, ModelOptions};
use crate::{Tag, Vr, tags};
use proptest::prelude::*;

fn uri(path: &ElementPath) -> String {
    format!("../bulkdata/{path}?a=1&b=2")
}

fn xml(data_set: &DataSet) -> String {
    let mut out = Vec::new();
    let options = ModelOptions {
        bulk_data_uri: Some(&uri),
        ..ModelOptions::default()
    };
    write(data_set, &mut out, &options);
    String::from_utf8(out).unwrap()
}

/// What is inside the root of a document.
fn content(data_set: &DataSet) -> String {
    let document = xml(data_set);
    let (head, rest) = document.split_once("xml:space=\"preserve\">").unwrap();
    assert!(head.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" "));
    rest.strip_suffix("</NativeDicomModel>").unwrap().to_owned()
}

fn document(content: &str) -> String {
    format!("<NativeDicomModel>{content}</NativeDicomModel>")
}

fn read(content: &str) -> Metadata {
    parse(document(content).as_bytes()).unwrap()
}

fn element(vr: Vr, bytes: &[u8]) -> String {
    let mut data_set = DataSet::new();
    data_set.put(Element {
        tag: Tag(9, 0x1001),
        vr,
        value: Value::Bytes(bytes.to_vec().into()),
    });
    let content = content(&data_set);
    let start = format!("<DicomAttribute tag=\"00091001\" vr=\"{vr}\"");
    let (_, rest) = content.split_once(&start).unwrap();
    rest.trim_end_matches("</DicomAttribute>").to_owned()
}

#[test]
fn each_vr_has_its_elements() {
    for (vr, bytes, expected) in [
        (
            Vr::CS,
            &b"A\\\\B "[..],
            r#"><Value number="1">A</Value><Value number="2"></Value><Value number="3">B</Value>"#,
        ),
        (Vr::CS, b"  ", "/>"),
        (
            Vr::LT,
            b" <a>\\\"b\" & c\r\n\x01 ",
            r#"><Value number="1"> &lt;a&gt;\&quot;b&quot; &amp; c&#13;&#10;�</Value>"#,
        ),
        (Vr::DS, b"+1.50", r#"><Value number="1">+1.50</Value>"#),
        (
            Vr::US,
            &[1, 0, 255, 255],
            r#"><Value number="1">1</Value><Value number="2">65535</Value>"#,
        ),
        (
            Vr::FD,
            &f64::NAN.to_le_bytes(),
            r#"><Value number="1">NaN</Value>"#,
        ),
        (
            Vr::UV,
            &u64::MAX.to_le_bytes(),
            r#"><Value number="1">18446744073709551615</Value>"#,
        ),
        (
            Vr::AT,
            &[0x10, 0, 0x2A, 0xE0],
            r#"><Value number="1">0010E02A</Value>"#,
        ),
        (
            Vr::OB,
            &[1, 2, 3, 4],
            "><InlineBinary>AQIDBA==</InlineBinary>",
        ),
        (
            Vr::PN,
            b"Doe^John^^^Jr^x= ^Y",
            r#"><PersonName number="1"><Alphabetic><FamilyName>Doe</FamilyName><GivenName>John</GivenName><NameSuffix>Jr^x</NameSuffix></Alphabetic><Ideographic><GivenName>Y</GivenName></Ideographic></PersonName>"#,
        ),
    ] {
        assert_eq!(element(vr, bytes), expected, "{vr}");
    }
}

#[test]
fn attributes_have_keywords_and_private_creators() {
    let mut item = DataSet::new();
    item.put_text(Tag(0x19, 0x1008), Vr::CS, "NO CREATOR");
    let mut data_set = DataSet::new();
    data_set.put_u16(tags::ROWS, 5);
    data_set.put_text(Tag(0x19, 0x10), Vr::LO, "VENDOR");
    data_set.put_text(Tag(0x19, 0x1008), Vr::CS, "A");
    data_set.put_sequence(Tag(0x19, 0x1009), vec![item]);
    let expected = concat!(
        r#"<DicomAttribute tag="00190010" vr="LO"><Value number="1">VENDOR</Value></DicomAttribute>"#,
        r#"<DicomAttribute tag="00190008" vr="CS" privateCreator="VENDOR"><Value number="1">A</Value></DicomAttribute>"#,
        r#"<DicomAttribute tag="00190009" vr="SQ" privateCreator="VENDOR"><Item number="1"><DicomAttribute tag="00191008" vr="CS"><Value number="1">NO CREATOR</Value></DicomAttribute></Item></DicomAttribute>"#,
        r#"<DicomAttribute tag="00280010" vr="US" keyword="Rows"><Value number="1">5</Value></DicomAttribute>"#,
    );
    assert_eq!(content(&data_set), expected);
    assert_eq!(read(expected).data_set, data_set);
}

#[test]
fn blocks_of_one_creator_stay_apart() {
    let mut data_set = DataSet::new();
    data_set.put_text(Tag(0x29, 0x10), Vr::LO, "VENDOR");
    data_set.put_text(Tag(0x29, 0x12), Vr::LO, "VENDOR");
    data_set.put_text(Tag(0x29, 0x1008), Vr::CS, "A");
    data_set.put_text(Tag(0x29, 0x1208), Vr::CS, "B");
    assert_eq!(parse(xml(&data_set).as_bytes()).unwrap().data_set, data_set);
}

#[test]
fn private_elements_find_their_block() {
    let metadata = read(
        r#"<DicomAttribute tag="00190010" vr="LO"><Value>TAKEN</Value></DicomAttribute>
        <DicomAttribute tag="00190008" vr="CS" privateCreator="VENDOR"><Value>A</Value></DicomAttribute>
        <DicomAttribute tag="00190009" vr="OB" privateCreator="VENDOR"><BulkData uri="x"/></DicomAttribute>
        <DicomAttribute tag="00191201" vr="CS" privateCreator="OTHER"><Value>B</Value></DicomAttribute>
        <DicomAttribute tag="00190002" vr="CS" privateCreator="OTHER"><Value>C</Value></DicomAttribute>"#,
    );
    let data_set = &metadata.data_set;
    assert_eq!(data_set.ascii(Tag(0x19, 0x11)), Some("VENDOR"));
    assert_eq!(data_set.ascii(Tag(0x19, 0x1108)), Some("A"));
    assert_eq!(metadata.bulk_data[0].path.to_string(), "00191109");
    assert_eq!(data_set.ascii(Tag(0x19, 0x12)), Some("OTHER"));
    assert_eq!(data_set.ascii(Tag(0x19, 0x1202)), Some("C"));
}

#[test]
fn text_is_declared_as_unicode() {
    let mut data_set = DataSet::new();
    data_set.put_bytes(tags::PATIENT_ID, Vr::LO, &b"\xFC"[..]);
    let declaration = r#"<DicomAttribute tag="00080005" vr="CS" keyword="SpecificCharacterSet"><Value number="1">ISO_IR 192</Value></DicomAttribute>"#;
    let id = r#"<DicomAttribute tag="00100020" vr="LO" keyword="PatientID"><Value number="1">ü</Value></DicomAttribute>"#;
    assert_eq!(content(&data_set), format!("{declaration}{id}"));
    data_set.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100");
    assert_eq!(content(&data_set), format!("{declaration}{id}"));
    // What replaces a character is not ASCII, though the character is.
    let mut data_set = DataSet::new();
    data_set.put_bytes(tags::PATIENT_ID, Vr::LO, &b"\x01"[..]);
    assert_eq!(
        content(&data_set),
        format!("{declaration}{}", id.replace('ü', "\u{FFFD}"))
    );
}

#[test]
fn values_elsewhere_have_a_uri() {
    let mut data_set = DataSet::new();
    let deferred = Deferred {
        offset: 1,
        length: 8,
        is_encapsulated: false,
    };
    data_set.put(Element {
        tag: tags::PIXEL_DATA,
        vr: Vr::OW,
        value: Value::Deferred(deferred),
    });
    let expected = r#"<DicomAttribute tag="7FE00010" vr="OW" keyword="PixelData"><BulkData uri="../bulkdata/7FE00010?a=1&amp;b=2"/></DicomAttribute>"#;
    assert_eq!(content(&data_set), expected);
    let metadata = read(expected);
    assert!(metadata.data_set.is_empty());
    assert_eq!(metadata.bulk_data[0].uri, "../bulkdata/7FE00010?a=1&b=2");
}

#[test]
fn documents_of_others_are_read() {
    let metadata = read(
        r#"<!-- from elsewhere -->
        <d:DicomAttribute xmlns:d="x" vr='PN' tag="00100010"><d:PersonName>
            <d:SingleByte><d:FamilyName>M&#252;ller</d:FamilyName><d:NameSuffix> <![CDATA[<&]]> </d:NameSuffix></d:SingleByte>
            <d:Phonetic/>
        </d:PersonName></d:DicomAttribute>
        <DicomAttribute tag="00080008" vr="CS"><Value number="1">A</Value><Value number="3">C</Value></DicomAttribute>
        <DicomAttribute tag="00280010" vr="US"><Value number="1"> 512 </Value></DicomAttribute>
        <DicomAttribute tag="00020010" vr="UI"><Value number="1">1.2</Value></DicomAttribute>
        <DicomAttribute tag="00081140" vr="SQ"><Item/><Item number="2"><DicomAttribute tag="00081150" vr="UI"/></Item></DicomAttribute>
        <Other><Thing/></Other>"#,
    );
    let data_set = &metadata.data_set;
    assert_eq!(
        data_set.string(tags::PATIENT_NAME).as_deref(),
        Some("Müller^^^^ <&")
    );
    assert_eq!(data_set.strings(tags::IMAGE_TYPE), ["A", "", "C"]);
    assert_eq!(data_set.integer(tags::ROWS), Some(512));
    assert_eq!(data_set.items(tags::REFERENCED_IMAGE_SEQUENCE).len(), 2);
    assert_eq!(
        metadata.file_meta.ascii(tags::TRANSFER_SYNTAX_UID),
        Some("1.2")
    );
}

#[test]
fn documents_may_be_in_other_encodings() {
    let text =
        document(r#"<DicomAttribute tag="00100020" vr="LO"><Value>ü</Value></DicomAttribute>"#);
    let id = |document: &[u8]| parse(document).unwrap().data_set.string(tags::PATIENT_ID);
    let latin = format!("<?xml version=\"1.0\" encoding='ISO-8859-1' ?>{text}");
    let latin: Vec<u8> = latin.chars().map(|char| char as u8).collect();
    assert_eq!(id(&latin).as_deref(), Some("ü"));
    let utf16: Vec<u8> = format!("\u{FEFF}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(id(&utf16).as_deref(), Some("ü"));
    assert_eq!(
        parse(b"<a>\xFF</a>").unwrap_err().kind,
        ModelErrorKind::NotUtf8
    );
}

#[test]
fn what_is_no_metadata_is_refused() {
    use ModelErrorKind::*;
    let attribute = |content: &str| {
        document(&format!(
            "<DicomAttribute tag=\"00091001\" {content}</DicomAttribute>"
        ))
    };
    for (text, expected) in [
        (String::new(), Truncated),
        ("text".into(), Expected("a NativeDicomModel")),
        ("<a/>".into(), Expected("a NativeDicomModel")),
        ("<NativeDicomModel>".into(), Truncated),
        ("<NativeDicomModel></a>".into(), Expected("well-formed XML")),
        (document("") + "<a/>", Expected("the end of the document")),
        (
            "<!DOCTYPE a [<!ENTITY b \"c\">]>".to_owned() + &document(""),
            Expected("no document type"),
        ),
        (
            attribute("vr=\"LO\"><Value>&b;</Value>"),
            Expected("a known entity"),
        ),
        (attribute("vr=\"ZZ\">"), Expected("a VR")),
        (attribute("vr=\"US\"><Value>65536</Value>"), OutOfRange),
        (attribute("vr=\"US\"><Value></Value>"), OutOfRange),
        (
            attribute("vr=\"OB\"><Value>1</Value>"),
            Expected("inline binary or bulk data"),
        ),
        (
            attribute("vr=\"OB\"><InlineBinary>AA==</InlineBinary><BulkData uri=\"\"/>"),
            Duplicate("a value"),
        ),
        (attribute("vr=\"OB\"><BulkData/>"), Expected("a uri")),
        (
            attribute("vr=\"LO\"><Value number=\"0\"/>"),
            Expected("values in order of their numbers"),
        ),
        (
            attribute("vr=\"LO\"><Value number=\"99999999\"/>"),
            Expected("values in order of their numbers"),
        ),
        (attribute("vr=\"LO\">x"), Expected("an element")),
        (document("<DicomAttribute vr=\"LO\"/>"), Expected("a tag")),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().kind, expected, "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |levels: usize| {
        document(
            &(r#"<DicomAttribute tag="00081140" vr="SQ"><Item>"#.repeat(levels)
                + &"</Item></DicomAttribute>".repeat(levels)),
        )
    };
    assert!(parse(deep(64).as_bytes()).is_ok());
    assert_eq!(
        parse(deep(50_000).as_bytes()).unwrap_err().kind,
        ModelErrorKind::TooDeep
    );
    let skipped = document(&("<x>".repeat(50_000) + &"</x>".repeat(50_000)));
    assert!(parse(skipped.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn data_sets_survive_the_round_trip(mut data_set in crate::model::strategies::data_sets()) {
        data_set.put_text(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
        let mut out = Vec::new();
        write(&data_set, &mut out, &ModelOptions::default());
        let back = parse(&out).unwrap();
        prop_assert_eq!(back.data_set, data_set);
    }

    #[test]
    fn any_value_is_written_as_xml(bytes: Vec<u8>, vr in prop::sample::select(vec![
        Vr::PN, Vr::LO, Vr::LT, Vr::UI, Vr::IS, Vr::DS, Vr::US, Vr::FL, Vr::FD, Vr::AT, Vr::OB, Vr::UN,
    ])) {
        let mut data_set = DataSet::new();
        data_set.put_bytes(tags::PATIENT_NAME, vr, bytes);
        let mut out = Vec::new();
        write(&data_set, &mut out, &ModelOptions::default());
        let back = parse(&out);
        prop_assert!(back.is_ok(), "{:?} {}", back, String::from_utf8_lossy(&out));
    }

    #[test]
    fn any_text_is_taken(text in "(<(/)?[a-zA-Z]{1,4}( tag=\"0009100[0-9]\")?( vr=\"(LO|SQ|US)\")?/?>|&#?[a-z0-9]{1,3};|<!\\[CDATA\\[|[a-z ]){0,8}") {
        let _ = parse(text.as_bytes());
        let _ = parse(document(&text).as_bytes());
    }
}
