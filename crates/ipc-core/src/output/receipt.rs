//! What was written: a [`Receipt`] for each record batch, and [`Stats`] for the output.

/// The position and size of a record batch in the output.
///
/// Offsets and lengths are in bytes. In a file they are those of the footer's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The number of record batches before this one.
    pub sequence: u64,
    /// The offset of the batch's message in the output.
    pub offset: u64,
    /// The length of its metadata, with prefix and padding.
    pub metadata_length: u64,
    /// The length of its body as written, with padding.
    pub body_length: u64,
    /// The length of its body before compression, with padding.
    pub raw_body_length: u64,
}

/// Counts of what has been accepted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages of any kind, including the schema.
    pub messages: u64,
    /// Record batches.
    pub record_batches: u64,
    /// Rows in record batches.
    pub rows: u64,
    /// Dictionary batches of any kind.
    pub dictionary_batches: u64,
    /// Dictionary batches that extended a dictionary.
    pub deltas: u64,
    /// Dictionary batches that replaced a dictionary.
    pub replacements: u64,
    /// Values of batches' dictionaries that were left out of unified ones because no key used them. Counted when an
    /// encoder gets a dictionary that is not among the last ones it remembers, with the first batch accepted after
    /// that.
    pub unused_values: u64,
    /// Bytes of bodies before compression, with padding.
    pub raw_bytes: u64,
    /// Bytes of the output, including metadata and framing; the footer only after the close.
    pub written_bytes: u64,
}
