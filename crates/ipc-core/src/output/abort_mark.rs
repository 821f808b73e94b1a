//! The mark at the end of a stream that was aborted or dropped: metadata of a record batch of one row, whose body of 8
//! bytes never comes.
//!
//! A stream that ends between two messages looks complete to most readers. The mark makes them fail:
//!
//! - It is built for the stream's schema, so that readers accept the metadata and ask for the body. It names no codec:
//!   a reader that takes other bytes for the body must not take them for a length.
//! - It has one field node too few. If another stream follows, a reader may take its first 8 bytes for the body, but
//!   then fails to build the columns. With all nodes, apache-arrow JS returned a row of garbage and ended without an
//!   error. nanoarrow counts the nodes and refuses the metadata.
//! - Its buffers are one byte long and start at byte 1, so that hardly any fits its array. Those of unions have all 8
//!   bytes, since arrow-rs panics at union offsets that are not aligned.
//! - Its custom metadata has the reason, for readers that know the mark.
//! - A batch without buffers can be read without a body. If the schema has no buffers, the mark is the prefix of a
//!   message whose metadata never comes.

use arrow_schema::{DataType, Schema, UnionMode};

use crate::format::{
    ABORT_MARK_BODY, ABORT_MARK_BUFFER, ABORT_MARK_ROWS, ABORT_MARK_UNION_BUFFER, ABORTED_KEY, MetadataVersion,
    bare_abort_mark,
};
use crate::key_values::Metadata;
use crate::message::metadata::{Draft, Kind, Numbers, Overflow, Template};
use crate::options::Options;
use crate::schema::StreamSchema;
use crate::schema::types::children;

/// The most bytes of a reason that a mark contains.
const REASON_AT_MOST: usize = 4096;

impl StreamSchema {
    /// Builds the abort mark of a stream with this schema, written with `options`. Only the first 4 KiB of `reason` are
    /// kept.
    #[must_use]
    pub fn abort_mark(&self, options: &Options, reason: &str) -> Vec<u8> {
        build(self.schema(), options, reason)
    }
}

/// Builds the mark.
fn build(schema: &Schema, options: &Options, reason: &str) -> Vec<u8> {
    let version = options.metadata_version;
    let bare = || bare_abort_mark(version).to_vec();
    let mut template = Template::new(Kind::RecordBatch, None, options);
    let (mut bytes, mut overflow) = (Vec::new(), Overflow::default());
    let mut draft = template.begin(&mut bytes, &mut overflow);
    let mut has_buffers = false;
    let mut is_first = true;
    for field in schema.fields() {
        has_buffers |= array(&mut draft, &mut is_first, field.data_type(), version);
    }
    if !has_buffers {
        return bare();
    }
    let remaining = draft.remaining();
    let numbers = Numbers { rows: ABORT_MARK_ROWS, body_length: ABORT_MARK_BODY, dictionary: None, checksum: None };
    let metadata = Metadata::from([(ABORTED_KEY, shortened(reason))]);
    match template.finish(&mut bytes, &mut overflow, remaining, &numbers, &metadata) {
        Ok(()) => bytes,
        // Only a schema with so many columns that no batch could be written either.
        Err(_) => bare(),
    }
}

/// Adds the nodes and buffers of an array of one row, and of its children. Returns whether there are buffers.
fn array(draft: &mut Draft<'_>, is_first: &mut bool, data_type: &DataType, version: MetadataVersion) -> bool {
    if !std::mem::take(is_first) {
        draft.node(1, 1);
    }
    let buffers = match data_type {
        DataType::Null | DataType::RunEndEncoded(..) => 0,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => 3,
        DataType::Utf8View | DataType::BinaryView => {
            draft.variadic_count(0);
            2
        }
        DataType::ListView(_) | DataType::LargeListView(_) => 3,
        DataType::Struct(_) | DataType::FixedSizeList(..) => 1,
        DataType::Union(_, mode) => {
            usize::from(version.unions_have_validity()) + if *mode == UnionMode::Dense { 2 } else { 1 }
        }
        _ => 2,
    };
    let (start, length) =
        if matches!(data_type, DataType::Union(..)) { ABORT_MARK_UNION_BUFFER } else { ABORT_MARK_BUFFER };
    (0..buffers).for_each(|_| draft.buffer(start, length));
    // A dictionary's values are no child. The buffers above are those of its keys.
    children(data_type)
        .into_iter()
        .fold(buffers > 0, |has, child| array(draft, is_first, child.data_type(), version) | has)
}

/// Cuts a reason at a character boundary.
fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_AT_MOST);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_ipc::root_as_message;
    use arrow_schema::Field;

    use super::*;
    use crate::format;
    use crate::message::frame::PREFIX;

    #[test]
    fn the_reason_is_found_in_the_mark() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int32, false)]);
        let long = "ü".repeat(REASON_AT_MOST);
        for (reason, found) in [("", ""), ("the query failed", "the query failed"), (&long, &long[..REASON_AT_MOST])] {
            let mark = build(&schema, &Options::default(), reason);
            let message = root_as_message(&mark[PREFIX..]).unwrap();
            assert_eq!(format::abort_reason(&message), Some(found));
        }
    }

    #[test]
    fn a_schema_without_buffers_has_the_bare_mark() {
        let inner = DataType::Struct(vec![Field::new("n", DataType::Null, true)].into());
        for (data_type, is_bare) in [(DataType::Null, true), (inner, false)] {
            let schema = Schema::new(vec![Field::new("a", data_type, true)]);
            assert_eq!(build(&schema, &Options::default(), "why") == [0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0], is_bare);
        }
        let legacy = Options::builder().metadata_version(MetadataVersion::V4Legacy).build().unwrap();
        assert_eq!(build(&Arc::new(Schema::empty()), &legacy, "why"), [8, 0, 0, 0]);
    }
}
