//! Rewrites keys of one or two bytes, two bytes at a time.
//!
//! Two bytes hold two keys or one, and index a table of the ids that they become. No index is out of bounds, and
//! unknown keys are found by a bit, many at a time: most of what a key costs otherwise is to look at its bound and its
//! id. The table takes 128 KiB, and as long to build as to rewrite that many keys. So it is for maps whose ids have not
//! changed for a while.

use arrow_buffer::ArrowNativeType;

/// A table from any two bytes of keys to two bytes of ids.
#[derive(Debug)]
pub(super) struct KeyPairs {
    ids: Box<[[u8; 2]; 1 << 16]>,
    /// The bits that are set in an entry of an unknown key, and in no other.
    unknown: u16,
}

/// The number of bytes that are written before they are checked, so that most of them have reached the cache by then.
const BLOCK: usize = 2048;

impl KeyPairs {
    /// Builds the table for keys of type `T`, which become keys of the same width. `ids` has the id of each key, below
    /// `required`, or a number that no key of this width has. Returns `None` if `T` has more than two bytes, or if ids
    /// need the highest bit, as those of unsigned keys may.
    pub(super) fn new<T: ArrowNativeType>(ids: &[u32], required: usize) -> Option<Self> {
        let (width, unknown) = match size_of::<T>() {
            1 => (1, u16::from_ne_bytes([0x80; 2])),
            2 => (2, 0x8000),
            _ => return None,
        };
        let half = 1 << (8 * width - 1);
        if required > half {
            return None;
        }
        // The other half of signed keys is negative, and stands for nothing, however many values there are.
        let is_signed = T::from_usize(half).is_none();
        let ids = if is_signed { &ids[..ids.len().min(half)] } else { ids };
        let table = vec![[u8::MAX; 2]; 1 << 16].into_boxed_slice();
        let mut table: Box<[[u8; 2]; 1 << 16]> = table.try_into().ok()?;
        if width == 2 {
            for (key, id) in (0..=u16::MAX).zip(ids) {
                table[usize::from(key)] = u16::try_from(*id).unwrap_or(u16::MAX).to_ne_bytes();
            }
        } else {
            let ids = || (0..=u8::MAX).zip(ids.iter().map(|id| u8::try_from(*id).unwrap_or(u8::MAX)));
            for (first, first_id) in ids() {
                for (second, second_id) in ids() {
                    table[index([first, second])] = [first_id, second_id];
                }
            }
        }
        Some(Self { ids: table, unknown })
    }

    /// Writes the ids of `keys`. Returns whether all keys are known; if not, `out` holds garbage.
    pub(super) fn rewrite(&self, out: &mut [u8], keys: &[u8]) -> bool {
        out.chunks_mut(BLOCK).zip(keys.chunks(BLOCK)).all(|(out, keys)| {
            let (out, last_out) = out.as_chunks_mut();
            let (keys, last_key) = keys.as_chunks();
            for (out, keys) in out.iter_mut().zip(keys) {
                *out = self.ids[index(*keys)];
            }
            let mut all = out.iter().fold(0, |all, ids| all | u16::from_ne_bytes(*ids));
            if let ([out], [key]) = (last_out, last_key) {
                let ids = self.ids[index([*key; 2])];
                all |= u16::from_ne_bytes(ids);
                [*out, _] = ids;
            }
            all & self.unknown == 0
        })
    }
}

