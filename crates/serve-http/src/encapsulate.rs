//! Pixel data that come as a bulk value: which transfer syntax they are in, and how they are put
//! into a data set (PS3.18 table 10.5.2-1, PS3.5 A.4).

use crate::media_type::MediaType;
use bytes::{Bytes, BytesMut};
use gantry_dicom::data_set::Fragments;
use gantry_dicom::{transfer_syntax, uids};

/// Pixel data of an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Raw cells.
    Native(Bytes),
    /// Frames, one fragment each.
    Encapsulated {
        /// The frames.
        fragments: Fragments,
        /// What they are in.
        transfer_syntax_uid: &'static str,
    },
}

impl Pixels {
    /// The transfer syntax that the data set is then in.
    pub fn transfer_syntax_uid(&self) -> &'static str {
        match self {
            Self::Native(_) => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Self::Encapsulated {
                transfer_syntax_uid,
                ..
            } => transfer_syntax_uid,
        }
    }
}

/// Makes pixel data of the parts that came for it, one for each frame or one for all. `declared`
/// is the Transfer Syntax UID (0002,0010) of the metadata. Nothing when the media type is none
/// that can be kept.
pub fn pixels(
    media_type: Option<&MediaType>,
    pieces: &[Bytes],
    declared: Option<&str>,
) -> Option<Pixels> {
    let named = media_type.and_then(|media_type| media_type.parameter("transfer-syntax"));
    let essence = media_type.map_or("application/octet-stream", MediaType::essence);
    let syntax = match named {
        Some(uid) => transfer_syntax::lookup(uid)?,
        None if essence == "application/octet-stream" => {
            let uid = declared.unwrap_or(uids::EXPLICIT_VR_LITTLE_ENDIAN);
            transfer_syntax::lookup(uid)?
        }
        None => {
            let declared = declared
                .and_then(transfer_syntax::lookup)
                .filter(|syntax| syntax.media_type() == Some(essence));
            match declared {
                Some(syntax) => syntax,
                None => transfer_syntax::lookup(detect(essence, pieces.first()?)?)?,
            }
        }
    };
    if syntax.is_encapsulated() {
        let fragments = encapsulated(pieces)?;
        return Some(Pixels::Encapsulated {
            fragments,
            transfer_syntax_uid: syntax.uid.as_ref(),
        });
    }
    Some(Pixels::Native(match pieces {
        [whole] => whole.clone(),
        pieces => pieces.concat().into(),
    }))
}

/// One fragment a frame, each of even length, with an offset table when there are several.
fn encapsulated(pieces: &[Bytes]) -> Option<Fragments> {
    let mut fragments = Vec::with_capacity(pieces.len());
    let mut offset_table = BytesMut::new();
    let mut offset = 0u32;
    for piece in pieces {
        offset_table.extend_from_slice(&offset.to_le_bytes());
        let mut padded = piece.clone();
        if piece.len() % 2 == 1 {
            let mut longer = piece.to_vec();
            longer.push(0);
            padded = longer.into();
        }
        offset = offset
            .checked_add(8)?
            .checked_add(u32::try_from(padded.len()).ok()?)?;
        fragments.push(padded);
    }
    let offset_table = if pieces.len() > 1 {
        offset_table.freeze()
    } else {
        Bytes::new()
    };
    Some(Fragments {
        offset_table,
        fragments,
    })
}

/// The transfer syntax of a coded image, as its media type and its markers tell.
fn detect(essence: &str, image: &[u8]) -> Option<&'static str> {
    Some(match essence {
        "image/jpeg" => jpeg_process(image)?,
        "image/jls" | "image/x-jls" => jpeg_ls_process(image)?,
        "image/jp2" => uids::JPEG2000,
        "image/jpx" => uids::JPEG2000MC,
        "image/jphc" => uids::HTJ2K,
        "image/jxl" => uids::JPEGXL,
        "image/dicom-rle" | "image/x-dicom-rle" => uids::RLE_LOSSLESS,
        "video/mpeg" | "video/mpeg2" => uids::MPEG2MPML,
        "video/mp4" => uids::MPEG4HP41,
        _ => return None,
    })
}

/// Walks the markers to the frame header (ISO/IEC 10918-1 B.1.1.3).
fn jpeg_process(image: &[u8]) -> Option<&'static str> {
    let mut rest = image.strip_prefix(&[0xFF, 0xD8])?;
    let mut is_first_order = None;
    let mut is_lossless = false;
    loop {
        let (marker, content, after) = next_segment(rest)?;
        match marker {
            0xC0 => return Some(uids::JPEG_BASELINE8_BIT),
            0xC1 => return Some(uids::JPEG_EXTENDED12_BIT),
            0xC3 => is_lossless = true,
            // The scan header ends with the predictor, and three more values of a byte each.
            0xDA if is_lossless => {
                let predictor = content.get(content.len().checked_sub(3)?)?;
                is_first_order = Some(*predictor == 1);
            }
            0xDA | 0xC2 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return None,
            _ => {}
        }
        match is_first_order {
            Some(true) => return Some(uids::JPEG_LOSSLESS_SV1),
            Some(false) => return Some(uids::JPEG_LOSSLESS),
            None => rest = after,
        }
    }
}

