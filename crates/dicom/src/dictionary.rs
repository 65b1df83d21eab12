//! The registry of data elements (PS3.6 §6 to §8).

mod table;

use crate::{Tag, Vr};
use std::sync::LazyLock;
use table::{ENTRIES, REPEATING_ELEMENTS, REPEATING_GROUPS};

/// A row of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The tag; of a repeating group or element the first one, (6000,3000) for (60xx,3000).
    pub tag: Tag,
    /// The value representation, or the choice of them.
    pub vr: DictionaryVr,
    /// The value multiplicity as the standard writes it: `1`, `1-n`, `3-3n`.
    pub vm: &'static str,
    /// The keyword.
    pub keyword: &'static str,
    /// The name.
    pub name: &'static str,
    /// Whether the attribute is retired.
    pub is_retired: bool,
}

/// The value representation of an attribute, where the data set may decide it (PS3.5 A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DictionaryVr {
    /// Always this one.
    Exact(Vr),
    /// US or SS: Pixel Representation (0028,0103) decides.
    UsOrSs,
    /// OB or OW: OW in implicit VR.
    ObOrOw,
    /// US or OW: OW in implicit VR.
    UsOrOw,
}

impl DictionaryVr {
    /// The value representation for a data set in implicit VR, whose Pixel Representation says
    /// whether pixels are signed.
    pub fn implicit(self, pixels_are_signed: bool) -> Vr {
        match self {
            Self::Exact(vr) => vr,
            Self::UsOrSs if pixels_are_signed => Vr::SS,
            Self::UsOrSs => Vr::US,
            Self::ObOrOw | Self::UsOrOw => Vr::OW,
        }
    }
}

/// The row of a public tag, also of one in a repeating group; nothing for private tags.
pub fn by_tag(tag: Tag) -> Option<&'static Entry> {
    if let Some(entry) = INDEX.by_tag(tag) {
        return Some(entry);
    }
    if tag.0 & 1 == 1 {
        return None;
    }
    let group = Tag(tag.0 & 0xFF00, tag.1);
    if let Ok(at) = REPEATING_GROUPS.binary_search_by(|entry| entry.tag.cmp(&group)) {
        return REPEATING_GROUPS.get(at);
    }
    let element = Tag(tag.0, tag.1 & 0xFF00);
    let at = REPEATING_ELEMENTS
        .binary_search_by(|entry| entry.tag.cmp(&element))
        .ok()?;
    REPEATING_ELEMENTS.get(at)
}

/// The row of a keyword. Keywords are case-sensitive.
pub fn by_keyword(keyword: &str) -> Option<&'static Entry> {
    INDEX.by_keyword(keyword)
}

/// The tag of a keyword.
pub fn tag(keyword: &str) -> Option<Tag> {
    by_keyword(keyword).map(|entry| entry.tag)
}

/// The keyword of a tag.
pub fn keyword(tag: Tag) -> Option<&'static str> {
    by_tag(tag).map(|entry| entry.keyword)
}

/// The value representation that a tag has in implicit VR (PS3.5 A.1): that of the registry, UL
/// for a group length, LO for a private creator, UN for what is not known.
pub fn implicit_vr(tag: Tag, pixels_are_signed: bool) -> Vr {
    if let Some(entry) = by_tag(tag) {
        return entry.vr.implicit(pixels_are_signed);
    }
    if tag.1 == 0 {
        Vr::UL
    } else if is_private_creator(tag) {
        Vr::LO
    } else {
        Vr::UN
    }
}

/// Whether the tag reserves a block of private elements (PS3.5 §7.8.1).
pub fn is_private_creator(tag: Tag) -> bool {
    tag.0 & 1 == 1 && (0x0010..=0x00FF).contains(&tag.1)
}

/// Whether the tag is private (PS3.5 §7.8).
pub fn is_private(tag: Tag) -> bool {
    tag.0 & 1 == 1
}

/// Reads a tag or a keyword as PS3.18 §8.3.4 lets a client name an attribute: `00100020`,
/// `PatientID`, and also `(0010,0020)` and `0010,0020`.
pub fn parse_attribute(text: &str) -> Option<Tag> {
    let digits = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(text);
    let (group, element) = match digits.split_once(',') {
        Some(parts) => parts,
        None if digits.len() == 8 && digits.is_ascii() => digits.split_at(4),
        None => return tag(text),
    };
    let number = |hex: &str| {
        let is_plain = hex.len() == 4 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_plain {
            u16::from_str_radix(hex, 16).ok()
        } else {
            None
        }
    };
    match (number(group), number(element)) {
        (Some(group), Some(element)) => Some(Tag(group, element)),
        _ => tag(text),
    }
}

/// All rows, in no order that callers may rely on: those of repeating groups come last.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    ENTRIES
        .iter()
        .chain(REPEATING_GROUPS)
        .chain(REPEATING_ELEMENTS)
}

static INDEX: LazyLock<Index> = LazyLock::new(Index::build);

/// Two open-addressing hash tables over the rows; 0 is a free slot, otherwise 1 + the row.
///
/// The scanner asks for every element of an implicit VR data set, so that one look-up may cost
/// only a few nanoseconds.
struct Index {
    tags: Box<[u16]>,
    keywords: Box<[u16]>,
}

const SLOTS: usize = 1 << 14;

