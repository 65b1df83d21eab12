//! Bodies made of solids: a trunk and a head, with what a reader would look for.

use crate::quadric::{Grid, Quadric, View};
use crate::random::Random;

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

/// Chest and upper abdomen from z = −230 to +190 mm; a nodule of `nodule_mm` in the left lung.
pub(crate) fn trunk(random: &mut Random, nodule_mm: f32) -> Body {
    let mut body = Body::default();
    outer_trunk(&mut body);
    lungs(&mut body, random, nodule_mm);
    mediastinum(&mut body);
    upper_abdomen(&mut body, random);
    spine(&mut body);
    for number in 0..11 {
        let z = 165.0 - 27.0 * number as f32;
        let narrow = 1.0
            - 0.10 * ((number as f32 - 7.0).max(0.0) / 4.0)
            - 0.26 * (1.0 - number as f32 / 4.0).max(0.0);
        body.ribs.push(Rib {
            z,
            radii: [140.0 * narrow, 90.0 * narrow],
        });
    }
    body
}

fn outer_trunk(body: &mut Body) {
    use Tissue::{Air, Fat, Muscle, Table};
    body.add(
        Table,
        Air,
        Quadric::ellipsoid([0.0, 138.0, 0.0], [215.0, 14.0, 9000.0]),
    );
    body.add(
        Fat,
        Air,
        Quadric::ellipsoid([0.0, 5.0, -30.0], [168.0, 118.0, 900.0]),
    );
    body.add(
        Muscle,
        Fat,
        Quadric::ellipsoid([0.0, 5.0, -30.0], [150.0, 100.0, 900.0]),
    );
    for side in [-1.0, 1.0] {
        body.add(
            Fat,
            Muscle,
            Quadric::ellipsoid([side * 70.0, -88.0, 70.0], [45.0, 10.0, 70.0]),
        );
        body.add(
            Muscle,
            Fat,
            Quadric::ellipsoid([side * 105.0, 92.0, 110.0], [34.0, 18.0, 60.0])
                .turned(2, side * -35.0),
        );
    }
}

fn lungs(body: &mut Body, random: &mut Random, nodule_mm: f32) {
    use Tissue::{Blood, Lung, Muscle, Nodule};
    for side in [-1.0, 1.0] {
        body.add(
            Lung,
            Muscle,
            Quadric::ellipsoid([side * 68.0, 5.0, 40.0], [57.0, 82.0, 125.0]).turned(1, side * 5.0),
        );
        for _ in 0..70 {
            let toward = [
                random.between(0.25, 1.0) * side * 58.0,
                random.between(-68.0, 68.0),
                random.between(-75.0, 75.0),
            ];
            let near = 1.0 - (toward[0].abs() / 68.0);
            let radius = 1.0 + 3.2 * near;
            let centre = [
                side * 30.0 + toward[0],
                5.0 + toward[1] * 0.85,
                40.0 + toward[2],
            ];
            let vessel = Quadric::ellipsoid(centre, [radius, radius, random.between(10.0, 24.0)])
                .turned(0, random.between(-70.0, 70.0))
                .turned(1, random.between(-70.0, 70.0));
            body.add(Blood, Lung, vessel);
        }
    }
    let radius = nodule_mm / 2.0;
    body.add(
        Nodule,
        Lung,
        Quadric::ellipsoid([86.0, 28.0, 62.0], [radius, radius * 0.9, radius]),
    );
}

