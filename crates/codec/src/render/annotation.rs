//! Text burnt into a picture (PS3.18 8.3.5.1.1).

use super::picture::Picture;
use font8x8::{
    BASIC_FONTS, BLOCK_FONTS, BOX_FONTS, GREEK_FONTS, HIRAGANA_FONTS, LATIN_FONTS, UnicodeFonts,
};

/// Side of a character cell.
const CELL: i64 = 8;
/// The most lines; more do not fit any picture.
const MAX_LINES: usize = 64;

/// Writes lines into the upper left corner, white with a black edge, larger on larger pictures.
/// Characters the font lacks become question marks.
pub(super) fn burn(lines: &[String], picture: &mut Picture) {
    let scale = i64::from(picture.width.min(picture.height) / 320).max(1);
    let margin = 2 * scale;
    for (number, line) in lines.iter().take(MAX_LINES).enumerate() {
        let top = margin + number as i64 * (CELL + 2) * scale;
        write(line, (margin, top), scale, [255; 3], picture);
    }
}

/// Writes a line with its upper left corner there, with a black edge; each dot of the font is
/// `scale` wide.
pub(super) fn write(
    line: &str,
    (left, top): (i64, i64),
    scale: i64,
    colour: [u8; 3],
    picture: &mut Picture,
) {
    if !(-CELL * scale..i64::from(picture.height)).contains(&top) {
        return;
    }
    for (place, character) in line.chars().enumerate() {
        let left = left + place as i64 * CELL * scale;
        if left >= i64::from(picture.width) {
            break;
        }
        if left < -CELL * scale {
            continue;
        }
        let glyph = glyph(character);
        for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
            draw(&glyph, left + dx, top + dy, scale, [0; 3], picture);
        }
        draw(&glyph, left, top, scale, colour, picture);
    }
}

fn glyph(character: char) -> [u8; 8] {
    BASIC_FONTS
        .get(character)
        .or_else(|| LATIN_FONTS.get(character))
        .or_else(|| GREEK_FONTS.get(character))
        .or_else(|| HIRAGANA_FONTS.get(character))
        .or_else(|| BOX_FONTS.get(character))
        .or_else(|| BLOCK_FONTS.get(character))
        .or_else(|| BASIC_FONTS.get('?'))
        .unwrap_or([0; 8])
}

fn draw(glyph: &[u8; 8], left: i64, top: i64, scale: i64, colour: [u8; 3], picture: &mut Picture) {
    for (row, bits) in glyph.iter().enumerate() {
        for column in (0..CELL).filter(|column| bits >> column & 1 == 1) {
            for y in 0..scale {
                for x in 0..scale {
                    picture.paint(
                        left + column * scale + x,
                        top + row as i64 * scale + y,
                        colour,
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::Pixels;
    use super::*;

    fn grey() -> Picture {
        Picture {
            width: 60,
            height: 30,
            pixels: Pixels::Grey(vec![100; 1800]),
        }
    }

    #[test]
    fn text_is_white_with_a_black_edge() {
        let mut picture = grey();
        burn(&["A".into()], &mut picture);
        assert!(picture.bytes().contains(&255) && picture.bytes().contains(&0));
        assert_eq!(picture.bytes()[1799], 100);
    }

    #[test]
    fn any_text_fits() {
        let mut picture = grey();
        burn(&vec!["Ünïcødé 漢字 ".repeat(50); 500], &mut picture);
        assert_eq!(picture.bytes().len(), 1800);
    }
}
