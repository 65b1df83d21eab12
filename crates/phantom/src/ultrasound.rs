//! A beating heart as an ultrasound sector shows it.

use crate::noise::NoiseTile;
use crate::random::Random;

/// Width of a frame in pixels.
pub(crate) const COLUMNS: usize = 640;
/// Height of a frame in pixels.
pub(crate) const ROWS: usize = 480;
/// Distance of two pixels in the tissue, in centimetres.
pub(crate) const SPACING_CM: f64 = 0.0375;
/// The part of the frame that shows tissue: left, top, right, bottom.
pub(crate) const SECTOR: [u32; 4] = [90, 20, 549, 449];
/// The part of the frame in which flow is coloured.
pub(crate) const COLOUR_BOX: [u32; 4] = [230, 120, 420, 330];

const APEX: [f32; 2] = [320.0, 20.0];
const DEPTH: f32 = 425.0;
const HALF_ANGLE: f32 = 0.64;
/// Row of the ECG's base line.
const ECG_ROW: f32 = 462.0;

/// Frames of one heart beat.
#[derive(Debug, Clone)]
pub(crate) struct Heart {
    sector: Vec<Option<Sample>>,
    speckle: NoiseTile,
    frames: usize,
}

/// A pixel of the sector that does not change from frame to frame.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Place in the speckle tile: fixed to the beam, fine along it and broad across.
    across: u16,
    along: u16,
    /// What depth leaves of the echo.
    fading: f32,
}

/// What a point of the sector shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    Tissue,
    Wall,
    Chamber,
    Valve,
}

impl Heart {
    pub(crate) fn new(random: &mut Random, frames: usize) -> Self {
        let sector = (0..COLUMNS * ROWS)
            .map(|at| sample(at % COLUMNS, at / COLUMNS))
            .collect();
        Self {
            sector,
            speckle: NoiseTile::smoothed(random, 1),
            frames,
        }
    }

    /// One frame in grey, 8 bits a pixel.
    pub(crate) fn grey(&self, frame: usize) -> Vec<u8> {
        let phase = self.phase(frame);
        let mut picture = vec![0; COLUMNS * ROWS];
        for (row, line) in picture.chunks_exact_mut(COLUMNS).enumerate() {
            for (column, pixel) in line.iter_mut().enumerate() {
                *pixel = self.brightness(column, row, phase, frame);
            }
        }
        self.draw_scale(&mut picture, frame);
        picture
    }

    /// One frame in RGB with the flow in the ventricle coloured.
    pub(crate) fn colour(&self, frame: usize) -> Vec<u8> {
        let phase = self.phase(frame);
        let mut picture: Vec<u8> = self
            .grey(frame)
            .into_iter()
            .flat_map(|grey| [grey; 3])
            .collect();
        for row in COLOUR_BOX[1] as usize..=COLOUR_BOX[3] as usize {
            for column in COLOUR_BOX[0] as usize..=COLOUR_BOX[2] as usize {
                let is_edge = row == COLOUR_BOX[1] as usize
                    || row == COLOUR_BOX[3] as usize
                    || column == COLOUR_BOX[0] as usize
                    || column == COLOUR_BOX[2] as usize;
                let colour = if is_edge {
                    Some([200, 200, 60])
                } else {
                    self.flow(column, row, phase, frame)
                };
                if let Some(colour) = colour {
                    let at = (row * COLUMNS + column) * 3;
                    picture[at..at + 3].copy_from_slice(&colour);
                }
            }
        }
        picture
    }

    /// 0 with the ventricle full, 1 with it empty.
    fn phase(&self, frame: usize) -> f32 {
        let turn = frame as f32 / self.frames as f32;
        if turn < 0.38 {
            (turn / 0.38 * std::f32::consts::FRAC_PI_2).sin()
        } else {
            (1.0 - (turn - 0.38) / 0.62).powi(2)
        }
    }

    fn brightness(&self, column: usize, row: usize, phase: f32, frame: usize) -> u8 {
        let Some(sample) = self.sector[row * COLUMNS + column] else {
            return 0;
        };
        let level = match echo(column as f32 - APEX[0], row as f32 - APEX[1], phase) {
            Echo::Tissue => 84.0,
            Echo::Wall => 128.0,
            Echo::Chamber => 8.0,
            Echo::Valve => 190.0,
        };
        let (across, along) = (
            usize::from(sample.across),
            usize::from(sample.along) + frame / 2,
        );
        let (a, b) = (
            self.speckle.at(across, along),
            self.speckle.at(across + 91, along + 117),
        );
        let rayleigh = (a * a + b * b).sqrt();
        (level * sample.fading * (0.35 + 0.52 * rayleigh)).clamp(0.0, 255.0) as u8
    }