fn mediastinum(body: &mut Body) {
    use Tissue::{Air, Blood, Bone, Enhanced, Fat, Heart, Marrow, Muscle};
    body.add(
        Fat,
        Muscle,
        Quadric::ellipsoid([4.0, 0.0, 60.0], [30.0, 60.0, 130.0]),
    );
    body.add_beside_lung(
        Heart,
        Quadric::ellipsoid([22.0, -28.0, -8.0], [62.0, 46.0, 54.0])
            .turned(2, 38.0)
            .turned(1, -28.0),
    );
    body.add(
        Enhanced,
        Heart,
        Quadric::ellipsoid([36.0, -22.0, -14.0], [34.0, 21.0, 30.0]).turned(2, 38.0),
    );
    body.add(
        Enhanced,
        Heart,
        Quadric::ellipsoid([0.0, -42.0, -6.0], [27.0, 19.0, 32.0]).turned(2, 25.0),
    );
    body.add(
        Enhanced,
        Fat,
        Quadric::cylinder([26.0, 52.0, -60.0], [12.0, 12.0], 160.0),
    );
    body.add(
        Enhanced,
        Fat,
        Quadric::ellipsoid([14.0, 12.0, 100.0], [17.0, 48.0, 13.0]).turned(2, -18.0),
    );
    body.add(
        Enhanced,
        Fat,
        Quadric::cylinder([-14.0, -18.0, 62.0], [15.0, 15.0], 36.0),
    );
    body.add(
        Enhanced,
        Fat,
        Quadric::cylinder([-32.0, -8.0, 90.0], [9.0, 8.0], 60.0),
    );
    body.add(
        Enhanced,
        Fat,
        Quadric::ellipsoid([8.0, 4.0, 50.0], [44.0, 11.0, 11.0]).turned(2, 20.0),
    );
    body.add(
        Muscle,
        Fat,
        Quadric::cylinder([12.0, 38.0, 40.0], [8.0, 6.0], 150.0),
    );
    body.add(
        Air,
        Fat,
        Quadric::cylinder([-2.0, 18.0, 125.0], [9.0, 8.0], 62.0),
    );
    for side in [-1.0, 1.0] {
        body.add(
            Air,
            Fat,
            Quadric::ellipsoid([side * 18.0, 20.0, 54.0], [6.0, 6.0, 28.0]).turned(1, side * -55.0),
        );
        body.add(
            Bone,
            Muscle,
            Quadric::ellipsoid([side * 62.0, -58.0, 172.0], [64.0, 7.0, 7.0])
                .turned(2, side * 16.0),
        );
        body.add(
            Bone,
            Muscle,
            Quadric::ellipsoid([side * 104.0, 72.0, 110.0], [4.0, 34.0, 62.0])
                .turned(2, side * -58.0),
        );
    }
    body.add(
        Bone,
        Muscle,
        Quadric::cylinder([0.0, -84.0, 60.0], [22.0, 6.0], 80.0),
    );
    body.add(
        Marrow,
        Bone,
        Quadric::cylinder([0.0, -84.0, 60.0], [19.0, 3.5], 78.0),
    );
    body.add(
        Blood,
        Fat,
        Quadric::cylinder([-30.0, 4.0, -60.0], [11.0, 9.0], 60.0),
    );
}

