//! Reading of the model.

use super::private_blocks::PrivateBlocks;
use crate::data_set::{DataSet, Element, Value};
use crate::element_path::{ElementPath, parse_tag};
use crate::model::build::{self, Entry};
use crate::model::{BulkReference, DEPTH_MAX, ELEMENTS_MAX, Metadata, ModelError, ModelErrorKind};
use crate::{Tag, Vr, dictionary, tags};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// Component groups of a person name, in the order of the value.
pub(super) const GROUPS: [&str; 3] = ["Alphabetic", "Ideographic", "Phonetic"];
/// Components of a group, in the order of the value.
pub(super) const COMPONENTS: [&str; 5] = [
    "FamilyName",
    "GivenName",
    "MiddleName",
    "NamePrefix",
    "NameSuffix",
];
/// Most values that may be left out before one with a number.
const GAP_MAX: usize = 4096;

/// Reads one Native DICOM Model document.
///
/// Encodings other than UTF-8 are understood if the document names them. Document type
/// definitions are refused, and with them every entity that is not predefined.
pub fn parse(text: &[u8]) -> Result<Metadata, ModelError> {
    let text = unicode(text)?;
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let mut parser = Parser {
        reader,
        path: Vec::new(),
        bulk_data: Vec::new(),
        elements: 0,
    };
    let data_set = parser.document();
    let data_set = data_set.map_err(|kind| ModelError {
        offset: usize::try_from(parser.reader.buffer_position()).unwrap_or(usize::MAX),
        kind,
    })?;
    let mut metadata = Metadata {
        bulk_data: parser.bulk_data,
        ..Metadata::default()
    };
    build::finish(data_set, &mut metadata);
    Ok(metadata)
}

/// The document as UTF-8.
fn unicode(text: &[u8]) -> Result<Cow<'_, str>, ModelError> {
    let encoding = match encoding_rs::Encoding::for_bom(text) {
        Some((encoding, _)) => encoding,
        None => declared_encoding(text).unwrap_or(encoding_rs::UTF_8),
    };
    let (text, _, is_malformed) = encoding.decode(text);
    if is_malformed {
        return Err(ModelError {
            offset: 0,
            kind: ModelErrorKind::NotUtf8,
        });
    }
    Ok(text)
}

/// The encoding that the XML declaration names.
fn declared_encoding(text: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let head = text.get(..text.len().min(256))?;
    let declaration = head
        .strip_prefix(b"<?xml")?
        .split(|byte| *byte == b'?')
        .next()?;
    let declaration = std::str::from_utf8(declaration).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|char| matches!(char, '"' | '\''))?;
    let label = value.split(quote).nth(1)?;
    encoding_rs::Encoding::for_label(label.as_bytes())
}

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    path: Vec<(Tag, usize)>,
    bulk_data: Vec<BulkReference>,
    elements: usize,
}

