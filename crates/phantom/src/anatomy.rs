//! Bodies made of solids: a trunk and a head, with what a reader would look for.

mod head;
mod trunk;

pub(crate) use head::{HeadFinding, head};
pub(crate) use trunk::trunk;

use crate::quadric::{Grid, Quadric, View};

/// What a solid is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tissue {
    Air,
    Lung,
    Fat,
    Water,
    Muscle,
    Blood,
    /// Blood with contrast medium.
    Enhanced,
    Liver,
    Spleen,
    KidneyCortex,
    KidneyMedulla,
    Heart,
    Marrow,
    Bone,
    Disc,
    WhiteMatter,
    GreyMatter,
    Nodule,
    Haematoma,
    Oedema,
    Lens,
    Table,
}

/// How a tissue shows itself to each kind of machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appearance {
    /// CT number.
    pub(crate) hounsfield: f32,
    /// Signal of a T1-weighted spin echo, about 0 to 1000.
    pub(crate) t1: f32,
    /// Signal of a T2-weighted fast spin echo, about 0 to 1000.
    pub(crate) t2: f32,
    /// Uptake of FDG in g/ml.
    pub(crate) suv: f32,
}

impl Tissue {
    pub(crate) fn appearance(self) -> Appearance {
        let (hounsfield, t1, t2, suv) = match self {
            Self::Air => (-1000.0, 0.0, 0.0, 0.0),
            Self::Lung => (-860.0, 40.0, 40.0, 0.4),
            Self::Fat => (-100.0, 900.0, 620.0, 0.3),
            Self::Water => (4.0, 160.0, 1000.0, 1.0),
            Self::Muscle => (52.0, 380.0, 190.0, 0.7),
            Self::Blood => (45.0, 120.0, 110.0, 1.6),
            Self::Enhanced => (230.0, 800.0, 110.0, 1.6),
            Self::Liver => (108.0, 480.0, 230.0, 2.2),
            Self::Spleen => (122.0, 400.0, 330.0, 1.9),
            Self::KidneyCortex => (185.0, 460.0, 340.0, 3.0),
            Self::KidneyMedulla => (120.0, 380.0, 480.0, 6.0),
            Self::Heart => (95.0, 390.0, 220.0, 4.5),
            Self::Marrow => (180.0, 760.0, 420.0, 1.0),
            Self::Bone => (850.0, 40.0, 30.0, 0.5),
            Self::Disc => (85.0, 330.0, 360.0, 0.6),
            Self::WhiteMatter => (28.0, 640.0, 300.0, 5.0),
            Self::GreyMatter => (38.0, 480.0, 420.0, 8.5),
            Self::Nodule => (36.0, 420.0, 520.0, 9.0),
            Self::Haematoma => (68.0, 720.0, 240.0, 0.8),
            Self::Oedema => (18.0, 330.0, 760.0, 3.0),
            Self::Lens => (78.0, 360.0, 150.0, 1.0),
            Self::Table => (-350.0, 0.0, 0.0, 0.0),
        };
        Appearance {
            hounsfield,
            t1,
            t2,
            suv,
        }
    }

    /// Attenuation of X-rays relative to water.
    pub(crate) fn attenuation(self) -> f32 {
        1.0 + self.appearance().hounsfield / 1000.0
    }
}

/// One solid and what it replaces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) solid: Quadric,
    pub(crate) tissue: Tissue,
    /// Attenuation of what it displaces in a projection.
    displaced: f32,
}

/// A body: later parts lie over earlier ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    parts: Vec<Part>,
    ribs: Vec<Rib>,
}

/// One pair of ribs: a ring around the chest that falls towards the front.
#[derive(Debug, Clone, Copy)]
struct Rib {
    /// z at the spine.
    z: f32,
    /// Half width and half depth of the ring.
    radii: [f32; 2],
}

/// Middle of the chest's ring, y.
const CHEST_Y: f32 = 5.0;
/// How far a rib falls from spine to front, in millimetres.
const RIB_FALL: f32 = 85.0;
/// Sine of the angle at which the bony rib ends and cartilage begins, from the middle forwards.
const RIB_FRONT: f32 = -0.82;

impl Body {
    /// Soft tissue in air.
    pub(crate) fn surround(&mut self, solid: Quadric) {
        self.add(Tissue::Muscle, Tissue::Air, solid);
    }

    /// Puts a solid of one tissue into another.
    pub(crate) fn add(&mut self, tissue: Tissue, within: Tissue, solid: Quadric) {
        let displaced = within.attenuation();
        self.parts.push(Part {
            solid,
            tissue,
            displaced,
        });
    }

    /// Puts a solid of one tissue where half of what it displaces is air-filled lung.
    fn add_beside_lung(&mut self, tissue: Tissue, solid: Quadric) {
        let displaced = (Tissue::Lung.attenuation() + Tissue::Muscle.attenuation()) / 2.0;
        self.parts.push(Part {
            solid,
            tissue,
            displaced,
        });
    }

