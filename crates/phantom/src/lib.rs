//! Sample studies that are made up, not taken from anyone: volumes, cines, radiographs,
//! mammograms, photographs and documents of a dozen patients, in many character sets, with priors.
//!
//! The same seed gives the same bytes. This crate must never read a file, ask the clock, or
//! carry data of a real person.

mod anatomy;
mod noise;
mod quadric;
mod random;
