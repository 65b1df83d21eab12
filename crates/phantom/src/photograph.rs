//! A colour photograph of skin with a lesion and a ruler.

use crate::noise::{NoiseTile, smooth_step};
use crate::random::Random;

/// Size of a photograph in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// An RGB picture, three bytes a pixel; the lesion's diameter is a fraction of the height.
pub(crate) fn picture(seed: u64, name: &str, size: Size, diameter: f32) -> Vec<u8> {
    let mut random = Random::named(seed, name);
    let skin = NoiseTile::texture(&mut random, 32);
    let pores = NoiseTile::smoothed(&mut random, 1);
    let centre = [
        size.columns as f32 * random.between(0.45, 0.55),
        size.rows as f32 * random.between(0.42, 0.5),
    ];
    let radius = diameter * size.rows as f32 / 2.0;
    let mut picture = Vec::with_capacity(size.columns * size.rows * 3);
    for row in 0..size.rows {
        for column in 0..size.columns {
            let (dx, dy) = (column as f32 - centre[0], row as f32 - centre[1]);
            let angle = dy.atan2(dx);
            let edge =
                radius * (1.0 + 0.12 * (angle * 3.0 + 0.4).sin() + 0.07 * (angle * 7.0).sin());
            let dark = smooth_step((edge - dx.hypot(dy)) / (radius * 0.22) + 0.5);
            let mottle = skin.at(column / 3, row / 3) * 7.0 + pores.at(column, row) * 4.0;
            let blotch = 0.75 + 0.2 * skin.at(column / 2 + 91, row / 2 + 7);
            let vignette =
                1.0 - 0.25 * ((dx / size.columns as f32).powi(2) + (dy / size.rows as f32).powi(2));
            let tone = |fair: f32, brown: f32| {
                let base = (fair + mottle) * vignette;
                (base + (brown * blotch - base) * dark).clamp(0.0, 255.0) as u8
            };
            picture.extend([tone(222.0, 96.0), tone(178.0, 58.0), tone(154.0, 44.0)]);
        }
    }
    draw_ruler(&mut picture, size);
    picture
}

/// A white strip along the lower edge with a mark every hundredth of the width.
fn draw_ruler(picture: &mut [u8], size: Size) {
    let top = size.rows - size.rows / 12;
    for row in top..size.rows {
        for column in 0..size.columns {
            let step = (size.columns / 100).max(2);
            let length = if column % (step * 10) < 2 {
                size.rows / 18
            } else {
                size.rows / 36
            };
            let is_mark = column % step < 2 && row - top < length;
            let at = (row * size.columns + column) * 3;
            picture[at..at + 3].fill(if is_mark { 20 } else { 236 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesion_is_darker_than_the_skin() {
        let size = Size {
            columns: 256,
            rows: 192,
        };
        let picture = picture(1, "photograph", size, 0.4);
        let red = |column: usize, row: usize| picture[(row * 256 + column) * 3];
        assert!(
            red(128, 88) + 60 < red(20, 20),
            "{} {}",
            red(128, 88),
            red(20, 20)
        );
        assert_eq!(picture.len(), 256 * 192 * 3);
    }
}
