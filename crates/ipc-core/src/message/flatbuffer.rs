//! Tables and vectors of flatbuffers, written by hand.
//!
//! Offsets in a flatbuffer point forward, to what follows them. The one from a table to its vtable points back. Numbers
//! are little-endian and aligned to their size, counted from the start of the buffer. See the [FlatBuffers
//! internals](https://flatbuffers.dev/internals/).

use std::ops::Range;

/// A field of a table.
#[derive(Debug)]
pub(crate) struct TableField {
    /// The position of the field.
    pub(crate) at: usize,
    /// The position of the field's entry in the vtable. The entry is 0 for a field that is left out.
    entry: usize,
    /// The entry of a field that is there: its position in the table.
    in_table: u16,
}

impl TableField {
    /// Stores the field's value.
    #[inline]
    pub(crate) fn set<const N: usize>(&self, bytes: &mut [u8], value: [u8; N]) {
        bytes[self.at..][..N].copy_from_slice(&value);
    }

    /// Says in the vtable that the field is there.
    pub(crate) fn put_in(&self, bytes: &mut [u8]) {
        bytes[self.entry..][..2].copy_from_slice(&self.in_table.to_le_bytes());
    }

    /// Says in the vtable that the field is left out.
    pub(crate) fn leave_out(&self, bytes: &mut [u8]) {
        bytes[self.entry..][..2].fill(0);
    }
}

/// Appends a vtable and its table, and points the offset at `reference` to it. All fields are there, with these sizes
/// in bytes, and 0.
pub(crate) fn table<const N: usize>(bytes: &mut Vec<u8>, reference: usize, sizes: [usize; N]) -> [TableField; N] {
    align(bytes, 4);
    let vtable = bytes.len();
    let start = (vtable + 4 + 2 * N).next_multiple_of(8);
    let mut end = start + 4;
    let mut positions = [0; N];
    for size in [4, 8, 2, 1] {
        for (position, _) in positions.iter_mut().zip(sizes).filter(|(_, s)| *s == size) {
            *position = end.next_multiple_of(size);
            end = *position + size;
        }
    }
    bytes.resize(end, 0);
    put_u16(bytes, vtable, 4 + 2 * N);
    put_u16(bytes, vtable + 2, end - start);
    put_offset(bytes, start, start - vtable);
    put_offset(bytes, reference, start - reference);
    let mut entry = vtable + 2;
    positions.map(|at| {
        entry += 2;
        TableField { at, entry, in_table: put_u16(bytes, entry, at - start) }
    })
}

/// Appends a vector of `count` elements, aligned to 8, and points the offset at `reference` to it. Returns the position
/// of the elements.
pub(crate) fn vector(out: &mut Vec<u8>, reference: usize, count: usize, elements: &[u8]) -> Range<usize> {
    // Everything before ends on a multiple of 8, and so does the header.
    debug_assert_eq!(out.len() % 8, 0, "tables and vectors of structs end on a multiple of 8");
    let length_field = out.len() + VECTOR_HEADER - 4;
    put_offset(out, reference, length_field - reference);
    out.extend_from_slice(&vector_header(count));
    out.extend_from_slice(elements);
    out.len() - elements.len()..out.len()
}

/// Returns the bytes before the elements of a vector that is aligned to 8: four of padding, and the number of elements.
#[inline]
pub(crate) fn vector_header(count: usize) -> [u8; VECTOR_HEADER] {
    let count = u32::try_from(count).expect("the size has been checked");
    (u64::from(count) << 32).to_le_bytes()
}

/// The length of a vector's header.
pub(crate) const VECTOR_HEADER: usize = 8;

/// Appends `count` key-value pairs, and points the offset at `reference` to them. Returns the position of the last
/// value.
pub(crate) fn key_values<'p>(
    out: &mut Vec<u8>,
    reference: usize,
    count: usize,
    pairs: impl Iterator<Item = (&'p str, &'p [u8])>,
) -> Range<usize> {
    align(out, 8);
    vector(out, reference, count, &[]);
    let mut element = out.len();
    out.resize(element + 4 * count, 0);
    let mut last = 0..0;
    for (key, value) in pairs {
        // KeyValue: key, value
        let fields = table(out, element, [4, 4]);
        for (field, string) in fields.iter().zip([key.as_bytes(), value]) {
            align(out, 4);
            let at = out.len();
            put_offset(out, field.at, at - field.at);
            out.extend_from_slice(&[0; 4]);
            put_offset(out, at, string.len());
            last = out.len()..out.len() + string.len();
            out.extend_from_slice(string);
            out.push(0);
        }
        element += 4;
    }
    align(out, 8);
    last
}

/// Pads with zeros up to a multiple of `boundary`.
pub(crate) fn align(bytes: &mut Vec<u8>, boundary: usize) {
    bytes.resize(bytes.len().next_multiple_of(boundary), 0);
}

/// Stores a 32-bit offset or count.
#[inline]
fn put_offset(bytes: &mut [u8], at: usize, offset: usize) {
    let offset = u32::try_from(offset).expect("the size has been checked");
    bytes[at..][..4].copy_from_slice(&offset.to_le_bytes());
}

fn put_u16(bytes: &mut [u8], at: usize, number: usize) -> u16 {
    let number = u16::try_from(number).expect("a table is some 30 bytes long");
    bytes[at..][..2].copy_from_slice(&number.to_le_bytes());
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers of later versions of the format look for fields that are not there yet, by the vtable's length.
    #[test]
    fn a_vtable_says_how_long_it_and_its_table_are() {
        let mut bytes = vec![0; 4];
        let fields = table(&mut bytes, 0, [1, 8, 4]);
        assert_eq!(fields.map(|field| field.at), [32, 24, 20]);
        let vtable = [10u16, 17, 16, 8, 4].map(u16::to_le_bytes);
        let expected = [&16u32.to_le_bytes(), vtable.as_flattened(), &[0; 2], &12u32.to_le_bytes(), &[0; 13]].concat();
        assert_eq!(bytes, expected);
    }
}
