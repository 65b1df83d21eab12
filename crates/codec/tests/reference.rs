//! Decoding real and synthetic objects to the samples another implementation found in them.
//! The data are not part of the repository; without them there is nothing to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use gantry_codec::decode::decode;
use gantry_codec::{Frame, Limits};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Object, shared_data};

/// A row of the table of expected frames.
struct Expected {
    frame: u32,
    shape: String,
    sha256: String,
    min: f64,
    max: f64,
    is_exact: bool,
}

#[test]
fn frames_decode_to_the_reference_samples() {
    let Some(root) = shared_data() else { return };
    let files = read_table(&root);
    let files: Vec<_> = files.iter().collect();
    let (next, wrong, exact) = (
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
        AtomicUsize::new(0),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((file, rows)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = check_file(&root, file, rows, &exact);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(exact.into_inner() > 1000, "too few frames were compared");
    assert!(
        wrong.is_empty(),
        "{} frames differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn check_file(root: &Path, file: &str, rows: &[Expected], exact: &AtomicUsize) -> Vec<String> {
    let object = match Object::read(&root.join(file)) {
        Ok(object) => object,
        Err(error) => return vec![format!("{file}: {error}")],
    };
    let mut wrong = Vec::new();
    for row in rows {
        let found = object.frame(row.frame).and_then(|stored| {
            decode(&stored, &Limits::default()).map_err(|error| error.to_string())
        });
        let problem = match found {
            Err(error) => Some(error),
            Ok(frame) if row.is_exact => {
                exact.fetch_add(1, Ordering::Relaxed);
                let sha256 = format!("{:x}", Sha256::digest(support::reference_bytes(&frame)));
                (sha256 != row.sha256).then(|| format!("samples differ: {}", summary(&frame, row)))
            }
            Ok(frame) => lossy_problem(&frame, row),
        };
        wrong.extend(problem.map(|problem| format!("{file} frame {}: {problem}", row.frame)));
    }
    wrong
}

/// A lossy frame must have the size, and come near the extremes.
fn lossy_problem(frame: &Frame, row: &Expected) -> Option<String> {
    let image = &frame.image;
    let mut shape = format!("{}x{}", image.rows, image.columns);
    if image.samples_per_pixel > 1 {
        shape += &format!("x{}", image.samples_per_pixel);
    }
    let (min, max) = support::extremes(frame);
    let tolerance = (row.max - row.min).max(16.0) * 0.12;
    let is_near = (min - row.min).abs() <= tolerance && (max - row.max).abs() <= tolerance;
    (shape != row.shape || !is_near).then(|| format!("lossy: {shape}, {}", summary(frame, row)))
}

fn summary(frame: &Frame, row: &Expected) -> String {
    let (min, max) = support::extremes(frame);
    format!(
        "{min} to {max} instead of {} to {}, {:?}",
        row.min, row.max, frame.image
    )
}

fn read_table(root: &Path) -> BTreeMap<String, Vec<Expected>> {
    let table = std::fs::read_to_string(root.join("pixels.csv")).unwrap();
    let mut files = BTreeMap::<String, Vec<Expected>>::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [file, frame, shape, _, sha256, min, max, exact] = fields[..] else {
            panic!("a row of {} fields", fields.len());
        };
        files.entry(file.to_owned()).or_default().push(Expected {
            frame: frame.parse().unwrap(),
            shape: shape.to_owned(),
            sha256: sha256.to_owned(),
            min: min.parse().unwrap(),
            max: max.parse().unwrap(),
            is_exact: exact == "1",
        });
    }
    files
}
