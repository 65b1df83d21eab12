//! Grain and texture, made once and laid over many pictures.

use crate::random::Random;

/// A square of noise whose edges meet, of mean 0 and standard deviation 1.
#[derive(Debug, Clone)]
pub(crate) struct NoiseTile {
    values: Vec<f32>,
}

/// Edge of a tile in samples; a power of two, so that wrapping is a mask.
const EDGE: usize = 256;

impl NoiseTile {
    /// White noise smoothed by `passes` passes of a 3×3 mean: 0 is quantum noise, 1 or 2 look
    /// like a reconstruction kernel.
    pub(crate) fn smoothed(random: &mut Random, passes: usize) -> Self {
        let mut values: Vec<f32> = (0..EDGE * EDGE).map(|_| random.normal()).collect();
        for _ in 0..passes {
            values = mean_of_neighbours(&values);
        }
        Self {
            values: normalised(values),
        }
    }

    /// Noise of several scales, half as strong each time the scale halves: tissue texture.
    pub(crate) fn texture(random: &mut Random, coarsest: usize) -> Self {
        let mut values = vec![0.0; EDGE * EDGE];
        let mut cell = coarsest;
        let mut weight = 1.0;
        while cell >= 1 {
            add_octave(&mut values, random, cell, weight);
            cell /= 2;
            weight *= 0.55;
        }
        Self {
            values: normalised(values),
        }
    }

    /// The sample at a position; positions repeat after the tile's edge.
    pub(crate) fn at(&self, x: usize, y: usize) -> f32 {
        self.values[(y & (EDGE - 1)) * EDGE + (x & (EDGE - 1))]
    }

    /// The tile between its samples.
    pub(crate) fn between(&self, x: f32, y: f32) -> f32 {
        let (column, row) = (x as usize, y as usize);
        let (fx, fy) = (x.fract(), y.fract());
        let above = self.at(column, row) * (1.0 - fx) + self.at(column + 1, row) * fx;
        let below = self.at(column, row + 1) * (1.0 - fx) + self.at(column + 1, row + 1) * fx;
        above * (1.0 - fy) + below * fy
    }

    /// Adds `amplitude` times the tile, shifted by `shift`, to a picture.
    pub(crate) fn add_to(
        &self,
        picture: &mut [f32],
        columns: usize,
        shift: (usize, usize),
        amplitude: f32,
    ) {
        for (y, row) in picture.chunks_exact_mut(columns).enumerate() {
            let start = ((y + shift.1) & (EDGE - 1)) * EDGE;
            let line = &self.values[start..start + EDGE];
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel += amplitude * line[(x + shift.0) & (EDGE - 1)];
            }
        }
    }
}

fn mean_of_neighbours(values: &[f32]) -> Vec<f32> {
    let wrap = |at: usize, by: usize| (at + EDGE + by - 1) & (EDGE - 1);
    (0..EDGE * EDGE)
        .map(|at| {
            let (x, y) = (at % EDGE, at / EDGE);
            (0..9)
                .map(|n| values[wrap(y, n / 3) * EDGE + wrap(x, n % 3)])
                .sum::<f32>()
                / 9.0
        })
        .collect()
}

fn add_octave(values: &mut [f32], random: &mut Random, cell: usize, weight: f32) {
    let cells = EDGE / cell;
    let lattice: Vec<f32> = (0..cells * cells)
        .map(|_| random.normal() * weight)
        .collect();
    let at = |x: usize, y: usize| lattice[(y % cells) * cells + x % cells];
    for (index, value) in values.iter_mut().enumerate() {
        let (x, y) = (index % EDGE, index / EDGE);
        let (cx, cy) = (x / cell, y / cell);
        let (fx, fy) = (
            smooth_step((x % cell) as f32 / cell as f32),
            smooth_step((y % cell) as f32 / cell as f32),
        );
        let above = at(cx, cy) * (1.0 - fx) + at(cx + 1, cy) * fx;
        let below = at(cx, cy + 1) * (1.0 - fx) + at(cx + 1, cy + 1) * fx;
        *value += above * (1.0 - fy) + below * fy;
    }
}

/// 0 up to 0, 1 from 1 on, without corners in between.
pub(crate) fn smooth_step(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

fn normalised(mut values: Vec<f32>) -> Vec<f32> {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt();
    for value in &mut values {
        *value = (*value - mean) / deviation;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_normalised_and_repeat() {
        for tile in [
            NoiseTile::smoothed(&mut Random::named(1, "grain"), 2),
            NoiseTile::texture(&mut Random::named(1, "texture"), 32),
        ] {
            let count = (EDGE * EDGE) as f32;
            let variance = tile.values.iter().map(|v| v * v).sum::<f32>() / count;
            assert!((variance - 1.0).abs() < 0.01, "{variance}");
            assert_eq!(tile.at(3, 5), tile.at(3 + EDGE, 5 + 2 * EDGE));
        }
    }

    #[test]
    fn a_tile_is_laid_over_a_picture_with_its_shift() {
        let tile = NoiseTile::smoothed(&mut Random::named(1, "grain"), 0);
        let mut picture = vec![10.0; 300 * 2];
        tile.add_to(&mut picture, 300, (7, 9), 2.0);
        assert_eq!(picture[300 + 290], 10.0 + 2.0 * tile.at(297, 10));
    }
}
