//! What is wrong with a data set that can be read.

use super::Machine;
use crate::Tag;
use crate::encoding::{ElementHeader, UNDEFINED};
use crate::scan::Warning;

impl Machine {
    /// Notes what is wrong with an element.
    #[inline]
    pub(super) fn note(&mut self, header: &ElementHeader) {
        let tag = header.tag;
        if tag <= self.level.last_tag {
            self.note_order(tag);
        } else {
            self.level.last_tag = tag;
        }
        if !header.is_regular || header.length & 1 == 1 || tag.0 <= 2 {
            self.note_mistake(header);
        }
    }

    #[cold]
    pub(super) fn note_order(&mut self, tag: Tag) {
        // Every level starts with (0000,0000) as the last tag, so that the very first element
        // may have this tag and be in order.
        if self.elements == 1 {
            return;
        }
        self.is_out_of_order |= self.parents.is_empty();
        if tag != self.level.last_tag {
            self.warn(Warning::OutOfOrder { tag });
        }
    }

    #[cold]
    pub(super) fn note_mistake(&mut self, header: &ElementHeader) {
        let tag = header.tag;
        if !header.is_regular {
            self.warn(Warning::IrregularVr { tag });
        }
        if header.length & 1 == 1 && header.length != UNDEFINED {
            self.warn(Warning::OddLength { tag });
        }
        if tag.0 == 0 || tag.0 == 2 {
            self.warn(Warning::ForeignGroup { tag });
        }
    }

    pub(super) fn warn_of_length(&mut self, delimiter: &ElementHeader) {
        if delimiter.length != 0 {
            self.warn(Warning::DelimiterLength { tag: delimiter.tag });
        }
    }

    #[cold]
    pub(in crate::scan) fn warn(&mut self, warning: Warning) {
        let kind = std::mem::discriminant(&warning);
        if !self
            .warnings
            .iter()
            .any(|other| std::mem::discriminant(other) == kind)
        {
            self.warnings.push(warning);
        }
    }
}
