//! RLE Lossless (PS3.5 G).

use crate::frame::Frame;

/// Encodes each byte of each sample as a segment, the most significant first. Runs do not cross
/// rows (G.3.1).
pub(super) fn encode(frame: &Frame) -> Vec<u8> {
    let image = &frame.image;
    let width = (image.bits_allocated as usize).div_ceil(8);
    let samples = image.samples_per_pixel as usize;
    let step = width * samples;
    let row = match image.bits_allocated {
        1 => frame.bytes.len().max(1),
        _ => image.columns as usize,
    };
    let mut offsets = Vec::with_capacity(step);
    let mut body = Vec::with_capacity(frame.bytes.len() / 2);
    let mut plane = Vec::with_capacity(frame.bytes.len() / step);
    for number in 0..step {
        let place = number / width * width + (width - 1 - number % width);
        offsets.push(64 + body.len() as u32);
        plane.clear();
        plane.extend(frame.bytes.iter().skip(place).step_by(step));
        for row in plane.chunks(row) {
            pack(row, &mut body);
        }
        if body.len() % 2 == 1 {
            body.push(0);
        }
    }
    let mut encoded = Vec::with_capacity(64 + body.len());
    encoded.extend((step as u32).to_le_bytes());
    for at in 0..15 {
        encoded.extend(offsets.get(at).copied().unwrap_or(0).to_le_bytes());
    }
    encoded.append(&mut body);
    encoded
}

/// PackBits (G.3.1): runs of three or more are repeated, the rest is literal.
fn pack(row: &[u8], out: &mut Vec<u8>) {
    let mut rest = row;
    let mut literal = 0;
    while literal < rest.len() {
        let run = run_length(&rest[literal..]);
        if run >= 3 || (run == 2 && literal == 0) {
            put_literal(&rest[..literal], out);
            out.push((257 - run) as u8);
            out.push(rest[literal]);
            rest = &rest[literal + run..];
            literal = 0;
        } else {
            literal += run;
        }
    }
    put_literal(rest, out);
}

fn put_literal(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.chunks(128) {
        out.push((part.len() - 1) as u8);
        out.extend_from_slice(part);
    }
}

/// How often the first byte comes, up to 128 times.
fn run_length(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first() else { return 0 };
    bytes
        .iter()
        .take(128)
        .take_while(|byte| *byte == first)
        .count()
}
