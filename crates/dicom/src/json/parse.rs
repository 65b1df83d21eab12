//! Reading of the model.

use super::lexer::{Lexer, Scalar};
use crate::data_set::{DataSet, Element, Value};
use crate::element_path::{ElementPath, parse_tag};
use crate::model::build::{self, Entry};
use crate::model::{BulkReference, DEPTH_MAX, ELEMENTS_MAX, Metadata, ModelError, ModelErrorKind};
use crate::{Tag, Vr, dictionary, tags};
use std::borrow::Cow;

/// Reads an array of DICOM JSON Model objects, or a single one (PS3.18 F.2).
///
/// Lenient where nothing can be misunderstood: members may come in any order, unknown ones are
/// passed over, numbers may be strings and names plain strings, a missing `vr` is looked up.
pub fn parse(text: &[u8]) -> Result<Vec<Metadata>, ModelError> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|error| ModelError {
        offset: error.valid_up_to(),
        kind: ModelErrorKind::NotUtf8,
    })?;
    let mut parser = Parser {
        lexer: Lexer::new(text),
        path: Vec::new(),
        bulk_data: Vec::new(),
        elements: 0,
    };
    let instances = parser.instances();
    instances.map_err(|kind| ModelError {
        offset: parser.lexer.offset(),
        kind,
    })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    path: Vec<(Tag, usize)>,
    bulk_data: Vec<BulkReference>,
    elements: usize,
}

/// The members of an attribute that mean something.
#[derive(Default)]
struct Members<'a> {
    vr: Option<Vr>,
    values: Option<Vec<Entry<'a>>>,
    inline_binary: Option<Cow<'a, str>>,
    bulk_data_uri: Option<Cow<'a, str>>,
}

impl<'a> Parser<'a> {
    fn instances(&mut self) -> Result<Vec<Metadata>, ModelErrorKind> {
        let mut instances = Vec::new();
        if self.lexer.take(b'[') {
            while self.lexer.element(instances.is_empty())? {
                instances.push(self.instance()?);
            }
        } else {
            instances.push(self.instance()?);
        }
        match self.lexer.peek() {
            None => Ok(instances),
            Some(_) => Err(ModelErrorKind::Expected("the end of the text")),
        }
    }

    fn instance(&mut self) -> Result<Metadata, ModelErrorKind> {
        self.count()?;
        self.lexer.expect(b'{', "an object")?;
        let data_set = self.attributes(None)?;
        let mut metadata = Metadata {
            bulk_data: std::mem::take(&mut self.bulk_data),
            ..Metadata::default()
        };
        build::finish(data_set, &mut metadata);
        Ok(metadata)
    }