    fn flow(&self, column: usize, row: usize, phase: f32, frame: usize) -> Option<[u8; 3]> {
        let (dx, dy) = (column as f32 - APEX[0], row as f32 - APEX[1]);
        if echo(dx, dy, phase) != Echo::Chamber {
            return None;
        }
        // Filling comes towards the probe (red), ejection leaves it (blue).
        let filling = (frame as f32 / self.frames as f32) >= 0.38;
        let speed =
            (1.0 - ((dx - 18.0) / 46.0).powi(2)).max(0.0) * (0.5 + 0.5 * (dy / 200.0).sin());
        let speed = speed + 0.12 * self.speckle.at(column, row + frame * 3);
        if speed < 0.18 {
            return None;
        }
        let strength = (speed * 255.0).clamp(60.0, 255.0) as u8;
        Some(if filling {
            [strength, strength / 3, 0]
        } else {
            [0, strength / 3, strength]
        })
    }

    fn draw_scale(&self, picture: &mut [u8], frame: usize) {
        for centimetre in 0..12 {
            let row = APEX[1] as usize + (centimetre as f64 / SPACING_CM) as usize;
            let length = if centimetre % 5 == 0 { 12 } else { 6 };
            if let Some(tick) = picture.get_mut(row * COLUMNS + 600..row * COLUMNS + 600 + length) {
                tick.fill(220);
            }
        }
        for column in 100..540 {
            let beat = (column - 100) as f32 / 220.0;
            let row = (ECG_ROW - ecg(beat.fract())) as usize;
            picture[row * COLUMNS + column] = 180;
        }
        let now = 100 + 220 * frame / self.frames;
        for row in 440..472 {
            picture[row * COLUMNS + now] = 255;
        }
    }
}

fn sample(column: usize, row: usize) -> Option<Sample> {
    let (dx, dy) = (column as f32 - APEX[0], row as f32 - APEX[1]);
    let (distance, angle) = (dx.hypot(dy), dx.atan2(dy));
    let is_inside = (4.0..DEPTH).contains(&distance) && angle.abs() <= HALF_ANGLE;
    is_inside.then(|| Sample {
        across: ((angle + 1.0) * 150.0) as u16,
        along: (distance * 0.8) as u16,
        fading: 1.0 - 0.35 * distance / DEPTH,
    })
}

/// Height of an ECG in pixels at a fraction of the beat.
fn ecg(turn: f32) -> f32 {
    let bump = |at: f32, width: f32, height: f32| height * (-((turn - at) / width).powi(2)).exp();
    bump(0.12, 0.025, 3.0) - bump(0.19, 0.008, 4.0) + bump(0.21, 0.010, 18.0)
        - bump(0.235, 0.009, 6.0)
        + bump(0.42, 0.05, 5.0)
}

fn echo(dx: f32, dy: f32, phase: f32) -> Echo {
    let squeeze = 1.0 - 0.28 * phase;
    let ratio =
        |cx: f32, cy: f32, rx: f32, ry: f32| ((dx - cx) / rx).powi(2) + ((dy - cy) / ry).powi(2);
    let left_ventricle = ratio(18.0, 180.0, 62.0 * squeeze, 108.0 * (1.0 - 0.12 * phase));
    let left_wall = ratio(18.0, 180.0, 92.0 - 6.0 * phase, 134.0);
    let right_ventricle = ratio(-92.0, 190.0, 40.0 * squeeze, 92.0 * (1.0 - 0.1 * phase));
    let right_wall = ratio(-92.0, 190.0, 56.0, 106.0);
    let left_atrium = ratio(30.0, 344.0, 58.0 + 8.0 * phase, 52.0);
    let right_atrium = ratio(-82.0, 340.0, 50.0 + 6.0 * phase, 48.0);
    let opened = (1.0 - phase) * 26.0;
    let is_valve = (dy - 288.0 + (dx - 20.0).abs() * 0.15).abs() < 3.0
        && (opened * 0.4..62.0).contains(&(dx - 20.0).abs());
    if is_valve {
        Echo::Valve
    } else if left_ventricle < 1.0
        || right_ventricle < 1.0
        || left_atrium < 1.0
        || right_atrium < 1.0
    {
        Echo::Chamber
    } else if left_wall < 1.0
        || right_wall < 1.0
        || ratio(30.0, 344.0, 68.0, 62.0) < 1.0
        || ratio(-82.0, 340.0, 58.0, 56.0) < 1.0
    {
        Echo::Wall
    } else {
        Echo::Tissue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ventricle_shrinks_and_the_corners_stay_black() {
        let heart = Heart::new(&mut Random::named(1, "us"), 20);
        let dark = |frame: usize| {
            heart.grey(frame)[..440 * COLUMNS]
                .iter()
                .filter(|grey| (1..16).contains(*grey))
                .count()
        };
        assert!(dark(0) > dark(7) * 9 / 8, "{} {}", dark(0), dark(7));
        assert_eq!(heart.grey(3)[0], 0);
    }

    #[test]
    fn flow_is_red_in_filling_and_blue_in_ejection() {
        let heart = Heart::new(&mut Random::named(1, "us"), 20);
        let excess = |frame: usize| -> i64 {
            heart
                .colour(frame)
                .chunks_exact(3)
                .map(|rgb| i64::from(rgb[0]) - i64::from(rgb[2]))
                .sum()
        };
        let frame_of_box: i64 = 2 * (190 + 210) * 140;
        assert!(excess(14) > frame_of_box + 100_000);
        assert!(excess(4) < frame_of_box - 100_000);
    }
}