/// NEAR of the scan header tells lossless from near-lossless (ISO/IEC 14495-1 C.2.3).
fn jpeg_ls_process(image: &[u8]) -> Option<&'static str> {
    let mut rest = image.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let (marker, content, after) = next_segment(rest)?;
        if marker == 0xDA {
            let near = content.get(content.len().checked_sub(3)?)?;
            let is_lossless = *near == 0;
            return Some(if is_lossless {
                uids::JPEGLS_LOSSLESS
            } else {
                uids::JPEGLS_NEAR_LOSSLESS
            });
        }
        rest = after;
    }
}

/// Marker, content and what follows of the next marker segment.
fn next_segment(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let bytes = bytes.strip_prefix(&[0xFF])?;
    let fill = bytes.iter().take_while(|&&byte| byte == 0xFF).count();
    let (&marker, rest) = bytes.get(fill..)?.split_first()?;
    let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    Some((marker, rest.get(2..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn media_type(text: &str) -> MediaType {
        MediaType::parse(text).unwrap()
    }

    /// A JPEG with this frame marker and this first value after the scan's components.
    fn jpeg(frame_marker: u8, scan_value: u8) -> Bytes {
        let mut image = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2];
        image.extend_from_slice(&[0xFF, frame_marker, 0, 4, 1, 2]);
        image.extend_from_slice(&[0xFF, 0xDA, 0, 8, 1, 1, 0, scan_value, 0, 0, 9, 9]);
        image.into()
    }

    fn syntax(text: &str, image: Bytes, declared: Option<&str>) -> Option<&'static str> {
        let pixels = pixels(Some(&media_type(text)), &[image], declared)?;
        Some(pixels.transfer_syntax_uid())
    }

    #[test]
    fn markers_tell_the_transfer_syntax_of_jpeg() {
        let detect = |marker, value| syntax("image/jpeg", jpeg(marker, value), None);
        assert_eq!(detect(0xC0, 0), Some(uids::JPEG_BASELINE8_BIT));
        assert_eq!(detect(0xC1, 0), Some(uids::JPEG_EXTENDED12_BIT));
        assert_eq!(detect(0xC3, 1), Some(uids::JPEG_LOSSLESS_SV1));
        assert_eq!(detect(0xC3, 4), Some(uids::JPEG_LOSSLESS));
        assert_eq!(detect(0xC2, 0), None);
        let detect = |near| syntax("image/jls", jpeg(0xF7, near), None);
        assert_eq!(detect(0), Some(uids::JPEGLS_LOSSLESS));
        assert_eq!(detect(2), Some(uids::JPEGLS_NEAR_LOSSLESS));
    }

    #[test]
    fn what_is_said_beats_what_is_found() {
        let image = jpeg(0xC0, 0);
        let named = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.51";
        assert_eq!(
            syntax(named, image.clone(), None),
            Some(uids::JPEG_EXTENDED12_BIT)
        );
        let declared = Some(uids::JPEG_LOSSLESS_SV1);
        assert_eq!(syntax("image/jpeg", image.clone(), declared), declared);
        assert_eq!(
            syntax("application/octet-stream", image.clone(), declared),
            declared
        );
        let native = Some(uids::EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(
            syntax("application/octet-stream", image.clone(), None),
            native
        );
        assert_eq!(syntax("image/gif", image.clone(), None), None);
        assert_eq!(
            syntax("image/jpeg; transfer-syntax=1.2.3", image, None),
            None
        );
    }

    #[test]
    fn frames_are_fragments_of_even_length_with_offsets() {
        let frames = [Bytes::from_static(b"123"), Bytes::from_static(b"4567")];
        let rle = media_type("image/dicom-rle");
        let Some(Pixels::Encapsulated { fragments, .. }) = pixels(Some(&rle), &frames, None) else {
            panic!()
        };
        assert_eq!(fragments.fragments, [&b"123\0"[..], b"4567"]);
        assert_eq!(fragments.offset_table.as_ref(), [0, 0, 0, 0, 12, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn any_image_is_looked_at_without_panic(tail in prop::collection::vec(any::<u8>(), 0..60)) {
            let image = Bytes::from([&[0xFF, 0xD8, 0xFF][..], &tail].concat());
            let _ = syntax("image/jpeg", image.clone(), None);
            let _ = syntax("image/jls", image, None);
        }
    }
}