/// What comes next inside an element.
enum Next<'a> {
    Child(BytesStart<'a>),
    End,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<DataSet, ModelErrorKind> {
        let root = loop {
            match self.event()? {
                Event::Start(start) => break start,
                Event::Eof => return Err(ModelErrorKind::Truncated),
                Event::Text(text) if !is_blank(&text) => {
                    return Err(ModelErrorKind::Expected("a NativeDicomModel"));
                }
                _ => {}
            }
        };
        if root.local_name().as_ref() != "NativeDicomModel" {
            return Err(ModelErrorKind::Expected("a NativeDicomModel"));
        }
        let data_set = self.attributes()?;
        loop {
            match self.event()? {
                Event::Eof => return Ok(data_set),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Text(text) if is_blank(&text) => {}
                _ => return Err(ModelErrorKind::Expected("the end of the document")),
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, ModelErrorKind> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err(ModelErrorKind::Expected("no document type")),
            Ok(event) => Ok(event),
            Err(_) => Err(ModelErrorKind::Expected("well-formed XML")),
        }
    }

    /// The next child of an element that holds only elements.
    fn next(&mut self) -> Result<Next<'a>, ModelErrorKind> {
        loop {
            match self.event()? {
                Event::Start(start) => return Ok(Next::Child(start)),
                Event::End(_) => return Ok(Next::End),
                Event::Eof => return Err(ModelErrorKind::Truncated),
                Event::Text(text) if !is_blank(&text) => {
                    return Err(ModelErrorKind::Expected("an element"));
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(ModelErrorKind::Expected("an element"));
                }
                _ => {}
            }
        }
    }

    /// The text of an element that holds no elements.
    fn text(&mut self) -> Result<Cow<'a, str>, ModelErrorKind> {
        let mut text = Cow::Borrowed("");
        let append = |text: &mut Cow<'a, str>, more: Cow<'a, str>| {
            if text.is_empty() {
                *text = more;
            } else {
                text.to_mut().push_str(&more);
            }
        };
        loop {
            match self.event()? {
                Event::Text(more) => append(&mut text, more.xml10_content()),
                Event::CData(more) => append(&mut text, more.xml10_content()),
                Event::GeneralRef(reference) => {
                    let bad = ModelErrorKind::Expected("a known entity");
                    match reference.resolve_char_ref() {
                        Ok(Some(char)) => text.to_mut().push(char),
                        Ok(None) => {
                            let known = resolve_predefined_entity(&reference).ok_or(bad)?;
                            text.to_mut().push_str(known);
                        }
                        Err(_) => return Err(bad),
                    }
                }
                Event::End(_) => return Ok(text),
                Event::Eof => return Err(ModelErrorKind::Truncated),
                Event::Comment(_) | Event::PI(_) => {}
                _ => return Err(ModelErrorKind::Expected("text")),
            }
        }
    }

    /// Passes over the rest of an element.
    fn skip(&mut self) -> Result<(), ModelErrorKind> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.event()? {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Eof => return Err(ModelErrorKind::Truncated),
                _ => {}
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), ModelErrorKind> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            Err(ModelErrorKind::TooMany)
        } else {
            Ok(())
        }
    }

    /// The attributes of a data set or an item, up to its end.
    fn attributes(&mut self) -> Result<DataSet, ModelErrorKind> {
        let mut elements = Vec::new();
        let mut blocks = PrivateBlocks::default();
        while let Next::Child(start) = self.next()? {
            self.count()?;
            if start.local_name().as_ref() == "DicomAttribute" {
                elements.extend(self.attribute(&start, &mut blocks)?);
            } else {
                self.skip()?;
            }
        }
        elements.extend(blocks.into_missing_creators());
        build::data_set(elements)
    }

    fn attribute(
        &mut self,
        start: &BytesStart<'a>,
        blocks: &mut PrivateBlocks,
    ) -> Result<Option<Element>, ModelErrorKind> {
        let tag = attribute_of(start, "tag")?;
        let tag = tag
            .and_then(|tag| parse_tag(&tag))
            .ok_or(ModelErrorKind::Expected("a tag"))?;
        let tag = match attribute_of(start, "privateCreator")? {
            Some(creator) => blocks.place(tag, &creator)?,
            None => tag,
        };
        let vr = match attribute_of(start, "vr")? {
            Some(vr) => vr.parse().map_err(|_| ModelErrorKind::Expected("a VR"))?,
            None => dictionary::implicit_vr(tag, false),
        };
        let value = self.value(tag, vr)?;
        // Group lengths are no part of the model; declarations of items say nothing here.
        if tag.1 == 0 || (tag == tags::SPECIFIC_CHARACTER_SET && !self.path.is_empty()) {
            return Ok(None);
        }
        let element = value.map(|value| build::element(tag, vr, value));
        if let Some(element) = &element {
            blocks.note(element);
        }
        Ok(element)
    }

    /// The value of an attribute, or nothing when it is bulk data.
    fn value(&mut self, tag: Tag, vr: Vr) -> Result<Option<Value>, ModelErrorKind> {
        let mut entries = Vec::new();
        let mut binary = None;
        let mut is_bulk = false;
        while let Next::Child(start) = self.next()? {
            let name = start.local_name();
            match name.as_ref() {
                "Value" => {
                    self.fill_gap(&start, &mut entries)?;
                    entries.push(Entry::Text(self.text()?));
                }
                "PersonName" => {
                    self.fill_gap(&start, &mut entries)?;
                    entries.push(Entry::Name(self.person_name()?));
                }
                "Item" => {
                    self.fill_gap(&start, &mut entries)?;
                    entries.push(Entry::Item(self.item(tag, entries.len())?));
                }
                "InlineBinary" if binary.is_none() => {
                    binary = Some(build::inline_binary(&self.text()?)?);
                }
                "BulkData" if !is_bulk => {
                    is_bulk = true;
                    self.bulk_data(&start, tag, vr)?;
                }
                "InlineBinary" | "BulkData" => return Err(ModelErrorKind::Duplicate("a value")),
                _ => self.skip()?,
            }
        }
        match (entries.is_empty(), binary, is_bulk) {
            (true, None, true) => Ok(None),
            (true, Some(binary), false) => Ok(Some(Value::Bytes(binary))),
            (_, None, false) => build::value(vr, entries).map(Some),
            _ => Err(ModelErrorKind::Duplicate("a value")),
        }
    }

    /// Counts a value, and makes up for those that its number says were left out before it.
    fn fill_gap(
        &mut self,
        start: &BytesStart<'a>,
        entries: &mut Vec<Entry<'a>>,
    ) -> Result<(), ModelErrorKind> {
        self.count()?;
        let Some(number) = attribute_of(start, "number")? else {
            return Ok(());
        };
        let number: Option<usize> = number.trim().parse().ok();
        let gap = number.and_then(|number| number.checked_sub(entries.len() + 1));
        let gap = gap.filter(|gap| *gap <= GAP_MAX);
        for _ in 0..gap.ok_or(ModelErrorKind::Expected("values in order of their numbers"))? {
            self.count()?;
            entries.push(Entry::Null);
        }
        Ok(())
    }

    fn item(&mut self, tag: Tag, index: usize) -> Result<DataSet, ModelErrorKind> {
        if self.path.len() == DEPTH_MAX {
            return Err(ModelErrorKind::TooDeep);
        }
        self.path.push((tag, index));
        let item = self.attributes();
        self.path.pop();
        item
    }

    fn bulk_data(
        &mut self,
        start: &BytesStart<'a>,
        tag: Tag,
        vr: Vr,
    ) -> Result<(), ModelErrorKind> {
        let uri = match attribute_of(start, "uri")? {
            Some(uri) => Some(uri),
            None => attribute_of(start, "uuid")?,
        };
        let uri = uri.ok_or(ModelErrorKind::Expected("a uri"))?.into_owned();
        let path = ElementPath {
            items: self.path.clone(),
            tag,
        };
        self.bulk_data.push(BulkReference { path, vr, uri });
        self.skip()
    }

    /// The name in the encoding of PS3.5.
    fn person_name(&mut self) -> Result<String, ModelErrorKind> {
        let mut groups = [const { String::new() }; 3];
        while let Next::Child(start) = self.next()? {
            let name = start.local_name();
            // The name that the first edition has for it.
            let name = if name.as_ref() == "SingleByte" {
                "Alphabetic"
            } else {
                name.as_ref()
            };
            match place(&GROUPS, name, &mut groups) {
                Some(group) => *group = self.components()?,
                None => self.skip()?,
            }
        }
        Ok(groups.join("=").trim_end_matches('=').to_owned())
    }

    fn components(&mut self) -> Result<String, ModelErrorKind> {
        let mut components: [Cow<'a, str>; 5] = Default::default();
        while let Next::Child(start) = self.next()? {
            match place(&COMPONENTS, start.local_name().as_ref(), &mut components) {
                Some(component) => *component = self.text()?,
                None => self.skip()?,
            }
        }
        Ok(components.join("^").trim_end_matches('^').to_owned())
    }
}

/// The place that belongs to a name.
fn place<'p, T>(names: &[&str], name: &str, places: &'p mut [T]) -> Option<&'p mut T> {
    names
        .iter()
        .position(|other| *other == name)
        .and_then(|at| places.get_mut(at))
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_whitespace())
}

/// The value of an XML attribute.
fn attribute_of<'a>(
    start: &BytesStart<'a>,
    name: &str,
) -> Result<Option<Cow<'static, str>>, ModelErrorKind> {
    // The check for duplicates takes quadratic time.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| ModelErrorKind::Expected("well-formed XML"))?;
        if attribute.key.local_name().as_ref() == name {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
            let value = value.map_err(|_| ModelErrorKind::Expected("a known entity"))?;
            return Ok(Some(Cow::Owned(value.into_owned())));
        }
    }
    Ok(None)
}