    fn count(&mut self) -> Result<(), ModelErrorKind> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            Err(ModelErrorKind::TooMany)
        } else {
            Ok(())
        }
    }

    /// The attributes of an object whose brace is open, and whose first name may have been read.
    fn attributes(&mut self, first: Option<Cow<'a, str>>) -> Result<DataSet, ModelErrorKind> {
        let mut elements = Vec::new();
        let mut next = match first {
            Some(name) => Some(name),
            None => self.lexer.member(true)?,
        };
        while let Some(name) = next {
            self.count()?;
            let tag = parse_tag(&name).ok_or(ModelErrorKind::Expected("a tag"))?;
            elements.extend(self.attribute(tag)?);
            next = self.lexer.member(false)?;
        }
        build::data_set(elements)
    }

    fn attribute(&mut self, tag: Tag) -> Result<Option<Element>, ModelErrorKind> {
        let members = self.members(tag)?;
        let vr = members
            .vr
            .unwrap_or_else(|| dictionary::implicit_vr(tag, false));
        // Group lengths are no part of the model; declarations of items say nothing here.
        if tag.1 == 0 || (tag == tags::SPECIFIC_CHARACTER_SET && !self.path.is_empty()) {
            return Ok(None);
        }
        let value = match members {
            Members {
                values: Some(values),
                inline_binary: None,
                bulk_data_uri: None,
                ..
            } => build::value(vr, values)?,
            Members {
                values: None,
                inline_binary: Some(text),
                bulk_data_uri: None,
                ..
            } => Value::Bytes(build::inline_binary(&text)?),
            Members {
                values: None,
                inline_binary: None,
                bulk_data_uri: Some(uri),
                ..
            } => {
                let path = ElementPath {
                    items: self.path.clone(),
                    tag,
                };
                self.bulk_data.push(BulkReference {
                    path,
                    vr,
                    uri: uri.into_owned(),
                });
                return Ok(None);
            }
            Members {
                values: None,
                inline_binary: None,
                bulk_data_uri: None,
                ..
            } => build::value(vr, Vec::new())?,
            _ => return Err(ModelErrorKind::Duplicate("a value")),
        };
        Ok(Some(build::element(tag, vr, value)))
    }

    fn members(&mut self, tag: Tag) -> Result<Members<'a>, ModelErrorKind> {
        self.lexer.expect(b'{', "an attribute")?;
        let mut members = Members::default();
        let mut is_first = true;
        while let Some(name) = self.lexer.member(is_first)? {
            is_first = false;
            let is_twice = match &*name {
                "vr" => {
                    let vr = self.lexer.string()?.parse();
                    let vr = vr.map_err(|_| ModelErrorKind::Expected("a VR"))?;
                    members.vr.replace(vr).is_some()
                }
                "Value" => {
                    let values = self.values(tag)?;
                    members.values.replace(values).is_some()
                }
                "InlineBinary" => members
                    .inline_binary
                    .replace(self.lexer.string()?)
                    .is_some(),
                "BulkDataURI" => members
                    .bulk_data_uri
                    .replace(self.lexer.string()?)
                    .is_some(),
                _ => {
                    self.lexer.skip(DEPTH_MAX)?;
                    false
                }
            };
            if is_twice {
                return Err(ModelErrorKind::Duplicate("a member of an attribute"));
            }
        }
        Ok(members)
    }

    fn values(&mut self, tag: Tag) -> Result<Vec<Entry<'a>>, ModelErrorKind> {
        self.lexer.expect(b'[', "an array")?;
        let mut values = Vec::new();
        while self.lexer.element(values.is_empty())? {
            if values.len() == ELEMENTS_MAX {
                return Err(ModelErrorKind::TooMany);
            }
            let value = self.value(tag, values.len())?;
            values.push(value);
        }
        Ok(values)
    }

    fn value(&mut self, tag: Tag, index: usize) -> Result<Entry<'a>, ModelErrorKind> {
        if self.lexer.take(b'{') {
            return self.object(tag, index);
        }
        Ok(match self.lexer.scalar()? {
            Scalar::Null => Entry::Null,
            Scalar::Number(number) => Entry::Number(number),
            Scalar::String(text) => Entry::Text(text),
            Scalar::Bool => return Err(ModelErrorKind::Expected("a value")),
        })
    }

    /// An item or a person name, which their first members tell apart.
    fn object(&mut self, tag: Tag, index: usize) -> Result<Entry<'a>, ModelErrorKind> {
        self.count()?;
        match self.lexer.member(true)? {
            None => Ok(Entry::EmptyObject),
            Some(name) if group_index(&name).is_some() => self.person_name(name),
            Some(name) => {
                if self.path.len() == DEPTH_MAX {
                    return Err(ModelErrorKind::TooDeep);
                }
                self.path.push((tag, index));
                let item = self.attributes(Some(name));
                self.path.pop();
                item.map(Entry::Item)
            }
        }
    }

    fn person_name(&mut self, first: Cow<'a, str>) -> Result<Entry<'a>, ModelErrorKind> {
        let mut groups: [Option<Cow<'a, str>>; 3] = [None, None, None];
        let mut next = Some(first);
        while let Some(name) = next {
            let place = group_index(&name).and_then(|index| groups.get_mut(index));
            let place = place.ok_or(ModelErrorKind::Expected("a component group"))?;
            let group = match self.lexer.scalar()? {
                Scalar::Null => Cow::Borrowed(""),
                Scalar::String(text) => text,
                _ => return Err(ModelErrorKind::Expected("a component group")),
            };
            if place.replace(group).is_some() {
                return Err(ModelErrorKind::Duplicate("a component group"));
            }
            next = self.lexer.member(false)?;
        }
        let name = groups.map(Option::unwrap_or_default).join("=");
        Ok(Entry::Name(name.trim_end_matches('=').to_owned()))
    }
}

fn group_index(name: &str) -> Option<usize> {
    ["Alphabetic", "Ideographic", "Phonetic"]
        .iter()
        .position(|group| *group == name)
}
