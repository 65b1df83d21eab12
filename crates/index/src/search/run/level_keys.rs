//! Which level's header decides which condition.

use super::Run;
use crate::error::Result;
use crate::query::{Query, level_of};
use crate::search::answer::COMPUTED;
use gantry_core::level::Level;
use gantry_dicom::data_set::DataSet;
use gantry_dicom::date_time::Offset;
use gantry_dicom::matching::{Key, Matcher, Scope};
use gantry_dicom::{Tag, Vr, tags};
use std::collections::HashSet;

/// The query's conditions by the level whose header decides, and the attributes that have to be
/// read from it for them.
#[derive(Default)]
pub(super) struct LevelKeys {
    pub(super) study: Vec<Key>,
    pub(super) series: Vec<Key>,
    pub(super) instance: Vec<Key>,
    pub(super) sop_classes: Vec<Key>,
    pub(super) tags: HashSet<Tag>,
}

impl LevelKeys {
    pub(super) fn of(query: &Query) -> Self {
        let mut levels = Self::default();
        for key in query.keys.iter().filter(|key| !key.is_universal()) {
            let (tag, other) = match key {
                Key::Attribute { tag, .. } => (*tag, None),
                Key::DateAndTime { date, time, .. } => (*date, Some(*time)),
            };
            if tag == tags::SOP_CLASSES_IN_STUDY {
                levels.sop_classes.push(key.clone());
                continue;
            }
            // Counts and availability are given back, not matched.
            if COMPUTED.contains(&tag) && tag != tags::MODALITIES_IN_STUDY {
                continue;
            }
            levels.tags.insert(tag);
            levels.tags.extend(other);
            match level_of(tag, query.level) {
                Level::Patient | Level::Study => levels.study.push(key.clone()),
                Level::Series => levels.series.push(key.clone()),
                Level::Instance => levels.instance.push(key.clone()),
            }
        }
        levels
    }
}

/// Keys that a header decides.
fn of_header(keys: &[Key]) -> impl Iterator<Item = &Key> {
    keys.iter().filter(|key| {
        !matches!(
            key,
            Key::Attribute {
                tag: tags::MODALITIES_IN_STUDY,
                ..
            }
        )
    })
}

impl Run<'_> {
    pub(super) fn header_matches(&self, header: &DataSet, level: Level) -> bool {
        let keys = match level {
            Level::Patient | Level::Study => &self.keys.study,
            Level::Series => &self.keys.series,
            Level::Instance => &self.keys.instance,
        };
        let scope = Scope::of(header, self.query.timezone);
        of_header(keys).all(|key| key.matches(header, scope))
    }

    pub(super) fn sop_classes_match(&self, study: i64) -> Result<bool> {
        if self.keys.sop_classes.is_empty() {
            return Ok(true);
        }
        let classes = self.sop_classes(study)?;
        Ok(self.keys.sop_classes.iter().all(|key| match key {
            Key::Attribute { matcher, .. } => matcher.matches_text(&classes, Vr::UI, Offset::UTC),
            Key::DateAndTime { .. } => true,
        }))
    }

    /// The SOP Instance UIDs asked for, when there is a list of them.
    pub(super) fn wanted_instances(&self) -> Option<HashSet<String>> {
        self.keys.instance.iter().find_map(|key| match key {
            Key::Attribute {
                tag: tags::SOP_INSTANCE_UID,
                matcher: Matcher::UidList(uids),
            } => Some(uids.iter().cloned().collect()),
            _ => None,
        })
    }
}
