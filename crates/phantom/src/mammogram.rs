//! Mammograms: a compressed breast against the detector's chest wall edge.

use crate::noise::{NoiseTile, smooth_step};
use crate::random::Random;

/// Which breast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// From where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    CranioCaudal,
    MedioLateralOblique,
}

/// One picture's parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    pub(crate) side: Side,
    pub(crate) projection: Projection,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    /// Diameter in millimetres of a spiculated mass in the left breast; 0 for none.
    pub(crate) mass_mm: f32,
}

/// Distance of two pixels in millimetres when the picture is `rows` high.
pub(crate) fn spacing_mm(rows: usize) -> f32 {
    230.0 / rows as f32
}

/// Coarse samples are this many pixels apart; only grain and specks are finer.
const COARSE: usize = 4;

/// A picture for presentation: 12 bits, 0 is black.
pub(crate) fn picture(seed: u64, exposure: &Exposure) -> Vec<u16> {
    let name = format!("mg {:?} {:?}", exposure.side, exposure.projection);
    let mut random = Random::named(seed, &name);
    let breast = Breast::of(exposure, &mut random);
    let mut light = breast.light_of(exposure, &mut random);
    breast.add_specks(&mut light, exposure);
    let grain = NoiseTile::smoothed(&mut random, 0);
    let mut picture = vec![0; exposure.columns * exposure.rows];
    for (row, line) in picture.chunks_exact_mut(exposure.columns).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            let depth = match exposure.side {
                Side::Left => column,
                Side::Right => exposure.columns - 1 - column,
            };
            let light = light[row * exposure.columns + depth];
            if light > 0.0 {
                *pixel = (light + 26.0 * grain.at(column, row)).clamp(1.0, 4095.0) as u16;
            }
        }
    }
    picture
}

/// A breast in millimetres: x from the chest wall forwards, y down the picture.
struct Breast {
    /// Reach forwards and half height.
    reach: f32,
    half_height: f32,
    centre_y: f32,
    has_pectoral: bool,
    mass: Option<[f32; 3]>,
    calcifications: Vec<[f32; 2]>,
    vessels: Vec<[f32; 3]>,
}

impl Breast {
    fn of(exposure: &Exposure, random: &mut Random) -> Self {
        let is_oblique = exposure.projection == Projection::MedioLateralOblique;
        let (reach, half_height, centre_y) = if is_oblique {
            (128.0, 96.0, 14.0)
        } else {
            (118.0, 86.0, 0.0)
        };
        let centre = [reach * 0.52, centre_y - 24.0];
        let has_mass = exposure.side == Side::Left && exposure.mass_mm > 0.0;
        // What is found must not move the rest: the breast is the same without it.
        let mut apart = random.clone();
        let calcifications = if has_mass {
            (0..14)
                .map(|_| {
                    [
                        centre[0] + apart.between(-9.0, 9.0),
                        centre[1] + apart.between(-9.0, 9.0),
                    ]
                })
                .collect()
        } else {
            vec![[reach * 0.4, centre_y + 30.0]]
        };
        let vessels = (0..5)
            .map(|_| {
                [
                    random.between(-60.0, 60.0),
                    random.between(-0.5, 0.5),
                    random.between(0.02, 0.06),
                ]
            })
            .collect();
        let mass = has_mass.then_some([centre[0], centre[1], exposure.mass_mm / 2.0]);
        Self {
            reach,
            half_height,
            centre_y,
            has_pectoral: is_oblique,
            mass,
            calcifications,
            vessels,
        }
    }

    /// Brightness of the whole picture, chest wall on the left, interpolated from coarse samples.
    fn light_of(&self, exposure: &Exposure, random: &mut Random) -> Vec<f32> {
        let (texture, fine) = (
            NoiseTile::texture(random, 64),
            NoiseTile::texture(random, 16),
        );
        let scale = spacing_mm(exposure.rows);
        let (across, down) = (exposure.columns / COARSE + 2, exposure.rows / COARSE + 2);
        let middle = exposure.rows as f32 / 2.0;
        let coarse: Vec<f32> = (0..across * down)
            .map(|at| {
                let (column, row) = ((at % across * COARSE) as f32, (at / across * COARSE) as f32);
                self.light(column * scale, (row - middle) * scale, &texture, &fine)
                    .unwrap_or(0.0)
            })
            .collect();
        let mut light = vec![0.0; exposure.columns * exposure.rows];
        for (row, line) in light.chunks_exact_mut(exposure.columns).enumerate() {
            let (above, part) = (row / COARSE * across, (row % COARSE) as f32 / COARSE as f32);
            for (column, pixel) in line.iter_mut().enumerate() {
                let (at, along) = (
                    above + column / COARSE,
                    (column % COARSE) as f32 / COARSE as f32,
                );
                let upper = coarse[at] + (coarse[at + 1] - coarse[at]) * along;
                let lower =
                    coarse[at + across] + (coarse[at + across + 1] - coarse[at + across]) * along;
                *pixel = upper + (lower - upper) * part;
            }
        }
        light
    }