impl Index {
    fn build() -> Self {
        let mut index = Self {
            tags: vec![0; SLOTS].into(),
            keywords: vec![0; SLOTS].into(),
        };
        for (row, entry) in (1u16..).zip(entries()) {
            if usize::from(row) <= ENTRIES.len() {
                occupy(&mut index.tags, tag_slot(entry.tag), row);
            }
            occupy(&mut index.keywords, keyword_slot(entry.keyword), row);
        }
        index
    }

    fn by_tag(&self, tag: Tag) -> Option<&'static Entry> {
        find(&self.tags, tag_slot(tag), |entry| entry.tag == tag)
    }

    fn by_keyword(&self, keyword: &str) -> Option<&'static Entry> {
        find(&self.keywords, keyword_slot(keyword), |entry| {
            entry.keyword == keyword
        })
    }
}

fn occupy(slots: &mut [u16], mut slot: usize, row: u16) {
    while let Some(taken) = slots.get_mut(slot) {
        if *taken == 0 {
            *taken = row;
            return;
        }
        slot = (slot + 1) % SLOTS;
    }
}

fn find(slots: &[u16], mut slot: usize, is_it: impl Fn(&Entry) -> bool) -> Option<&'static Entry> {
    loop {
        let row = usize::from(*slots.get(slot)?).checked_sub(1)?;
        let entry = entry_at(row)?;
        if is_it(entry) {
            return Some(entry);
        }
        slot = (slot + 1) % SLOTS;
    }
}

fn entry_at(row: usize) -> Option<&'static Entry> {
    if let Some(entry) = ENTRIES.get(row) {
        return Some(entry);
    }
    let row = row - ENTRIES.len();
    REPEATING_GROUPS
        .get(row)
        .or_else(|| REPEATING_ELEMENTS.get(row - REPEATING_GROUPS.len()))
}

fn tag_slot(tag: Tag) -> usize {
    let key = u32::from(tag.0) << 16 | u32::from(tag.1);
    (key.wrapping_mul(0x9E37_79B1) >> 18) as usize
}

fn keyword_slot(keyword: &str) -> usize {
    let hash = keyword
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
    (hash >> 20) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
    use dicom_dictionary_std::StandardDataDictionary;

    #[test]
    fn every_row_is_found_by_tag_and_keyword_and_agrees_with_the_standard_dictionary() {
        for entry in entries() {
            assert_eq!(by_tag(entry.tag), Some(entry));
            assert_eq!(by_keyword(entry.keyword), Some(entry));
            let standard = StandardDataDictionary.by_tag(entry.tag).unwrap();
            assert_eq!(standard.alias(), entry.keyword);
            let vr = match standard.vr() {
                VirtualVr::Exact(vr) => DictionaryVr::Exact(vr),
                VirtualVr::Xs => DictionaryVr::UsOrSs,
                VirtualVr::Lt => DictionaryVr::UsOrOw,
                _ => DictionaryVr::ObOrOw,
            };
            assert_eq!(vr, entry.vr);
        }
        assert!(entries().count() > 5_300);
    }

    #[test]
    fn rows_are_sorted_as_binary_search_needs_them() {
        for table in [ENTRIES, REPEATING_GROUPS, REPEATING_ELEMENTS] {
            assert!(table.is_sorted_by(|one, next| one.tag < next.tag));
        }
        assert!(entries().count() < SLOTS / 2);
    }

    #[test]
    fn repeating_groups_share_a_row() {
        assert_eq!(keyword(Tag(0x6002, 0x3000)), Some("OverlayData"));
        assert_eq!(keyword(Tag(0x501E, 0x3000)), Some("CurveData"));
        assert_eq!(keyword(Tag(0x0020, 0x3142)), Some("SourceImageIDs"));
        assert_eq!(keyword(Tag(0x6001, 0x3000)), None);
    }

    #[test]
    fn implicit_vr_of_what_the_registry_does_not_settle() {
        assert_eq!(implicit_vr(Tag(0x0028, 0x0106), true), Vr::SS);
        assert_eq!(implicit_vr(Tag(0x0028, 0x0106), false), Vr::US);
        assert_eq!(implicit_vr(Tag(0x7FE0, 0x0010), false), Vr::OW);
        assert_eq!(implicit_vr(Tag(0x0009, 0x0010), false), Vr::LO);
        assert_eq!(implicit_vr(Tag(0x0009, 0x1001), false), Vr::UN);
        assert_eq!(implicit_vr(Tag(0x0009, 0x0000), false), Vr::UL);
        assert_eq!(implicit_vr(Tag(0x0010, 0x9999), false), Vr::UN);
    }

    #[test]
    fn attributes_are_named_by_tag_or_keyword() {
        let patient_id = Some(Tag(0x0010, 0x0020));
        for text in ["00100020", "PatientID", "(0010,0020)", "0010,0020"] {
            assert_eq!(parse_attribute(text), patient_id, "{text}");
        }
        assert_eq!(parse_attribute("7fe00010"), Some(Tag(0x7FE0, 0x0010)));
        for text in [
            "",
            "patientid",
            "0010002",
            "+0100020",
            "0010,00200",
            "001\u{e9}0020",
        ] {
            assert_eq!(parse_attribute(text), None, "{text}");
        }
    }
}