fn upper_abdomen(body: &mut Body, random: &mut Random) {
    use Tissue::{
        Air, Blood, Enhanced, Fat, KidneyCortex, KidneyMedulla, Liver, Muscle, Spleen, Water,
    };
    body.add(
        Fat,
        Muscle,
        Quadric::ellipsoid([0.0, -8.0, -190.0], [126.0, 74.0, 112.0]),
    );
    body.add(
        Liver,
        Fat,
        Quadric::ellipsoid([-58.0, -4.0, -118.0], [76.0, 74.0, 74.0]).turned(1, 18.0),
    );
    body.add(
        Liver,
        Fat,
        Quadric::ellipsoid([10.0, -42.0, -100.0], [58.0, 30.0, 34.0]).turned(1, -12.0),
    );
    body.add(
        Spleen,
        Fat,
        Quadric::ellipsoid([98.0, 42.0, -108.0], [24.0, 42.0, 46.0]).turned(2, -18.0),
    );
    body.add(
        Water,
        Liver,
        Quadric::ellipsoid([-42.0, -52.0, -150.0], [15.0, 15.0, 30.0]).turned(1, 20.0),
    );
    body.add(
        Water,
        Liver,
        Quadric::ellipsoid([-92.0, 18.0, -112.0], [9.0, 9.0, 9.0]),
    );
    for _ in 0..22 {
        let centre = [
            random.between(-110.0, 10.0),
            random.between(-50.0, 50.0),
            random.between(-165.0, -70.0),
        ];
        let vein = Quadric::ellipsoid(centre, [2.2, 2.2, random.between(10.0, 22.0)])
            .turned(0, random.between(-80.0, 80.0))
            .turned(1, random.between(-80.0, 80.0));
        body.add(Enhanced, Liver, vein);
    }
    body.add(
        Muscle,
        Fat,
        Quadric::ellipsoid([52.0, -24.0, -112.0], [40.0, 36.0, 52.0]),
    );
    body.add(
        Water,
        Muscle,
        Quadric::ellipsoid([52.0, -20.0, -112.0], [35.0, 31.0, 47.0]),
    );
    body.add(
        Air,
        Water,
        Quadric::ellipsoid([52.0, -41.0, -112.0], [25.0, 12.0, 36.0]),
    );
    for side in [-1.0, 1.0] {
        let centre = [side * 62.0, 52.0, -168.0 - 5.0 * side];
        let kidney = |scale: f32| {
            Quadric::ellipsoid(centre, [25.0 * scale, 29.0 * scale, 54.0 * scale])
                .turned(1, side * 10.0)
        };
        body.add(KidneyCortex, Fat, kidney(1.0));
        body.add(KidneyMedulla, KidneyCortex, kidney(0.72));
        body.add(
            Fat,
            KidneyMedulla,
            Quadric::ellipsoid(
                [centre[0] - side * 12.0, centre[1] - 6.0, centre[2]],
                [11.0, 9.0, 16.0],
            ),
        );
        body.add(
            Muscle,
            Fat,
            Quadric::ellipsoid([side * 34.0, 62.0, -200.0], [20.0, 22.0, 90.0]),
        );
        body.add(
            Muscle,
            Fat,
            Quadric::ellipsoid([side * 42.0, 96.0, -60.0], [34.0, 18.0, 300.0]),
        );
    }
    for _ in 0..26 {
        let centre = [
            random.between(-88.0, 88.0),
            random.between(-62.0, 8.0),
            random.between(-236.0, -172.0),
        ];
        let radius = random.between(10.0, 15.0);
        let turn = random.between(0.0, 180.0);
        let loop_of_bowel = |scale: f32| {
            Quadric::ellipsoid(
                centre,
                [radius * 1.7 * scale, radius * scale, radius * scale],
            )
            .turned(2, turn)
        };
        body.add(Muscle, Fat, loop_of_bowel(1.0));
        let filled = if random.unit() < 0.35 { Air } else { Water };
        body.add(filled, Muscle, loop_of_bowel(0.72));
    }
    body.add(
        Enhanced,
        Fat,
        Quadric::cylinder([10.0, 42.0, -190.0], [11.0, 11.0], 70.0),
    );
    body.add(
        Blood,
        Fat,
        Quadric::cylinder([-18.0, 38.0, -160.0], [13.0, 10.0], 100.0),
    );
}

fn spine(body: &mut Body) {
    use Tissue::{Bone, Disc, Marrow, Muscle, Water};
    for number in 0..17 {
        let z = 190.0 - 26.0 * number as f32;
        let wide = 15.0 + 0.6 * number as f32;
        body.add(
            Disc,
            Muscle,
            Quadric::cylinder([0.0, 70.0, z - 13.0], [wide, wide * 0.8], 4.0),
        );
        body.add(
            Bone,
            Muscle,
            Quadric::cylinder([0.0, 70.0, z], [wide, wide * 0.8], 10.0),
        );
        body.add(
            Marrow,
            Bone,
            Quadric::cylinder([0.0, 70.0, z], [wide - 2.0, wide * 0.8 - 2.0], 8.5),
        );
        for side in [-1.0, 1.0] {
            body.add(
                Bone,
                Muscle,
                Quadric::ellipsoid([side * 13.0, 88.0, z], [4.0, 10.0, 6.0]),
            );
            body.add(
                Bone,
                Muscle,
                Quadric::ellipsoid([side * 25.0, 97.0, z], [18.0, 4.5, 5.0]).turned(2, side * 22.0),
            );
        }
        body.add(
            Bone,
            Muscle,
            Quadric::ellipsoid([0.0, 106.0, z - 6.0], [3.5, 15.0, 7.0]).turned(0, 18.0),
        );
    }
    body.add(
        Water,
        Bone,
        Quadric::cylinder([0.0, 91.0, 0.0], [9.0, 7.5], 260.0),
    );
    body.add(
        Disc,
        Water,
        Quadric::cylinder([0.0, 91.0, 60.0], [5.0, 4.0], 200.0),
    );
}

/// What is wrong inside a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadFinding {
    /// A fresh bleeding of this diameter, in millimetres.
    Haematoma(u8),
    /// Bright spots in the white matter on T2, this many.
    WhiteMatterLesions(u8),
}

