//! Ellipsoids and elliptic cylinders in millimetres, their cuts and their thickness.

/// A solid bounded by a quadric: the points p with (p − centre)ᵀ M (p − centre) ≤ 1, cut off by
/// a slab across one axis when it is a cylinder.
///
/// Axes are those of the patient (PS3.3 C.7.6.2.1.1): x to the left, y to the back, z to the
/// head. [`Quadric::seen`] turns them into axes of a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quadric {
    centre: [f32; 3],
    /// M, symmetric: xx, yy, zz, xy, xz, yz.
    form: [f32; 6],
    slab: Option<Slab>,
}

/// Limits along one axis, in millimetres.
#[derive(Debug, Clone, Copy)]
struct Slab {
    axis: usize,
    low: f32,
    high: f32,
}

/// How a picture lies in the patient: what is to the right of it (u), down (v) and into it (w).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// u left, v back, w head.
    Axial,
    /// u left, v feet, w back.
    Coronal,
    /// u back, v feet, w left.
    Sagittal,
}

/// Where the pixels of a picture lie, in the view's millimetres.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    /// Pixels across.
    pub(crate) columns: usize,
    /// Pixels down.
    pub(crate) rows: usize,
    /// Distance between the centres of neighbouring pixels.
    pub(crate) spacing_mm: f32,
    /// u and v of the first pixel's centre.
    pub(crate) first: [f32; 2],
}

impl Grid {
    /// A grid whose middle lies at `middle`.
    pub(crate) fn centred(columns: usize, rows: usize, spacing_mm: f32, middle: [f32; 2]) -> Self {
        let half = |count: usize| (count as f32 - 1.0) / 2.0 * spacing_mm;
        Self {
            columns,
            rows,
            spacing_mm,
            first: [middle[0] - half(columns), middle[1] - half(rows)],
        }
    }

    fn v(&self, row: usize) -> f32 {
        self.first[1] + row as f32 * self.spacing_mm
    }

    fn column(&self, u: f32) -> f32 {
        (u - self.first[0]) / self.spacing_mm
    }
}

/// Part of a row that lies inside a solid, in columns with fractions.
#[derive(Debug, Clone, Copy)]
struct Span {
    row: usize,
    from: f32,
    to: f32,
}

impl Quadric {
    pub(crate) fn ellipsoid(centre: [f32; 3], radii: [f32; 3]) -> Self {
        let inverse = |radius: f32| 1.0 / (radius * radius);
        Self {
            centre,
            form: [
                inverse(radii[0]),
                inverse(radii[1]),
                inverse(radii[2]),
                0.0,
                0.0,
                0.0,
            ],
            slab: None,
        }
    }

    /// An elliptic cylinder along z.
    pub(crate) fn cylinder(centre: [f32; 3], radii: [f32; 2], half_length: f32) -> Self {
        let inverse = |radius: f32| 1.0 / (radius * radius);
        // A trace of curvature along z keeps the form invertible for side views.
        let form = [inverse(radii[0]), inverse(radii[1]), 1e-9, 0.0, 0.0, 0.0];
        let slab = Some(Slab {
            axis: 2,
            low: centre[2] - half_length,
            high: centre[2] + half_length,
        });
        Self { centre, form, slab }
    }

    /// Turned about its centre around the axis (0 = x, 1 = y, 2 = z); a slab stays where it is.
    pub(crate) fn turned(mut self, axis: usize, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (i, j) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut rotation = [[0.0; 3]; 3];
        rotation[axis][axis] = 1.0;
        rotation[i][i] = cos;
        rotation[i][j] = -sin;
        rotation[j][i] = sin;
        rotation[j][j] = cos;
        let old = self.matrix();
        let entry = |row: usize, column: usize| -> f32 {
            (0..9)
                .map(|n| rotation[row][n / 3] * old[n / 3][n % 3] * rotation[column][n % 3])
                .sum()
        };
        self.form = [
            entry(0, 0),
            entry(1, 1),
            entry(2, 2),
            entry(0, 1),
            entry(0, 2),
            entry(1, 2),
        ];
        self
    }