fn index(keys: [u8; 2]) -> usize {
    usize::from(u16::from_ne_bytes(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has no id in the maps of keys.
    const NONE: u32 = u32::MAX - 1;

    /// Lengths around those of blocks, in bytes.
    const LENGTHS: [usize; 8] = [0, 1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3];

    /// Ids, by key: all of them that have one bit less than keys, but for two.
    fn ids(width: usize) -> (Vec<u32>, usize) {
        let top = 1 << (8 * width - 1);
        let mut ids: Vec<u32> = (0..top).rev().collect();
        (ids[5], ids[100]) = (NONE, NONE);
        (ids, top as usize)
    }

    #[test]
    fn each_key_becomes_its_id_in_either_byte_and_behind_all_others() {
        let (ids, top) = ids(1);
        let table = KeyPairs::new::<i8>(&ids, top).unwrap();
        for length in LENGTHS {
            let keys: Vec<u8> =
                (0..128).filter(|key| ![5, 100].contains(key)).cycle().skip(length).take(length).collect();
            let mut out = vec![0xEE; length];
            assert!(table.rewrite(&mut out, &keys), "{length}");
            assert!(out.iter().zip(&keys).all(|(id, key)| *id == 127 - key), "{length}");
        }
    }

    #[test]
    fn each_key_of_two_bytes_becomes_its_id() {
        let (ids, top) = ids(2);
        let table = KeyPairs::new::<i16>(&ids, top).unwrap();
        let keys: Vec<i16> = (0..=i16::MAX).filter(|key| ![5, 100].contains(key)).collect();
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_ne_bytes()).collect();
        let mut out = vec![0xEE; bytes.len()];
        assert!(table.rewrite(&mut out, &bytes));
        let found = out.as_chunks().0.iter().map(|id| i16::from_ne_bytes(*id));
        assert!(found.eq(keys.iter().map(|key| i16::MAX - key)));
    }

    #[test]
    fn a_key_without_an_id_is_noticed_wherever_it_stands() {
        for (width, length) in LENGTHS.into_iter().flat_map(|length| [(1, length), (2, length / 2)]) {
            let (ids, top) = ids(width);
            let ids = &ids[..top - 1];
            let table =
                if width == 1 { KeyPairs::new::<i8>(ids, top) } else { KeyPairs::new::<i16>(ids, top) }.unwrap();
            let (mut keys, mut out) = (vec![0; length * width], vec![0; length * width]);
            assert!(table.rewrite(&mut out, &keys));
            for row in (0..length).step_by(1 + length / 64).chain(length.checked_sub(1)) {
                // Two that are not known, one beyond the dictionary, and one that is negative.
                for key in [5, 100, i16::try_from(top - 1).unwrap(), -1] {
                    let bytes = if width == 1 { key.to_le_bytes() } else { key.to_ne_bytes() };
                    keys[row * width..][..width].copy_from_slice(&bytes[..width]);
                    assert!(!table.rewrite(&mut out, &keys), "key {key} of {width} bytes in row {row} of {length}");
                }
                keys[row * width..][..width].fill(0);
            }
            keys.fill(0xFF);
            assert!(length == 0 || !table.rewrite(&mut out, &keys), "all {length} of {width} bytes");
        }
    }

    #[test]
    fn negative_keys_have_no_ids_and_high_ones_do() {
        let byte = |table: Option<KeyPairs>| table.unwrap().rewrite(&mut [0; 2], &[0, 200]);
        assert!(!byte(KeyPairs::new::<i8>(&[3; 256], 4)) && byte(KeyPairs::new::<u8>(&[3; 256], 4)));
        let two = |table: Option<KeyPairs>| table.unwrap().rewrite(&mut [0; 2], &40_000_u16.to_ne_bytes());
        assert!(!two(KeyPairs::new::<i16>(&[3; 50_000], 4)) && two(KeyPairs::new::<u16>(&[3; 50_000], 4)));
    }

    #[test]
    fn ids_that_need_their_highest_bit_and_wider_keys_have_no_table() {
        assert!(KeyPairs::new::<u8>(&[127], 128).is_some() && KeyPairs::new::<u8>(&[128], 129).is_none());
        assert!(KeyPairs::new::<u16>(&[0x7FFF], 0x8000).is_some() && KeyPairs::new::<u16>(&[0x8000], 0x8001).is_none());
        assert!(KeyPairs::new::<i32>(&[0], 1).is_none() && KeyPairs::new::<u64>(&[0], 1).is_none());
    }
}
