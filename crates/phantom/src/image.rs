//! The modules that every image has (PS3.3 C.7.6.1, C.7.6.3, C.11.2).

use crate::attributes::Attributes;
use gantry_dicom::{Vr, tags};

/// Image Pixel module of one sample a pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grey {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) bits_allocated: u16,
    pub(crate) bits_stored: u16,
    pub(crate) is_inverted: bool,
}

impl Grey {
    pub(crate) fn write(&self, attributes: &mut Attributes) {
        let photometric = if self.is_inverted {
            "MONOCHROME1"
        } else {
            "MONOCHROME2"
        };
        attributes.shorts(tags::SAMPLES_PER_PIXEL, &[1]);
        attributes.code_string(tags::PHOTOMETRIC_INTERPRETATION, photometric);
        write_size(attributes, self.columns, self.rows);
        write_bits(attributes, self.bits_allocated, self.bits_stored);
    }
}

/// Image Pixel module of RGB, 8 bits a sample, colour by pixel.
pub(crate) fn write_colour(attributes: &mut Attributes, columns: usize, rows: usize) {
    attributes.shorts(tags::SAMPLES_PER_PIXEL, &[3]);
    attributes.code_string(tags::PHOTOMETRIC_INTERPRETATION, "RGB");
    attributes.shorts(tags::PLANAR_CONFIGURATION, &[0]);
    write_size(attributes, columns, rows);
    write_bits(attributes, 8, 8);
}

fn write_size(attributes: &mut Attributes, columns: usize, rows: usize) {
    attributes.shorts(tags::ROWS, &[rows as u16]);
    attributes.shorts(tags::COLUMNS, &[columns as u16]);
}

fn write_bits(attributes: &mut Attributes, allocated: u16, stored: u16) {
    attributes.shorts(tags::BITS_ALLOCATED, &[allocated]);
    attributes.shorts(tags::BITS_STORED, &[stored]);
    attributes.shorts(tags::HIGH_BIT, &[stored - 1]);
    attributes.shorts(tags::PIXEL_REPRESENTATION, &[0]);
}

/// Window Center and Window Width with their explanations.
pub(crate) fn write_windows(attributes: &mut Attributes, windows: &[(f64, f64, &str)]) {
    let each = |part: fn(&(f64, f64, &str)) -> f64| windows.iter().map(part).collect::<Vec<f64>>();
    attributes.decimals(tags::WINDOW_CENTER, &each(|window| window.0));
    attributes.decimals(tags::WINDOW_WIDTH, &each(|window| window.1));
    let names: Vec<&str> = windows.iter().map(|window| window.2).collect();
    attributes.text(
        tags::WINDOW_CENTER_WIDTH_EXPLANATION,
        Vr::LO,
        &names.join("\\"),
    );
}

/// Rescale Intercept, Slope and Type (PS3.3 C.11.1).
pub(crate) fn write_rescale(attributes: &mut Attributes, intercept: f64, slope: f64, unit: &str) {
    attributes.decimals(tags::RESCALE_INTERCEPT, &[intercept]);
    attributes.decimals(tags::RESCALE_SLOPE, &[slope]);
    attributes.text(tags::RESCALE_TYPE, Vr::LO, unit);
}
