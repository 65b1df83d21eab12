//! Sample studies that are made up, not taken from anyone: volumes, cines, radiographs,
//! mammograms, photographs and documents of a dozen patients, in many character sets, with priors.
//!
//! The same seed gives the same bytes. This crate must never read a file, ask the clock, or
//! carry data of a real person.

mod anatomy;
mod attributes;
mod breast;
mod catalogue;
mod cine;
mod ct;
mod document;
mod file;
mod image;
mod mammogram;
mod mr;
mod noise;
mod patient;
mod pet;
mod photograph;
mod plan;
mod quadric;
mod radiograph;
mod random;
mod repertoire;
mod rle;
mod skin;
mod study;
mod ultrasound;
mod volume;

pub use catalogue::{instance_count, studies};
pub use plan::{InstancePlan, Scale, StudyPlan};
