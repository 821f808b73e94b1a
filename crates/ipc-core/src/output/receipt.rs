//! What was written: a [`Receipt`] for each record batch, [`Stats`] for the whole.

/// Where a record batch stands in the output, and how large it is.
///
/// Offsets and lengths are in bytes. In a file they are those of the footer's block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// How many record batches stand before this one.
    pub sequence: u64,
    /// Where the batch's message starts in the output.
    pub offset: u64,
    /// The length of its metadata, with prefix and padding.
    pub metadata_length: u64,
    /// The length of its body as written, with padding.
    pub body_length: u64,
    /// The length of its body before compression, with padding.
    pub raw_body_length: u64,
}

/// What has been accepted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Messages of any kind, the schema among them.
    pub messages: u64,
    /// Record batches.
    pub record_batches: u64,
    /// Rows in them.
    pub rows: u64,
    /// Dictionary batches of any kind.
    pub dictionary_batches: u64,
    /// Dictionary batches that extended a dictionary.
    pub deltas: u64,
    /// Dictionary batches that replaced a dictionary.
    pub replacements: u64,
    /// Values of batches' dictionaries that were left out of unified ones, since no key used them. Counted whenever an
    /// encoder meets a dictionary that it has not met lately, with the first batch that it then has accepted.
    pub unused_values: u64,
    /// Bytes of bodies before compression, with padding.
    pub raw_bytes: u64,
    /// Bytes of the output, metadata and framing included; the footer only once the stream is closed.
    pub written_bytes: u64,
}
