//! The private blocks that a document names by their creators.

use crate::data_set::{Element, Value};
use crate::model::ModelErrorKind;
use crate::model::build;
use crate::{Tag, Vr, dictionary};
use std::collections::{BTreeMap, HashMap};

/// Private blocks of a data set or an item: which creator has which (PS3.5 §7.8.1).
#[derive(Default)]
pub(super) struct PrivateBlocks {
    /// The creator of a block by group and block number, and whether its element was seen.
    creators: BTreeMap<(u16, u16), (String, bool)>,
    numbers: HashMap<(u16, String), u16>,
}

impl PrivateBlocks {
    /// Where an element of a creator is: in the creator's block when the tag names block 00.
    pub(super) fn place(&mut self, tag: Tag, creator: &str) -> Result<Tag, ModelErrorKind> {
        let Tag(group, element) = tag;
        let block = element >> 8;
        if group & 1 == 0 || (1..0x10).contains(&block) {
            return Ok(tag);
        }
        if block > 0 {
            if !self.creators.contains_key(&(group, block)) {
                self.add(group, block, creator, false);
            }
            return Ok(tag);
        }
        let block = match self.numbers.get(&(group, creator.to_owned())) {
            Some(block) => *block,
            None => {
                let block = self.free(group).ok_or(ModelErrorKind::TooMany)?;
                self.add(group, block, creator, false);
                block
            }
        };
        Ok(Tag(group, block << 8 | element))
    }

    fn free(&self, group: u16) -> Option<u16> {
        (0x10..=0xFF).find(|block| !self.creators.contains_key(&(group, *block)))
    }

    fn add(&mut self, group: u16, block: u16, creator: &str, has_element: bool) {
        self.creators
            .insert((group, block), (creator.to_owned(), has_element));
        self.numbers
            .entry((group, creator.to_owned()))
            .or_insert(block);
    }

    /// Takes notice of a creator element.
    pub(super) fn note(&mut self, element: &Element) {
        if dictionary::is_private_creator(element.tag) {
            let creator = element.ascii_values().next().unwrap_or_default().to_owned();
            self.add(element.tag.0, element.tag.1, &creator, true);
        }
    }

    /// The creator elements that the document left out.
    pub(super) fn into_missing_creators(self) -> impl Iterator<Item = Element> {
        let missing = self
            .creators
            .into_iter()
            .filter(|(_, (_, has_element))| !has_element);
        missing.map(|((group, block), (creator, _))| {
            let value = Value::Bytes(creator.into_bytes().into());
            build::element(Tag(group, block), Vr::LO, value)
        })
    }
}
