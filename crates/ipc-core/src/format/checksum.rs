//! Checksums of bodies: CRC-32C, as `ipc.crc32c` in a message's custom metadata.
//!
//! An output with [checksums](crate::OptionsBuilder::checksums) announces them in the custom metadata of its schema
//! *message*. Every batch after it must then have one. The schema's own metadata says nothing, because other writers
//! copy it and write no checksums.
//!
//! A checksum reveals accidents, such as the zeros that a loss of power may leave. It does not prove who wrote the
//! bytes.

/// The CRC-32C of a body, from its first byte to its last, padding included.
///
/// ```
/// use ipc_core::format::Checksum;
///
/// let mut checksum = Checksum::default();
/// checksum.update(b"1234");
/// checksum.update(b"56789");
/// assert_eq!(checksum.digits(), *b"e3069283");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checksum(u32);

impl Checksum {
    /// Adds bytes that follow those before.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }

    /// Returns it as in a message: eight lower-case hexadecimal digits, the highest first.
    #[must_use]
    #[inline]
    pub fn digits(self) -> [u8; 8] {
        let mut digits = [0; 8];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0.to_be_bytes()) {
            *pair = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
        }
        digits
    }
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of RFC 3720, appendix B.4.
    #[test]
    fn it_is_the_one_of_iscsi() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        let cases: [(&[u8], &[u8; 8]); 5] = [
            (&[0; 32], b"8a9136aa"),
            (&[0xff; 32], b"62a8ab43"),
            (&ascending, b"46dd794e"),
            (&descending, b"113fdb5c"),
            (&[], b"00000000"),
        ];
        for (bytes, digits) in cases {
            for cut in 0..=bytes.len() {
                let mut checksum = Checksum::default();
                checksum.update(&bytes[..cut]);
                checksum.update(&bytes[cut..]);
                assert_eq!(&checksum.digits(), digits, "{bytes:?}, {cut}");
            }
        }
    }
}