    fn matrix(&self) -> [[f32; 3]; 3] {
        let [xx, yy, zz, xy, xz, yz] = self.form;
        [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
    }

    /// The same solid in the axes of a view.
    pub(crate) fn seen(&self, view: View) -> Self {
        // For u, v, w: which patient axis, and in which direction.
        let axes: [(usize, f32); 3] = match view {
            View::Axial => [(0, 1.0), (1, 1.0), (2, 1.0)],
            View::Coronal => [(0, 1.0), (2, -1.0), (1, 1.0)],
            View::Sagittal => [(1, 1.0), (2, -1.0), (0, 1.0)],
        };
        let matrix = self.matrix();
        let entry = |a: usize, b: usize| matrix[axes[a].0][axes[b].0] * axes[a].1 * axes[b].1;
        let slab = self.slab.and_then(|slab| {
            let at = axes.iter().position(|(axis, _)| *axis == slab.axis)?;
            let ends = [slab.low * axes[at].1, slab.high * axes[at].1];
            Some(Slab {
                axis: at,
                low: ends[0].min(ends[1]),
                high: ends[0].max(ends[1]),
            })
        });
        Self {
            centre: axes.map(|(axis, sign)| self.centre[axis] * sign),
            form: [
                entry(0, 0),
                entry(1, 1),
                entry(2, 2),
                entry(0, 1),
                entry(0, 2),
                entry(1, 2),
            ],
            slab,
        }
    }

    /// Paints the cut at depth `w` over a picture, with soft left and right edges.
    pub(crate) fn paint(&self, picture: &mut [f32], grid: &Grid, w: f32, value: f32) {
        self.for_spans(grid, w, |span| {
            let line = &mut picture[span.row * grid.columns..(span.row + 1) * grid.columns];
            paint_span(line, span.from, span.to, value);
        });
    }

    fn for_spans(&self, grid: &Grid, w: f32, mut with: impl FnMut(Span)) {
        if self.is_cut_off(2, w) {
            return;
        }
        let [uu, vv, ww, uv, uw, vw] = self.form;
        let dw = w - self.centre[2];
        for row in 0..grid.rows {
            let v = grid.v(row);
            if self.is_cut_off(1, v) {
                continue;
            }
            let dv = v - self.centre[1];
            let b = uv * dv + uw * dw;
            let c = vv * dv * dv + 2.0 * vw * dv * dw + ww * dw * dw - 1.0;
            let discriminant = b * b - uu * c;
            if discriminant <= 0.0 {
                continue;
            }
            let root = discriminant.sqrt();
            let (from, to) = self.limited(
                0,
                self.centre[0] + (-b - root) / uu,
                self.centre[0] + (-b + root) / uu,
            );
            if from < to {
                with(Span {
                    row,
                    from: grid.column(from),
                    to: grid.column(to),
                });
            }
        }
    }

    /// Adds the thickness along w in millimetres, times `factor`, to a picture.
    pub(crate) fn add_thickness(&self, picture: &mut [f32], grid: &Grid, factor: f32) {
        let [uu, vv, ww, uv, uw, vw] = self.form;
        for row in 0..grid.rows {
            let v = grid.v(row);
            if self.is_cut_off(1, v) {
                continue;
            }
            let dv = v - self.centre[1];
            // The outline: u where the discriminant along w vanishes, a u² + 2 b u + c = 0.
            let (a, b, c) = (
                uw * uw - ww * uu,
                dv * (uw * vw - ww * uv),
                dv * dv * (vw * vw - ww * vv) + ww,
            );
            let inside = b * b - a * c;
            if inside <= 0.0 {
                continue;
            }
            let root = inside.sqrt();
            let (from, to) = self.limited(
                0,
                self.centre[0] + (-b + root) / a,
                self.centre[0] + (-b - root) / a,
            );
            let first = grid.column(from).ceil().max(0.0) as usize;
            let last = grid.column(to).floor().min(grid.columns as f32 - 1.0);
            let line = &mut picture[row * grid.columns..(row + 1) * grid.columns];
            for (column, pixel) in line.iter_mut().enumerate().skip(first) {
                if column as f32 > last {
                    break;
                }
                let du = grid.first[0] + column as f32 * grid.spacing_mm - self.centre[0];
                let middle = uw * du + vw * dv;
                let rest = uu * du * du + 2.0 * uv * du * dv + vv * dv * dv - 1.0;
                let root = (middle * middle - ww * rest).max(0.0).sqrt();
                let (near, far) = self.limited(
                    2,
                    self.centre[2] + (-middle - root) / ww,
                    self.centre[2] + (-middle + root) / ww,
                );
                *pixel += factor * (far - near).max(0.0);
            }
        }
    }

    fn is_cut_off(&self, axis: usize, at: f32) -> bool {
        self.slab
            .is_some_and(|slab| slab.axis == axis && !(slab.low..=slab.high).contains(&at))
    }

    fn limited(&self, axis: usize, low: f32, high: f32) -> (f32, f32) {
        match self.slab {
            Some(slab) if slab.axis == axis => (low.max(slab.low), high.min(slab.high)),
            _ => (low, high),
        }
    }
}

/// Sets the samples between two columns; a pixel is a cell from −½ to +½ around its centre, and
/// one that is covered in part becomes a mixture.
fn paint_span(line: &mut [f32], from: f32, to: f32, value: f32) {
    let (from, to) = ((from + 0.5).max(0.0), (to + 0.5).min(line.len() as f32));
    if from >= to {
        return;
    }
    let (first, last) = (from as usize, (to as usize).min(line.len() - 1));
    let mut blend = |at: usize, cover: f32| {
        if let Some(pixel) = line.get_mut(at) {
            *pixel += (value - *pixel) * cover;
        }
    };
    if first == last {
        return blend(first, to - from);
    }
    blend(first, 1.0 - from.fract());
    blend(last, to - last as f32);
    if let Some(between) = line.get_mut(first + 1..last) {
        between.fill(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        Grid::centred(101, 101, 1.0, [0.0, 0.0])
    }

    fn area(solid: &Quadric, w: f32) -> f32 {
        let mut picture = vec![0.0; 101 * 101];
        solid.paint(&mut picture, &grid(), w, 1.0);
        picture.iter().sum()
    }

    fn volume_by_thickness(solid: &Quadric) -> f32 {
        let mut picture = vec![0.0; 101 * 101];
        solid.add_thickness(&mut picture, &grid(), 1.0);
        picture.iter().sum()
    }

    #[track_caller]
    fn assert_near(actual: f32, expected: f32) {
        assert!(
            (actual - expected).abs() <= expected.abs() * 0.02 + 0.01,
            "{actual}, expected {expected}"
        );
    }

    #[test]
    fn a_cut_has_the_area_of_its_ellipse() {
        let solid = Quadric::ellipsoid([3.0, -5.0, 0.0], [30.0, 20.0, 10.0]);
        assert_near(area(&solid, 0.0), std::f32::consts::PI * 600.0);
        assert_near(area(&solid, 6.0), std::f32::consts::PI * 600.0 * 0.64);
        assert_eq!(area(&solid, 10.5), 0.0);
    }

    #[test]
    fn turning_keeps_the_area_and_the_volume() {
        let solid = Quadric::ellipsoid([0.0; 3], [30.0, 20.0, 10.0]);
        assert_near(
            area(&solid.turned(2, 33.0), 0.0),
            std::f32::consts::PI * 600.0,
        );
        let volume = 4.0 / 3.0 * std::f32::consts::PI * 6000.0;
        for (axis, degrees) in [(0, 0.0), (0, 25.0), (1, 70.0), (2, 45.0)] {
            assert_near(volume_by_thickness(&solid.turned(axis, degrees)), volume);
        }
    }

    #[test]
    fn the_same_volume_is_seen_from_every_side() {
        let solid = Quadric::ellipsoid([4.0, 2.0, -3.0], [30.0, 20.0, 10.0])
            .turned(0, 20.0)
            .turned(2, 50.0);
        let volume = 4.0 / 3.0 * std::f32::consts::PI * 6000.0;
        for view in [View::Axial, View::Coronal, View::Sagittal] {
            assert_near(volume_by_thickness(&solid.seen(view)), volume);
        }
    }

    #[test]
    fn a_cylinder_ends_at_its_slab_from_every_side() {
        let solid = Quadric::cylinder([0.0; 3], [10.0, 20.0], 15.0);
        assert_near(area(&solid, 14.0), std::f32::consts::PI * 200.0);
        assert_eq!(area(&solid, 16.0), 0.0);
        for view in [View::Axial, View::Coronal, View::Sagittal] {
            let volume = volume_by_thickness(&solid.seen(view));
            assert!(
                (volume / (std::f32::consts::PI * 200.0 * 30.0) - 1.0).abs() < 0.05,
                "{view:?} {volume}"
            );
        }
    }

    #[test]
    fn pixels_at_an_edge_are_mixtures() {
        let mut line = [0.0; 4];
        paint_span(&mut line, 0.25, 2.0, 1.0);
        assert_eq!(line, [0.25, 1.0, 0.5, 0.0]);
        let mut line = [0.0; 2];
        paint_span(&mut line, -8.0, 9.0, 3.0);
        assert_eq!(line, [3.0, 3.0]);
    }
}
