//! Recognises other formats by their first bytes.
//!
//! Users pass compressed files, tables in other formats, and text. Naming the format helps more than "not Arrow".

use crate::error::Fault;
use crate::words::words;

/// Returns a fault that names the format of `first`, if it is known.
pub(crate) fn other(first: &[u8]) -> Option<Fault> {
    let of = |what, advice| Fault::Other { what, advice };
    let known = KNOWN.iter().find(|(start, ..)| first.starts_with(start));
    known.map(|(_, what, advice)| of(what, advice)).or_else(|| {
        let text = words(first)?;
        let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Some(match text.chars().next()? {
            '{' | '[' => of("JSON text", ""),
            '<' => of("a text in HTML or XML", ""),
            _ if line.iter().any(|byte| b",;\t".contains(byte)) => of("text, most likely CSV", ""),
            _ => of("text", ""),
        })
    })
}

const DECOMPRESS: &str = "; decompress it first";

/// The first bytes of known formats, their names, and advice.
const KNOWN: [(&[u8], &str, &str); 15] = [
    (b"\x1f\x8b", "a gzip file", DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", DECOMPRESS),
    (b"\x04\x22\x4d\x18", "an LZ4 file", DECOMPRESS),
    (b"\xfd7zXZ\0", "an xz file", DECOMPRESS),
    (b"BZh", "a bzip2 file", DECOMPRESS),
    (b"\xff\x06\0\0sNaPpY", "a Snappy file", DECOMPRESS),
    (b"PK\x03\x04", "a ZIP archive", "; extract it first"),
    (b"PAR1", "a Parquet file", ""),
    (b"PARE", "an encrypted Parquet file", ""),
    (b"FEA1", "a Feather file of version 1", "; pyarrow.feather reads it, and writes version 2, which is one"),
    (b"Obj\x01", "an Avro file", ""),
    (b"ORC", "an ORC file", ""),
    (b"\x89HDF", "an HDF5 file", ""),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"%PDF", "a PDF document", ""),
];
