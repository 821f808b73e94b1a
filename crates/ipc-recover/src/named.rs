//! Names what an input is that is neither a file nor a stream, by its first bytes.
//!
//! People hand over what they have: compressed files, tables in other formats, text. A name helps more than "not Arrow".

use crate::error::Fault;
use crate::words::words;

/// What `first` is the start of, if that is known, and is no Arrow.
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

/// How formats start, what they are called, and what to do with them.
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
