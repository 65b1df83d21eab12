//! Lines and areas in a grid of pixels. A pixel covers from its column to the next, and so its
//! centre is half a pixel further.

/// The most crossings of lines of pixels with the edges of an area; a larger one is not filled.
const MAX_CROSSINGS: usize = 1 << 25;

/// Calls `plot` with the pixels of a line that are within the grid.
pub(super) fn line(
    from: [f64; 2],
    to: [f64; 2],
    (width, height): (u32, u32),
    mut plot: impl FnMut(i64, i64),
) {
    let Some((from, to)) = clip(from, to, (f64::from(width), f64::from(height))) else {
        return;
    };
    let [x, y] = from.map(|place| place.floor() as i64);
    let [end_x, end_y] = to.map(|place| place.floor() as i64);
    let steps = (end_x - x).abs().max((end_y - y).abs());
    for step in 0..=steps {
        let along = |from: i64, to: i64| match steps {
            0 => from,
            // Rounds half up, also below zero.
            _ => from + (2 * (to - from) * step + steps).div_euclid(2 * steps),
        };
        plot(along(x, end_x), along(y, end_y));
    }
}

/// The part of a line that is near the grid, by Liang and Barsky: a line may lead very far away.
fn clip(from: [f64; 2], to: [f64; 2], size: (f64, f64)) -> Option<([f64; 2], [f64; 2])> {
    let (mut start, mut end) = (0.0f64, 1.0f64);
    for ((from, to), limit) in from.into_iter().zip(to).zip([size.0, size.1]) {
        let length = to - from;
        if !length.is_finite() {
            return None;
        }
        for (step, room) in [(-length, from + 2.0), (length, limit + 2.0 - from)] {
            if step == 0.0 {
                if room < 0.0 {
                    return None;
                }
            } else if step < 0.0 {
                start = start.max(room / step);
            } else {
                end = end.min(room / step);
            }
        }
    }
    let at = |part: f64| {
        [0, 1].map(|axis| match part {
            0.0 => from[axis],
            1.0 => to[axis],
            _ => from[axis] + (to[axis] - from[axis]) * part,
        })
    };
    (start <= end).then(|| (at(start), at(end)))
}

/// Calls `plot` with the pixels whose centres lie within a closed outline, by the even-odd rule.
pub(super) fn fill(
    outline: &[[f64; 2]],
    (width, height): (u32, u32),
    mut plot: impl FnMut(i64, i64),
) {
    let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); height as usize];
    let mut count = 0;
    let ends = outline.iter().skip(1).chain(outline.first());
    for (from, to) in outline.iter().zip(ends) {
        let (upper, lower) = if from[1] <= to[1] {
            (from, to)
        } else {
            (to, from)
        };
        if !(upper[0].is_finite() && lower[0].is_finite() && lower[1] - upper[1] > 0.0) {
            continue;
        }
        // The rows whose centres are between the ends.
        let first = (upper[1] - 0.5).ceil().clamp(0.0, f64::from(height)) as usize;
        let end = (lower[1] - 0.5).ceil().clamp(0.0, f64::from(height)) as usize;
        count += end.saturating_sub(first);
        if count > MAX_CROSSINGS {
            return;
        }
        for row in first..end {
            let part = (row as f64 + 0.5 - upper[1]) / (lower[1] - upper[1]);
            if let Some(crossings) = crossings.get_mut(row) {
                crossings.push(upper[0] + (lower[0] - upper[0]) * part);
            }
        }
    }
    for (row, mut crossings) in crossings.into_iter().enumerate() {
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.as_chunks::<2>().0 {
            let [first, end] =
                pair.map(|place| (place - 0.5).ceil().clamp(0.0, f64::from(width)) as i64);
            for column in first..end {
                plot(column, row as i64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plotted(draw: impl FnOnce(&mut dyn FnMut(i64, i64))) -> Vec<(i64, i64)> {
        let mut pixels = Vec::new();
        draw(&mut |x, y| {
            if (0..8).contains(&x) && (0..8).contains(&y) {
                pixels.push((x, y));
            }
        });
        pixels
    }

    #[test]
    fn lines_have_both_their_ends() {
        let found = plotted(|plot| line([1.5, 1.5], [4.5, 2.5], (8, 8), plot));
        assert_eq!(found, [(1, 1), (2, 1), (3, 2), (4, 2)]);
        let found = plotted(|plot| line([3.2, 3.9], [3.2, 3.9], (8, 8), plot));
        assert_eq!(found, [(3, 3)]);
    }

    #[test]
    fn lines_from_far_away_are_clipped() {
        let found = plotted(|plot| line([-1e12, 2.5], [1e12, 2.5], (8, 8), plot));
        assert_eq!(found, (0..8).map(|x| (x, 2)).collect::<Vec<_>>());
        let found = plotted(|plot| line([-1e12, -5.0], [1e12, -5.0], (8, 8), plot));
        assert!(found.is_empty());
        let found = plotted(|plot| line([f64::NAN, 0.0], [f64::INFINITY, 1.0], (8, 8), plot));
        assert!(found.is_empty());
    }

    #[test]
    fn areas_are_the_pixels_within() {
        let square = [[1.0, 1.0], [3.0, 1.0], [3.0, 3.0], [1.0, 3.0]];
        let found = plotted(|plot| fill(&square, (8, 8), plot));
        assert_eq!(found, [(1, 1), (2, 1), (1, 2), (2, 2)]);
        let beyond = [[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]];
        assert_eq!(plotted(|plot| fill(&beyond, (8, 8), plot)).len(), 64);
    }
}