/// A head from the skull base at z = −70 to the vertex at +85 mm.
pub(crate) fn head(random: &mut Random, finding: HeadFinding) -> Body {
    use Tissue::{Air, Bone, Fat, Marrow, Muscle, Water};
    let mut body = Body::default();
    body.add(
        Fat,
        Air,
        Quadric::ellipsoid([0.0, 0.0, -4.0], [78.0, 98.0, 92.0]),
    );
    body.add(
        Fat,
        Air,
        Quadric::ellipsoid([0.0, -12.0, -62.0], [66.0, 82.0, 70.0]),
    );
    body.add(
        Muscle,
        Fat,
        Quadric::ellipsoid([0.0, -8.0, -66.0], [61.0, 76.0, 64.0]),
    );
    body.add(
        Bone,
        Fat,
        Quadric::ellipsoid([0.0, 0.0, -4.0], [73.5, 93.0, 87.0]),
    );
    body.add(
        Marrow,
        Bone,
        Quadric::ellipsoid([0.0, 0.0, -4.0], [71.0, 90.5, 84.5]),
    );
    body.add(
        Bone,
        Marrow,
        Quadric::ellipsoid([0.0, 0.0, -4.0], [69.0, 88.5, 82.5]),
    );
    body.add(
        Water,
        Bone,
        Quadric::ellipsoid([0.0, 0.0, -4.0], [66.0, 85.5, 79.5]),
    );
    brain(&mut body, random);
    face(&mut body);
    match finding {
        HeadFinding::Haematoma(size) => haematoma(&mut body, f32::from(size) / 2.0),
        HeadFinding::WhiteMatterLesions(count) => white_matter_lesions(&mut body, random, count),
    }
    body
}

fn brain(body: &mut Body, random: &mut Random) {
    use Tissue::{Disc, GreyMatter, Water, WhiteMatter};
    body.add(
        GreyMatter,
        Water,
        Quadric::ellipsoid([0.0, 0.0, 4.0], [63.5, 82.5, 69.0]),
    );
    body.add(
        WhiteMatter,
        GreyMatter,
        Quadric::ellipsoid([0.0, 0.0, 3.0], [57.0, 76.0, 62.5]),
    );
    for _ in 0..190 {
        gyrus(body, random);
    }
    body.add(
        Disc,
        Water,
        Quadric::ellipsoid([0.0, 4.0, 34.0], [1.2, 82.0, 44.0]),
    );
    for side in [-1.0, 1.0] {
        body.add(
            GreyMatter,
            WhiteMatter,
            Quadric::ellipsoid([side * 12.0, 10.0, 2.0], [9.0, 15.0, 10.0]).turned(2, side * -25.0),
        );
        body.add(
            GreyMatter,
            WhiteMatter,
            Quadric::ellipsoid([side * 26.0, -4.0, 2.0], [6.0, 18.0, 14.0]).turned(2, side * -12.0),
        );
        body.add(
            GreyMatter,
            WhiteMatter,
            Quadric::ellipsoid([side * 13.0, -22.0, 10.0], [5.0, 9.0, 12.0]),
        );
        body.add(
            Water,
            WhiteMatter,
            Quadric::ellipsoid([side * 8.0, -10.0, 18.0], [6.0, 30.0, 8.0]).turned(2, side * -8.0),
        );
        body.add(
            Water,
            WhiteMatter,
            Quadric::ellipsoid([side * 20.0, 32.0, 8.0], [6.0, 18.0, 10.0]).turned(2, side * 14.0),
        );
        body.add(
            GreyMatter,
            Water,
            Quadric::ellipsoid([side * 22.0, 46.0, -42.0], [28.0, 26.0, 20.0]),
        );
        body.add(
            WhiteMatter,
            GreyMatter,
            Quadric::ellipsoid([side * 20.0, 44.0, -42.0], [19.0, 17.0, 13.0]),
        );
    }
    body.add(
        Water,
        GreyMatter,
        Quadric::ellipsoid([0.0, 6.0, 4.0], [2.2, 14.0, 10.0]),
    );
    body.add(
        WhiteMatter,
        Water,
        Quadric::ellipsoid([0.0, 18.0, -46.0], [14.0, 13.0, 34.0]).turned(0, 14.0),
    );
    body.add(
        Water,
        WhiteMatter,
        Quadric::ellipsoid([0.0, 33.0, -42.0], [8.0, 4.0, 9.0]),
    );
}

