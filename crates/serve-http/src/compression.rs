//! Content codings (RFC 9110 §8.4): a layer for answers that are made once, and an encoder for
//! those whose compressed bytes are kept.

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use std::io::{self, Write};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Answers shorter than this are not worth compressing, in bytes.
const COMPRESSED_FROM: u16 = 1024;
/// Levels are low: an answer is made for one reader on a near network.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;
const BROTLI_QUALITY: i32 = 2;
/// Window of Brotli, as a power of two.
const BROTLI_WINDOW_BITS: i32 = 20;
/// Bytes that encoders are fed with at a time.
const BLOCK_BYTES: usize = 64 << 10;

type IsText = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses answers that are text and have no content coding yet.
pub fn layer() -> CompressionLayer<And<SizeAbove, IsText>> {
    let is_text: IsText = |_, _, headers, _| is_compressible(headers);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(COMPRESSED_FROM).and(is_text))
}

/// Text is compressed; pictures and DICOM objects are dense already. Pages are left alone: what
/// they may hold of a session must not show in their length (BREACH).
fn is_compressible(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_text = (content_type.starts_with("text/") && !content_type.starts_with("text/html"))
        || content_type.starts_with("multipart/related; type=\"application/dicom+xml\"");
    let essence = content_type.split(';').next().unwrap_or_default();
    is_text
        || matches!(
            essence,
            "application/dicom+json"
                | "application/json"
                | "application/problem+json"
                | "application/vnd.sun.wadl+xml"
                | "application/dicom+xml"
                | "image/svg+xml"
        )
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// As it is.
    Identity,
}

impl Coding {
    /// In the order of preference: the least work for the same weight first.
    const ALL: [Self; 4] = [Self::Zstd, Self::Gzip, Self::Brotli, Self::Identity];

    /// The name in Accept-Encoding and Content-Encoding.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Identity => "identity",
        }
    }

    /// The coding that the request's Accept-Encoding likes best (RFC 9110 §12.5.3). Whoever
    /// excludes them all gets the plain bytes.
    pub fn negotiate(headers: &HeaderMap) -> Self {
        Self::negotiate_one_of(headers, &Self::ALL)
    }

    /// As [`Self::negotiate`], of these codings; plain bytes are always there.
    pub fn negotiate_one_of(headers: &HeaderMap, codings: &[Self]) -> Self {
        let entries: Vec<(String, u16)> = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(entry)
            .collect();
        let weight_of = |name: &str| {
            let found = entries.iter().find(|(entry, _)| entry == name);
            found.map(|(_, weight)| *weight)
        };
        let any = weight_of("*");
        let weight = |coding: Self| match coding {
            // It is taken unless it is excluded, but nobody who names others wants it more.
            Self::Identity => weight_of("identity").or(any).unwrap_or(1),
            Self::Gzip => weight_of("gzip")
                .or(weight_of("x-gzip"))
                .or(any)
                .unwrap_or(0),
            _ => weight_of(coding.name()).or(any).unwrap_or(0),
        };
        let mut best = (Self::Identity, 0);
        for &coding in codings {
            let weight = weight(coding);
            if weight > best.1 {
                best = (coding, weight);
            }
        }
        best.0
    }
}

/// Name and weight in thousandths of one entry.
fn entry(text: &str) -> Option<(String, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = parts
        .filter_map(|part| part.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
        .map_or(1000, |(_, weight)| crate::accept::quality(weight));
    Some((name.to_ascii_lowercase(), weight))
}

/// Compresses one body. The same bytes give the same output however they are cut, so that the
/// output can have a strong entity tag.
pub struct Encoder {
    /// What waits until a block of it is full: encoders look at where their input is cut.
    block: Vec<u8>,
    codec: Codec,
}

enum Codec {
    Identity,
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    /// An encoder of one body.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(coding: Coding) -> io::Result<Self> {
        let sink = Vec::new();
        let codec = match coding {
            Coding::Identity => Codec::Identity,
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Codec::Gzip(Box::new(flate2::write::GzEncoder::new(sink, level)))
            }
            Coding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(sink, ZSTD_LEVEL)?;
                Codec::Zstd(Box::new(encoder))
            }
            Coding::Brotli => {
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW_BITS,
                    ..brotli::enc::BrotliEncoderParams::default()
                };
                let encoder = brotli::CompressorWriter::with_params(sink, BLOCK_BYTES, &parameters);
                Codec::Brotli(Box::new(encoder))
            }
        };
        Ok(Self {
            block: Vec::new(),
            codec,
        })
    }

    /// Whether what goes in comes out at once as it is.
    pub fn is_identity(&self) -> bool {
        matches!(self.codec, Codec::Identity)
    }

    /// Takes the next bytes, and appends to `out` what is ready.
    ///
    /// # Errors
    /// When the encoder fails; it is of no use then.
    pub fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if let Codec::Identity = self.codec {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut rest = bytes;
        while self.block.len() + rest.len() >= BLOCK_BYTES {
            let (first, after) = rest.split_at(BLOCK_BYTES - self.block.len());
            self.block.extend_from_slice(first);
            self.codec.write(&self.block, out)?;
            self.block.clear();
            rest = after;
        }
        self.block.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.codec.write(&self.block, out)?;
        match self.codec {
            Codec::Identity => {}
            Codec::Gzip(encoder) => out.append(&mut encoder.finish()?),
            Codec::Zstd(encoder) => out.append(&mut encoder.finish()?),
            Codec::Brotli(encoder) => out.append(&mut encoder.into_inner()),
        }
        Ok(())
    }
}

