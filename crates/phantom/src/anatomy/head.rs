//! Heads.

use super::{Body, Tissue};
use crate::quadric::Quadric;
use crate::random::Random;

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