    /// Calcifications are smaller than the coarse samples are apart.
    fn add_specks(&self, light: &mut [f32], exposure: &Exposure) {
        let scale = spacing_mm(exposure.rows);
        let radius = 0.32 / scale;
        for [x, y] in &self.calcifications {
            let (cx, cy) = (x / scale, y / scale + exposure.rows as f32 / 2.0);
            let reach = (radius * 1.5).ceil() as i64;
            for (dx, dy) in (-reach..=reach).flat_map(|dx| (-reach..=reach).map(move |dy| (dx, dy)))
            {
                let (column, row) = (cx as i64 + dx, cy as i64 + dy);
                let is_inside = (0..exposure.columns as i64).contains(&column)
                    && (0..exposure.rows as i64).contains(&row);
                if is_inside {
                    let speck = 1500.0 * smooth_step(1.4 - (dx as f32).hypot(dy as f32) / radius);
                    light[row as usize * exposure.columns + column as usize] += speck;
                }
            }
        }
    }

    /// Brightness at a point, or nothing outside the breast.
    fn light(&self, x: f32, y: f32, texture: &NoiseTile, fine: &NoiseTile) -> Option<f32> {
        let across = (y - self.centre_y) / self.half_height;
        let forward = x / self.reach;
        let inside = 1.0 - forward * forward - across * across * (1.0 + 0.25 * across.signum());
        if inside <= 0.0 {
            return None;
        }
        // The rim is thinner than the compressed middle.
        let thickness = smooth_step(inside * 4.5);
        let (tx, ty) = (x * 1.7 + 40.0, (y + 200.0) * 1.7);
        let (fx, fy) = (x * 2.2, (y + 200.0) * 2.2);
        let gland = smooth_step(1.5 * inside - 0.1) * smooth_step(1.6 - 1.5 * forward);
        let density =
            smooth_step(0.42 + 0.30 * texture.between(tx, ty) + 0.10 * fine.between(fx, fy))
                * gland;
        let mut light = thickness * (900.0 + 2100.0 * density + 90.0 * fine.between(fy, fx));
        light += self.pectoral(x, y) + self.mass_light(x, y);
        light += self
            .vessels
            .iter()
            .map(|vessel| vessel_light(vessel, x, y - self.centre_y))
            .sum::<f32>()
            * thickness;
        Some(light)
    }

    fn pectoral(&self, x: f32, y: f32) -> f32 {
        if !self.has_pectoral {
            return 0.0;
        }
        let edge = (62.0 - (y + 112.0) * 0.42).max(0.0);
        1300.0 * smooth_step((edge - x) / 5.0 + 0.5)
    }

    fn mass_light(&self, x: f32, y: f32) -> f32 {
        let Some([cx, cy, radius]) = self.mass else {
            return 0.0;
        };
        let (distance, angle) = ((x - cx).hypot(y - cy), (y - cy).atan2(x - cx));
        let spicule = 1.0 + 0.35 * (angle * 9.0).sin().powi(2) + 0.2 * (angle * 17.0 + 1.0).sin();
        1250.0 * smooth_step((radius * spicule - distance) / (radius * 0.6) + 0.35)
    }
}

fn vessel_light([start, slope, bend]: &[f32; 3], x: f32, y: f32) -> f32 {
    let middle = start + slope * x + 6.0 * (x * bend).sin();
    260.0 * smooth_step(1.0 - (y - middle).abs() / 1.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(side: Side, mass_mm: f32) -> Exposure {
        Exposure {
            side,
            projection: Projection::CranioCaudal,
            columns: 240,
            rows: 288,
            mass_mm,
        }
    }

    #[test]
    fn the_chest_wall_is_where_the_side_puts_it() {
        let left = picture(1, &exposure(Side::Left, 0.0));
        let right = picture(1, &exposure(Side::Right, 0.0));
        let middle = 144 * 240;
        assert!(left[middle] > 300 && left[middle + 239] == 0);
        assert!(right[middle + 239] > 300 && right[middle] == 0);
    }

    #[test]
    fn a_mass_is_brighter_than_its_absence() {
        let with = picture(1, &exposure(Side::Left, 16.0));
        let without = picture(1, &exposure(Side::Left, 0.0));
        let sum = |picture: &[u16]| picture.iter().map(|value| u64::from(*value)).sum::<u64>();
        assert!(sum(&with) > sum(&without) + 50_000);
    }
}
