//! RLE Lossless (PS3.5 G): one segment for each byte of a sample, most significant first.

/// A frame of 16-bit samples.
pub(crate) fn encode_words(samples: &[u16], columns: usize) -> Vec<u8> {
    let plane = |shift: u32| {
        samples
            .iter()
            .map(|sample| (sample >> shift) as u8)
            .collect::<Vec<u8>>()
    };
    frame(&[plane(8), plane(0)], columns)
}

/// A frame of 8-bit RGB pixels, colour by pixel.
pub(crate) fn encode_colour(pixels: &[u8], columns: usize) -> Vec<u8> {
    let plane = |channel: usize| {
        pixels
            .iter()
            .skip(channel)
            .step_by(3)
            .copied()
            .collect::<Vec<u8>>()
    };
    frame(&[plane(0), plane(1), plane(2)], columns)
}

/// The header of sixteen 32-bit numbers, then the segments, each even in length (PS3.5 G.4).
fn frame(planes: &[Vec<u8>], columns: usize) -> Vec<u8> {
    let mut header = [0_u32; 16];
    header[0] = planes.len() as u32;
    let mut segments = Vec::new();
    for (index, plane) in planes.iter().enumerate() {
        header[index + 1] = 64 + segments.len() as u32;
        for row in plane.chunks(columns) {
            pack(row, &mut segments);
        }
        if segments.len() % 2 == 1 {
            segments.push(0);
        }
    }
    let mut bytes: Vec<u8> = header
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    bytes.extend(segments);
    bytes
}

/// PackBits over one row; runs do not go on into the next (PS3.5 G.3.1).
fn pack(row: &[u8], out: &mut Vec<u8>) {
    let mut rest = row;
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .take(128)
            .take_while(|byte| *byte == first)
            .count();
        if run >= 3 || run == rest.len() {
            out.extend([(1 - run as i16) as u8, *first]);
            rest = &rest[run..];
            continue;
        }
        let literal = literal_length(rest);
        out.push(literal as u8 - 1);
        out.extend_from_slice(&rest[..literal]);
        rest = &rest[literal..];
    }
}

/// How many bytes come before the next run worth packing, at most 128.
fn literal_length(bytes: &[u8]) -> usize {
    let run = bytes
        .windows(3)
        .take(128)
        .position(|three| three[0] == three[1] && three[1] == three[2]);
    run.unwrap_or(bytes.len().min(128)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(mut bytes: &[u8], length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < length {
            let control = bytes[0] as i8;
            if control >= 0 {
                let count = control as usize + 1;
                out.extend_from_slice(&bytes[1..=count]);
                bytes = &bytes[count + 1..];
            } else {
                out.extend(std::iter::repeat_n(
                    bytes[1],
                    (1 - isize::from(control)) as usize,
                ));
                bytes = &bytes[2..];
            }
        }
        out
    }

    #[test]
    fn rows_come_back() {
        let noise: Vec<u8> = (0..700_u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for row in [
            vec![7; 300],
            noise,
            vec![1, 1, 1, 2, 3, 3, 3, 3, 4],
            vec![5],
            vec![1, 1],
            vec![1, 2, 2],
        ] {
            let mut packed = Vec::new();
            pack(&row, &mut packed);
            assert_eq!(unpack(&packed, row.len()), row);
        }
    }

    #[test]
    fn the_header_points_at_each_segment() {
        let frame = encode_words(&[0x0102; 64], 8);
        let at = |index: usize| {
            u32::from_le_bytes(frame[index * 4..index * 4 + 4].try_into().unwrap()) as usize
        };
        assert_eq!((at(0), at(1)), (2, 64));
        assert_eq!(unpack(&frame[at(1)..], 64), vec![1; 64]);
        assert_eq!(unpack(&frame[at(2)..], 64), vec![2; 64]);
    }
}
