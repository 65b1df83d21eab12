//! Chest and upper abdomen.

use super::{Body, Rib, Tissue};
use crate::quadric::Quadric;
use crate::random::Random;

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