impl Codec {
    fn write(&mut self, block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Identity => out.extend_from_slice(block),
            Self::Gzip(encoder) => {
                encoder.write_all(block)?;
                out.append(encoder.get_mut());
            }
            Self::Zstd(encoder) => {
                encoder.write_all(block)?;
                out.append(encoder.get_mut());
            }
            Self::Brotli(encoder) => {
                encoder.write_all(block)?;
                out.append(encoder.get_mut());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::io::Read;

    #[track_caller]
    fn check(accept: &str, expect: Coding) {
        let value = HeaderValue::from_str(accept).unwrap();
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value)]);
        assert_eq!(Coding::negotiate(&headers), expect, "{accept}");
    }

    #[test]
    fn the_best_liked_coding_is_taken() {
        assert_eq!(Coding::negotiate(&HeaderMap::new()), Coding::Identity);
        check("gzip, deflate", Coding::Gzip);
        check("gzip, deflate, br, zstd", Coding::Zstd);
        check("gzip;q=0.5, br", Coding::Brotli);
        check("x-gzip", Coding::Gzip);
        check("GZIP;Q=0.1", Coding::Gzip);
        check("*", Coding::Zstd);
        check("zstd;q=0, *", Coding::Gzip);
        check("identity", Coding::Identity);
        check("identity;q=1, gzip;q=0.5", Coding::Identity);
        check("gzip;q=0", Coding::Identity);
        check("*;q=0", Coding::Identity);
        check("", Coding::Identity);
        check("deflate, ,;,", Coding::Identity);
    }

    fn encode(coding: Coding, pieces: &[&[u8]]) -> Vec<u8> {
        let mut encoder = Encoder::new(coding).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            encoder.write(piece, &mut out).unwrap();
        }
        encoder.finish(&mut out).unwrap();
        out
    }

    fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        match coding {
            Coding::Identity => decoded.extend_from_slice(bytes),
            Coding::Gzip => {
                let mut decoder = flate2::read::GzDecoder::new(bytes);
                decoder.read_to_end(&mut decoded).unwrap();
            }
            Coding::Zstd => decoded = zstd::stream::decode_all(bytes).unwrap(),
            Coding::Brotli => {
                let mut decoder = brotli::Decompressor::new(bytes, 4096);
                decoder.read_to_end(&mut decoded).unwrap();
            }
        }
        decoded
    }

    #[test]
    fn the_same_bytes_are_encoded_alike_however_they_are_cut() {
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|number| (number % 977 * number % 31).to_string().into_bytes())
            .collect();
        for coding in Coding::ALL {
            let whole = encode(coding, &[&text]);
            assert!(decode(coding, &whole) == text, "{coding:?}");
            let cut: Vec<&[u8]> = text.chunks(7001).collect();
            assert!(encode(coding, &cut) == whole, "{coding:?}");
            assert!(coding == Coding::Identity || whole.len() < text.len() / 2);
        }
    }

    #[test]
    fn pictures_are_left_alone() {
        let of = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            is_compressible(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        assert!(of("application/dicom+json"));
        assert!(of("text/css; charset=utf-8"));
        assert!(of(
            "multipart/related; type=\"application/dicom+xml\"; boundary=x"
        ));
        assert!(!of("image/jpeg"));
        assert!(!of(
            "multipart/related; type=\"application/dicom\"; boundary=x"
        ));
    }
}