    /// The same body in the axes of a view.
    pub(crate) fn seen(&self, view: View) -> Self {
        let parts = self.parts.iter().map(|part| Part {
            solid: part.solid.seen(view),
            ..*part
        });
        Self {
            parts: parts.collect(),
            ribs: self.ribs.clone(),
        }
    }

    /// Paints the cut at depth `w`; each part with the value that `value` has for its tissue.
    /// Ribs are only drawn in axial cuts.
    pub(crate) fn paint(
        &self,
        picture: &mut [f32],
        grid: &Grid,
        view: View,
        w: f32,
        value: impl Fn(Tissue) -> f32,
    ) {
        for part in &self.parts {
            part.solid.paint(picture, grid, w, value(part.tissue));
        }
        if view == View::Axial {
            for rib in &self.ribs {
                rib.paint(picture, grid, w, value(Tissue::Bone), value(Tissue::Marrow));
            }
        }
    }

    /// Millimetres of water that attenuate as much as the body does along w.
    pub(crate) fn project(&self, picture: &mut [f32], grid: &Grid, view: View) {
        for part in &self.parts {
            if part.tissue != Tissue::Table {
                let factor = part.tissue.attenuation() - part.displaced;
                part.solid.add_thickness(picture, grid, factor);
            }
        }
        for rib in &self.ribs {
            rib.project(picture, grid, view);
        }
    }
}

impl Rib {
    fn paint(&self, picture: &mut [f32], grid: &Grid, z: f32, bone: f32, marrow: f32) {
        let sine = 1.0 - 2.0 * (self.z - z) / RIB_FALL;
        if !(RIB_FRONT..=0.97).contains(&sine) {
            return;
        }
        let cosine = (1.0 - sine * sine).sqrt();
        for side in [-1.0, 1.0] {
            let at = [
                side * cosine * self.radii[0],
                CHEST_Y + sine * self.radii[1],
                z,
            ];
            let tangent = (cosine * self.radii[1])
                .atan2(-side * sine * self.radii[0])
                .to_degrees();
            let length = 9.0 + 9.0 * sine.abs();
            let piece = |scale: f32| {
                Quadric::ellipsoid(at, [length * scale, 5.0 * scale, 6.0]).turned(2, tangent)
            };
            piece(1.0).paint(picture, grid, z, bone);
            piece(0.6).paint(picture, grid, z, marrow);
        }
    }

    /// Shadows of one rib do not add up where its own pieces overlap.
    fn project(&self, picture: &mut [f32], grid: &Grid, view: View) {
        if view == View::Axial {
            return;
        }
        for side in [-1.0, 1.0] {
            let mut shadow = vec![0.0_f32; picture.len()];
            for step in 0..160 {
                let sine = RIB_FRONT + (0.97 - RIB_FRONT) * step as f32 / 159.0;
                let x = side * (1.0 - sine * sine).sqrt() * self.radii[0];
                let y = CHEST_Y + sine * self.radii[1];
                let z = self.z - RIB_FALL * (1.0 - sine) / 2.0;
                let (u, depth) = if view == View::Coronal {
                    (x, y.abs())
                } else {
                    (y, x.abs())
                };
                let along = if view == View::Coronal {
                    self.radii[1]
                } else {
                    self.radii[0]
                };
                // Seen along its course a rib is thicker.
                stamp(
                    &mut shadow,
                    grid,
                    [u, -z],
                    6.5,
                    7.0 + 14.0 * (1.0 - depth / along).powi(4),
                );
            }
            for (pixel, shade) in picture.iter_mut().zip(&shadow) {
                *pixel += shade * 1.5;
            }
        }
    }
}

/// Raises a picture to a round profile around a point.
fn stamp(picture: &mut [f32], grid: &Grid, at: [f32; 2], radius: f32, height: f32) {
    let pixel = |value: f32, axis: usize| (value - grid.first[axis]) / grid.spacing_mm;
    let reach = radius / grid.spacing_mm;
    let (column, row) = (pixel(at[0], 0), pixel(at[1], 1));
    let rows = (row - reach).ceil().max(0.0) as usize
        ..((row + reach).floor() + 1.0).clamp(0.0, grid.rows as f32) as usize;
    for y in rows {
        let from = (column - reach).ceil().max(0.0) as usize;
        let to = ((column + reach).floor() + 1.0).clamp(0.0, grid.columns as f32) as usize;
        for x in from..to {
            let (dx, dy) = ((x as f32 - column) / reach, (y as f32 - row) / reach);
            let profile = height * (1.0 - dx * dx - dy * dy).max(0.0).sqrt();
            let pixel = &mut picture[y * grid.columns + x];
            *pixel = pixel.max(profile);
        }
    }
}