/// One fold: a strip of fluid from the surface inwards between two strips of cortex.
fn gyrus(body: &mut Body, random: &mut Random) {
    let (turn, rise) = (
        random.between(0.0, std::f32::consts::TAU),
        random.between(-0.55, 0.95),
    );
    let across = (1.0_f32 - rise * rise).max(0.0).sqrt();
    let at = |depth: f32| {
        [
            turn.cos() * across * 64.0 * depth,
            turn.sin() * across * 83.0 * depth,
            4.0 + rise * 69.0 * depth,
        ]
    };
    let (tilt, depth) = (random.between(-70.0, 70.0), random.between(0.84, 0.9));
    let strip = |half: f32, reach: f32| {
        Quadric::ellipsoid(at(depth), [reach, half, 15.0])
            .turned(0, tilt)
            .turned(2, turn.to_degrees() + tilt * 0.2)
    };
    body.add(Tissue::GreyMatter, Tissue::WhiteMatter, strip(3.4, 13.0));
    body.add(Tissue::Water, Tissue::GreyMatter, strip(0.9, 11.0));
}

fn face(body: &mut Body) {
    use Tissue::{Air, Bone, Fat, Lens, Muscle, Water};
    for side in [-1.0, 1.0] {
        body.add(
            Bone,
            Muscle,
            Quadric::ellipsoid([side * 32.0, -70.0, -42.0], [22.0, 27.0, 21.0]),
        );
        body.add(
            Fat,
            Bone,
            Quadric::ellipsoid([side * 32.0, -70.0, -42.0], [19.5, 25.0, 19.0]),
        );
        body.add(
            Water,
            Fat,
            Quadric::ellipsoid([side * 32.0, -80.0, -42.0], [12.0, 12.5, 12.0]),
        );
        body.add(
            Lens,
            Water,
            Quadric::ellipsoid([side * 32.0, -90.0, -42.0], [4.5, 2.0, 4.5]),
        );
        body.add(
            Muscle,
            Fat,
            Quadric::ellipsoid([side * 27.0, -58.0, -42.0], [2.0, 16.0, 3.0])
                .turned(2, side * 12.0),
        );
        body.add(
            Bone,
            Muscle,
            Quadric::ellipsoid([side * 52.0, 18.0, -56.0], [18.0, 15.0, 15.0]),
        );
        for cell in 0..6 {
            let (dx, dy) = ((cell % 3) as f32 * 6.0, (cell / 3) as f32 * 8.0);
            body.add(
                Air,
                Bone,
                Quadric::ellipsoid([side * (48.0 + dx), 16.0 + dy, -56.0], [2.4, 3.0, 6.0]),
            );
        }
        body.add(
            Bone,
            Muscle,
            Quadric::ellipsoid([side * 28.0, -64.0, -76.0], [18.0, 20.0, 16.0]),
        );
        body.add(
            Air,
            Bone,
            Quadric::ellipsoid([side * 28.0, -64.0, -76.0], [16.0, 18.0, 14.0]),
        );
    }
    body.add(
        Air,
        Muscle,
        Quadric::ellipsoid([0.0, -66.0, -52.0], [9.0, 20.0, 16.0]),
    );
    body.add(
        Bone,
        Air,
        Quadric::ellipsoid([0.0, -66.0, -56.0], [1.0, 22.0, 20.0]),
    );
    body.add(
        Air,
        Muscle,
        Quadric::ellipsoid([0.0, -28.0, -58.0], [12.0, 10.0, 9.0]),
    );
}

fn haematoma(body: &mut Body, radius: f32) {
    let centre = [30.0, -2.0, 14.0];
    let oedema = Quadric::ellipsoid(centre, [radius + 6.0, radius * 1.3 + 7.0, radius + 6.0])
        .turned(2, -20.0);
    body.add(Tissue::Oedema, Tissue::WhiteMatter, oedema);
    let blood = Quadric::ellipsoid(centre, [radius, radius * 1.3, radius]).turned(2, -20.0);
    body.add(Tissue::Haematoma, Tissue::Oedema, blood);
}

fn white_matter_lesions(body: &mut Body, random: &mut Random, count: u8) {
    for number in 0..count {
        let side = if number % 2 == 0 { 1.0 } else { -1.0 };
        let centre = [
            side * random.between(14.0, 32.0),
            random.between(-40.0, 44.0),
            random.between(14.0, 34.0),
        ];
        let lesion = Quadric::ellipsoid(
            centre,
            [
                random.between(1.6, 3.4),
                random.between(2.0, 6.0),
                random.between(1.8, 3.2),
            ],
        )
        .turned(2, random.between(-40.0, 40.0));
        body.add(Tissue::Oedema, Tissue::WhiteMatter, lesion);
    }
}
