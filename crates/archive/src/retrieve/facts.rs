//! What retrieving frames of an instance needs to know of it, read once and kept for a while.

use super::InstanceRef;
use crate::Archive;
use crate::error::{Error, Result};
use bytes::Bytes;
use gantry_codec::{ImageDescription, Limits};
use gantry_core::failure::Kind;
use gantry_dicom::data_set::{DataSet, Deferred, Value};
use gantry_dicom::encoding::DecodeError;
use gantry_dicom::{Tag, tags};
use gantry_index::{Index, InstanceId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Instances whose facts are kept. A viewer asks for many frames of one instance, or for one frame
/// of each of a series and then again.
const KEPT_MAX: usize = 128;
/// Facts with a header above this are used once and not kept.
const KEPT_HEADER_BYTES: usize = 256 << 10;

/// An instance's header and what follows from it.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The header; bulk values are deferred.
    pub(crate) header: Arc<DataSet>,
    /// The pixel data element, when there is one in the stored object.
    pub(crate) pixel_data: Option<(Tag, Deferred)>,
    /// Where the frames of encapsulated pixel data lie, in [`crate::store::frames`]' form.
    pub(crate) frame_index: Option<Bytes>,
    image: std::result::Result<Arc<ImageDescription>, gantry_codec::Error>,
}

/// Facts that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct FactsCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    facts: HashMap<InstanceId, (Arc<Facts>, u64)>,
    uses: u64,
}

impl FactsCache {
    fn find(&self, id: InstanceId) -> Option<Arc<Facts>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        kept.facts.get_mut(&id).map(|(facts, used)| {
            *used = now;
            Arc::clone(facts)
        })
    }

    /// Reads facts unless they are kept; a header that cannot be parsed is told to who asks for it.
    pub(crate) fn read_ahead(
        &self,
        index: &Index,
        id: InstanceId,
    ) -> gantry_index::error::Result<()> {
        if self.find(id).is_none() {
            // What is wrong with the header is told when it is asked for.
            let _ = self.read(index, id)?;
        }
        Ok(())
    }

    /// Reads facts, and keeps them unless they are long.
    fn read(
        &self,
        index: &Index,
        id: InstanceId,
    ) -> gantry_index::error::Result<std::result::Result<Arc<Facts>, DecodeError>> {
        let (header, frame_index) = (index.header(id)?, index.frame_index(id)?);
        Ok(header.parse().map(|parsed| {
            let facts = Arc::new(read(parsed, frame_index));
            if header.0.len() <= KEPT_HEADER_BYTES {
                self.keep(id, Arc::clone(&facts));
            }
            facts
        }))
    }

    fn keep(&self, id: InstanceId, facts: Arc<Facts>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.facts.len() >= KEPT_MAX {
            let oldest = kept
                .facts
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(id, _)| *id);
            oldest.map(|id| kept.facts.remove(&id));
        }
        let now = kept.uses;
        kept.facts.insert(id, (facts, now));
    }
}

impl Facts {
    /// The description of the frames.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub(crate) fn image(&self) -> Result<Arc<ImageDescription>> {
        Ok(self.image.clone()?)
    }

    /// Bits Allocated (0028,0100); 0 when it is missing.
    pub(crate) fn bits_allocated(&self) -> u16 {
        let bits = self.header.integer(tags::BITS_ALLOCATED);
        bits.and_then(|bits| u16::try_from(bits).ok()).unwrap_or(0)
    }

    /// Where the pixel data lies.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the instance has none.
    pub(crate) fn pixel_data(&self) -> Result<(Tag, Deferred)> {
        self.pixel_data
            .ok_or_else(|| Error::new(Kind::NotFound, "the instance has no pixel data"))
    }
}

impl Archive {
    pub(crate) async fn facts(&self, instance: &InstanceRef) -> Result<Arc<Facts>> {
        if let Some(facts) = self.facts_cache().find(instance.id) {
            return Ok(facts);
        }
        let id = instance.id;
        let cache = Arc::clone(self.facts_cache());
        let facts = self
            .index_blocking(move |index| cache.read(index, id))
            .await?;
        Ok(facts?)
    }
}

fn read(header: DataSet, frame_index: Option<Bytes>) -> Facts {
    let pixel_data = [
        tags::PIXEL_DATA,
        tags::FLOAT_PIXEL_DATA,
        tags::DOUBLE_FLOAT_PIXEL_DATA,
    ]
    .into_iter()
    .find_map(|tag| match header.get(tag).map(|element| &element.value) {
        Some(Value::Deferred(deferred)) => Some((tag, *deferred)),
        _ => None,
    });
    Facts {
        image: ImageDescription::from_data_set(&header, &Limits::default()).map(Arc::new),
        header: Arc::new(header),
        pixel_data,
        frame_index,
    }
}
