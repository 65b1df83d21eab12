//! Graphic objects (PS3.3 C.10.5.2).

use super::pen::Pen;
use super::placement::Placement;
use super::{Graphic, GraphicType};
use std::f64::consts::TAU;

/// The most pieces of a circle, of an ellipse.
const MAX_PIECES: f64 = 4096.0;
/// The most pieces of a curve between two points.
const MAX_CURVE_PIECES: f64 = 16.0;

/// Draws a graphic; one with too few points is none.
pub(super) fn draw(graphic: &Graphic, placement: &Placement, pen: &mut Pen) {
    let place = |point: [f64; 2]| placement.of(graphic.units, point);
    let path: Vec<[f64; 2]> = match (graphic.kind, graphic.points.as_slice()) {
        (GraphicType::Point, points) => {
            for point in points {
                pen.dot(place(*point));
            }
            return;
        }
        (GraphicType::Polyline, points) => points.iter().map(|point| place(*point)).collect(),
        (GraphicType::Interpolated, points) => {
            let points: Vec<_> = points.iter().map(|point| place(*point)).collect();
            curve(&points)
        }
        (GraphicType::Circle, &[center, on, ..]) => {
            let radius = (on[0] - center[0]).hypot(on[1] - center[1]);
            let across = [center[0] + radius, center[1]];
            let down = [center[0], center[1] + radius];
            ellipse(place(center), place(across), place(down))
        }
        (GraphicType::Ellipse, &[left, right, upper, lower, ..]) => {
            let middle = |one: [f64; 2], other: [f64; 2]| {
                [(one[0] + other[0]) / 2.0, (one[1] + other[1]) / 2.0]
            };
            // The axes halve each other; where they do not, the major one is right.
            let center = middle(left, right);
            let shift = middle(upper, lower);
            let minor = [
                lower[0] + center[0] - shift[0],
                lower[1] + center[1] - shift[1],
            ];
            ellipse(place(center), place(right), place(minor))
        }
        _ => return,
    };
    // Only what is closed can be filled (C.10.5.2, Graphic Filled).
    if graphic.is_filled && path.first() == path.last() {
        pen.fill(&path);
    }
    pen.path(&path);
}

/// A closed ellipse by its centre and the ends of two conjugate half axes: an affine map of a
/// circle.
fn ellipse(center: [f64; 2], one: [f64; 2], other: [f64; 2]) -> Vec<[f64; 2]> {
    let half = |end: [f64; 2]| [end[0] - center[0], end[1] - center[1]];
    let (one, other) = (half(one), half(other));
    let longest = one[0].hypot(one[1]).max(other[0].hypot(other[1]));
    if !longest.is_finite() {
        return Vec::new();
    }
    // Four pieces of the same shape, each about a pixel long.
    let pieces = (4.0 * (longest * TAU / 4.0).ceil()).clamp(4.0, MAX_PIECES) as usize;
    let mut path: Vec<[f64; 2]> = (0..pieces)
        .map(|piece| {
            let (sine, cosine) = (TAU * piece as f64 / pieces as f64).sin_cos();
            [0, 1].map(|axis| center[axis] + cosine * one[axis] + sine * other[axis])
        })
        .collect();
    path.extend(path.first().copied());
    path
}

/// A smooth curve through the points: cubic pieces after Catmull and Rom. A curve that ends where
/// it starts is smooth there too.
fn curve(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let count = points.len();
    let is_closed = count > 3 && points.first() == points.last();
    let at = |place: isize| {
        let place = match is_closed {
            true => place.rem_euclid(count as isize - 1),
            false => place.clamp(0, count as isize - 1),
        };
        points.get(place as usize).copied().unwrap_or_default()
    };
    let mut path: Vec<[f64; 2]> = points.first().copied().into_iter().collect();
    for (place, ends) in points.windows(2).enumerate() {
        let &[from, to] = ends else { continue };
        let place = place as isize;
        let (before, after) = (at(place - 1), at(place + 2));
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let pieces = (length / 4.0).ceil().clamp(1.0, MAX_CURVE_PIECES) as usize;
        for piece in 1..pieces {
            let t = piece as f64 / pieces as f64;
            path.push([0, 1].map(|axis| {
                let (a, b, c, d) = (before[axis], from[axis], to[axis], after[axis]);
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            }));
        }
        path.push(to);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_pass_through_their_points() {
        let points = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 0.0]];
        let path = curve(&points);
        assert!(points.iter().all(|point| path.contains(point)));
        assert!(path.len() > points.len());
        assert!(path.iter().any(|point| point[1] < 0.0), "it is round");
        assert_eq!(curve(&[[1.0, 2.0]]), [[1.0, 2.0]]);
        assert!(curve(&[]).is_empty());
    }

    #[test]
    fn ellipses_end_where_they_start() {
        let path = ellipse([5.0, 5.0], [8.0, 5.0], [5.0, 6.0]);
        assert_eq!(path.first(), path.last());
        assert_eq!(path[0], [8.0, 5.0]);
        assert!(
            path.iter()
                .all(|[x, y]| (1.9..=8.1).contains(x) && (3.9..=6.1).contains(y))
        );
    }
}
