//! Stored headers, packed.
//!
//! Headers of one series are nearly the same. Each is packed with LZ4 against the first one of
//! its series, which costs a microsecond or two and leaves about a hundred bytes of some
//! thousand (measured on CT, MR and PET of six makers: 3–25 KB become 0.1–1.4 KB; unpacking takes
//! 0.2–1.8 µs).

use bytes::Bytes;

/// Longest header that others are packed against: LZ4 looks back 64 KiB.
pub(crate) const BASE_LENGTH_MAX: usize = 48 << 10;

/// Packs a header, against a base if there is one.
pub(crate) fn pack(header: &[u8], base: Option<&[u8]>) -> Vec<u8> {
    match base {
        Some(base) => lz4_flex::block::compress_with_dict(header, base),
        None => lz4_flex::block::compress(header),
    }
}

/// Unpacks a header of `length` bytes; none when it is damaged.
pub(crate) fn unpack(packed: &[u8], length: u32, base: Option<&[u8]>) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    let header = match base {
        Some(base) => lz4_flex::block::decompress_with_dict(packed, length, base),
        None => lz4_flex::block::decompress(packed, length),
    };
    header
        .ok()
        .filter(|header| header.len() == length)
        .map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn similar() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..BASE_LENGTH_MAX);
        (
            bytes(),
            proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..50),
        )
            .prop_map(|(base, edits)| {
                let mut other = base.clone();
                for (at, value) in edits {
                    if !other.is_empty() {
                        let at = at.index(other.len());
                        other[at] = value;
                    }
                }
                (base, other)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn a_header_survives_packing((base, header) in similar()) {
            let alone = pack(&header, None);
            prop_assert_eq!(&unpack(&alone, header.len() as u32, None).unwrap()[..], &header[..]);
            let packed = pack(&header, Some(&base));
            prop_assert_eq!(&unpack(&packed, header.len() as u32, Some(&base)).unwrap()[..], &header[..]);
        }

        #[test]
        fn damage_is_no_header_of_another_length(
            packed in proptest::collection::vec(any::<u8>(), 0..200), length in 0_u32..10_000,
        ) {
            if let Some(header) = unpack(&packed, length, Some(&[1; 300])) {
                prop_assert_eq!(header.len(), length as usize);
            }
        }
    }

    #[test]
    fn a_header_like_its_base_packs_to_next_to_nothing() {
        let base: Vec<u8> = (0..4000_u32)
            .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let mut header = base.clone();
        header[7000] ^= 1;
        assert!(pack(&header, Some(&base)).len() < 200);
        assert!(pack(&header, None).len() > 10_000);
    }
}
