//! The DICOMweb Studies service (PS3.18 10) and the Storage Commitment service (PS3.18 13), one
//! file for each transaction or resource.

pub mod bulk_data;
pub mod capabilities;
pub mod commitment;
pub mod delete;
pub mod frames;
pub mod instances;
pub mod metadata;
pub mod pixel_data;
pub mod qido;
pub mod rendered;
pub mod stow;
pub mod thumbnail;
pub mod wado_uri;
