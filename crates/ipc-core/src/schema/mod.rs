//! The schema of a stream: its message, its dictionary-encoded fields, and whether a batch has it.
//!
//! A [`StreamSchema`] that exists can be written, so nothing after it checks types again.

pub(crate) mod check;
pub(crate) mod difference;
pub(crate) mod given;
pub(crate) mod survey;
pub(crate) mod types;
pub(crate) mod widen;

use std::sync::Arc;

use arrow_ipc::convert::{IpcSchemaEncoder, metadata_to_fb};
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{MessageBuilder, MessageHeader};
use arrow_schema::{Metadata, Schema, SchemaRef};
use flatbuffers::FlatBufferBuilder;

use crate::error::{Error, Result};
use crate::format::{CHECKSUMS, CHECKSUMS_KEY, MetadataVersion};
use crate::limits;
use crate::message::frame::{PREFIX, frame};
use crate::options::Options;
use crate::options::dictionaries::{DictionaryHandling, Unify};
use crate::schema::check::SchemaCheck;
use crate::schema::difference::MetadataDifference;
use crate::schema::given::IntoSchema;
use crate::schema::survey::{DictionaryField, DictionaryFields};
use crate::schema::widen::widened;

/// A schema that can be written, with its encoded message and its dictionary-encoded fields.
#[derive(Debug)]
pub struct StreamSchema {
    /// As it was given.
    given: SchemaRef,
    /// As it is written: the same, unless keys are widened.
    schema: SchemaRef,
    /// The schema message's flatbuffer, not yet framed.
    flatbuffer: Vec<u8>,
    dictionaries: DictionaryFields,
    /// The number of unified dictionaries.
    unified: usize,
    handling: DictionaryHandling,
    /// The version in the message.
    metadata_version: MetadataVersion,
    /// Whether the message announces checksums.
    checksums: bool,
}

impl StreamSchema {
    /// Checks that `schema` can be written with `options`, and encodes its message.
    ///
    /// # Errors
    ///
    /// [`Error::NestingTooDeep`]; [`Error::TooLarge`] where names and metadata do not fit a message; or
    /// [`Error::Unsupported`] for a dictionary directly inside a dictionary, a map whose entries are no struct of two
    /// fields, keys or run ends of another type than the format's, or a size below 0.
    pub fn try_new(schema: impl IntoSchema, options: &Options) -> Result<Self> {
        let given = schema.into_schema();
        let schema = if options.unify().is_some_and(Unify::widens_keys) {
            // `widened` follows the types however deep they are, so the limit is checked first.
            DictionaryFields::of(&given, options)?;
            Arc::new(widened(&given))
        } else {
            Arc::clone(&given)
        };
        let dictionaries = DictionaryFields::of(&schema, options)?;
        limits::check("schema", limits::schema(&schema))?;
        let flatbuffer = schema_message(&schema, options);
        let unified = dictionaries.fields.iter().filter(|dictionary| dictionary.is_unified()).count();
        Ok(Self {
            given,
            schema,
            flatbuffer,
            dictionaries,
            unified,
            handling: options.dictionaries,
            metadata_version: options.metadata_version,
            checksums: options.checksums,
        })
    }

    /// The schema.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the schema message with which a stream starts: prefix, flatbuffer and padding.
    ///
    /// It is for services that take the schema and the batches separately, such as BigQuery's Storage Write API, Spark
    /// Connect and Arrow Flight's `GetSchema`. [`BatchEncoder`](crate::parts::BatchEncoder) encodes the batches'
    /// messages.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_schema::{DataType, Field, Schema};
    /// use ipc_core::parts::StreamSchema;
    /// use ipc_core::Options;
    ///
    /// let schema = Arc::new(Schema::new(vec![Field::new("height", DataType::Int32, false)]));
    /// let options = Options::default();
    /// let message: Vec<u8> = StreamSchema::try_new(schema, &options)?.message(&options)?;
    /// assert_eq!(message.len() % 64, 0);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`] if the schema was made for another metadata version than that of `options`, or if only one
    /// of them has checksums.
    pub fn message(&self, options: &Options) -> Result<Vec<u8>> {
        self.message_at(0, options)
    }

    /// Returns the schema message as it is `position` bytes after the start of an output.
    pub(crate) fn message_at(&self, position: usize, options: &Options) -> Result<Vec<u8>> {
        if self.metadata_version != options.metadata_version {
            let (schema, output) = (self.metadata_version, options.metadata_version);
            return Err(Error::InvalidOptions(format!("the schema has metadata of {schema:?}, the output {output:?}")));
        }
        if self.checksums != options.checksums {
            let with = |checksums| if checksums { "with" } else { "without" };
            let (schema, output) = (with(self.checksums), with(options.checksums));
            return Err(Error::InvalidOptions(format!("the schema is {schema} checksums, the output {output}")));
        }
        let mut message = vec![0; PREFIX];
        message.extend_from_slice(&self.flatbuffer);
        frame(&mut message, position, options.metadata_version, options.alignment)?;
        Ok(message)
    }

    /// Checks that a batch's schema is this one: the same fields in the same order, with the same names, types and
    /// nullability, at every level.
    ///
    /// Extension types are types: their names and metadata (`ARROW:extension:name`, and `ARROW:extension:metadata`,
    /// which may be absent instead of empty) must be equal. Dictionaries must be ordered where the stream's are. [Other
    /// metadata](Self::metadata_differences) may differ; readers see the stream's. Dictionary keys may be shorter if
    /// they are [widened](crate::Unify::widen_keys).
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`], naming the first difference.
    pub fn check(&self, found: &SchemaRef) -> Result<()> {
        if Arc::ptr_eq(&self.given, found) {
            return Ok(());
        }
        let widens_keys = !Arc::ptr_eq(&self.given, &self.schema);
        let check = SchemaCheck { widens_keys, has_meaning: true };
        Ok(check.of_fields(self.schema.fields(), found.fields())?)
    }

    /// Returns the metadata in which a schema that [is this one](Self::check) differs from it, without extension types.
    ///
    /// The schema's own metadata comes first, then that of its fields, depth first. Readers see this schema's metadata;
    /// what only `found` has is lost.
    #[must_use]
    pub fn metadata_differences(&self, found: &Schema) -> Vec<MetadataDifference> {
        difference::metadata(&self.schema, found)
    }

    /// Refuses unified dictionaries that cannot grow by deltas: those with others inside, which readers resolve once,
    /// when they read the dictionary.
    pub(crate) fn check_extensible(&self) -> Result<()> {
        match self.dictionaries.fields.iter().find(|dictionary| dictionary.is_unified() && dictionary.nested() > 0) {
            None => Ok(()),
            Some(dictionary) => Err(Error::Unsupported {
                path: dictionary.path().to_owned(),
                reason: "a dictionary with others inside its values can be unified in a file only if dictionaries are \
                         written at close",
            }),
        }
    }

    /// Whether all dictionaries are unified; also true if there are none.
    #[must_use]
    pub fn has_only_unified_dictionaries(&self) -> bool {
        self.unified == self.dictionaries.fields.len()
    }

    /// Whether there is a unified dictionary.
    #[must_use]
    pub fn has_unified_dictionaries(&self) -> bool {
        self.unified > 0
    }

    /// What happens to dictionaries that change.
    pub(crate) fn handling(&self) -> DictionaryHandling {
        self.handling
    }

    /// The flatbuffer of the schema message, without prefix and padding: what Arrow Flight calls a `data_header`.
    #[must_use]
    pub fn flatbuffer(&self) -> &[u8] {
        &self.flatbuffer
    }

    /// The dictionary-encoded field with this dictionary id.
    pub(crate) fn dictionary(&self, id: usize) -> &DictionaryField {
        &self.dictionaries.fields[id]
    }

    pub(crate) fn dictionary_count(&self) -> usize {
        self.dictionaries.fields.len()
    }

    /// The columns that contain dictionaries, each with the first id in it.
    pub(crate) fn dictionary_columns(&self) -> &[(usize, usize)] {
        &self.dictionaries.columns
    }

    /// The ids of the dictionaries that are inside no other one's values, in the order of a walk over the columns.
    pub(crate) fn outermost(&self) -> &[usize] {
        &self.dictionaries.outermost
    }
}

/// Encodes a schema message's flatbuffer.
fn schema_message(schema: &Schema, options: &Options) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let mut tracker = DictionaryTracker::new(false);
    let header = IpcSchemaEncoder::new()
        .with_dictionary_tracker(&mut tracker)
        .schema_to_fb_offset(&mut fbb, schema)
        .as_union_value();
    let announced = Metadata::from([(CHECKSUMS_KEY, CHECKSUMS)]);
    let announcement = options.checksums.then(|| metadata_to_fb(&mut fbb, &announced));
    let mut builder = MessageBuilder::new(&mut fbb);
    builder.add_version(options.metadata_version.to_flatbuffer());
    builder.add_header_type(MessageHeader::Schema);
    builder.add_bodyLength(0);
    builder.add_header(header);
    if let Some(announcement) = announcement {
        builder.add_custom_metadata(announcement);
    }
    let root = builder.finish();
    fbb.finish(root, None);
    fbb.finished_data().to_vec()
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, UnionFields, UnionMode};

    use super::*;

    fn nested(levels: usize) -> SchemaRef {
        let leaf = Field::new("leaf", DataType::Int8, true);
        let field = (1..levels).fold(leaf, |child, _| Field::new("list", DataType::List(Arc::new(child)), true));
        Arc::new(Schema::new(vec![field]))
    }

    #[test]
    fn nesting_stops_at_the_limit() {
        let options = Options::default();
        assert!(StreamSchema::try_new(nested(60), &options).is_ok());
        let error = StreamSchema::try_new(nested(61), &options).unwrap_err();
        assert!(matches!(error, Error::NestingTooDeep { limit: 60, ref path } if path.ends_with("list.leaf")));
    }

    #[test]
    fn ids_are_those_of_the_schema_encoder() {
        let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int8), Box::new(values));
        let inner = Field::new("inner", dictionary(DataType::Utf8), true);
        let outer = Field::new("outer", dictionary(DataType::Struct(vec![inner].into())), true);
        let plain = Field::new("plain", dictionary(DataType::Int64), true);
        let list = Field::new("list", DataType::List(Arc::new(plain)), true);
        let schema = Arc::new(Schema::new(vec![outer, Field::new("x", DataType::Int8, true), list]));
        let schema = StreamSchema::try_new(schema, &Options::default()).unwrap();
        let paths: Vec<_> = schema.dictionaries.fields.iter().map(|d| (d.path(), d.nested())).collect();
        assert_eq!(paths, [("outer.inner", 0), ("outer", 1), ("list.plain", 0)]);
        assert_eq!(schema.dictionary_columns(), [(0, 0), (2, 2)]);

        let message = arrow_ipc::root_as_message(schema.flatbuffer()).unwrap();
        let fields = message.header_as_schema().unwrap().fields().unwrap();
        assert_eq!(fields.get(0).dictionary().unwrap().id(), 1);
        assert_eq!(fields.get(0).children().unwrap().get(0).dictionary().unwrap().id(), 0);
        assert_eq!(fields.get(2).children().unwrap().get(0).dictionary().unwrap().id(), 2);
    }

    #[test]
    fn a_difference_is_named() {
        let schema = |fields: Vec<Field>| Arc::new(Schema::new(fields));
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let structs = |leaf: Field| schema(vec![field("s", DataType::Struct(vec![leaf].into()))]);
        let cases = [
            (schema(vec![field("a", DataType::Int32)]), schema(vec![field("a", DataType::Float32)])),
            (schema(vec![field("a", DataType::Int32)]), schema(vec![field("b", DataType::Int32)])),
            (schema(vec![field("a", DataType::Int32)]), schema(vec![])),
            (schema(vec![]), schema(vec![field("a", DataType::Int32)])),
            (schema(vec![field("a", DataType::Int32)]), schema(vec![Field::new("a", DataType::Int32, false)])),
            (structs(field("t", DataType::Int8)), structs(field("t", DataType::Int16))),
        ];
        let messages = [
            "schema mismatch at column `a`: expected type Int32, found Float32",
            "schema mismatch at column `a`: expected name `a`, found `b`",
            "schema mismatch: column `a` is missing",
            "schema mismatch: column `a` is not in the schema",
            "schema mismatch at column `a`: expected nullable, found not nullable",
            "schema mismatch at column `s.t`: expected type Int8, found Int16",
        ];
        for ((expected, found), message) in cases.into_iter().zip(messages) {
            let stream = StreamSchema::try_new(expected, &Options::default()).unwrap();
            assert_eq!(stream.check(&found).unwrap_err().to_string(), message);
        }
    }
    #[test]
    fn types_with_children_may_differ_in_the_metadata_of_these_and_in_nothing_else() {
        type Type = fn(Field, bool) -> DataType;
        let child = || Field::new("child", DataType::Int8, true);
        let noted = child().with_metadata(Metadata::from([("key", "value")]));
        // Each with a child, and in two ways.
        let types: [Type; 9] = [
            |child, other| if other { DataType::LargeList(child.into()) } else { DataType::List(child.into()) },
            |child, other| if other { DataType::LargeListView(child.into()) } else { DataType::ListView(child.into()) },
            |child, other| DataType::FixedSizeList(child.into(), 2 + i32::from(other)),
            |child, other| {
                let entries = vec![Field::new("key", DataType::Int8, false), child];
                DataType::Map(Field::new("entries", DataType::Struct(entries.into()), false).into(), other)
            },
            |child, other| DataType::Struct(vec![child; 1 + usize::from(other)].into()),
            |child, other| {
                let run_ends = if other { DataType::Int16 } else { DataType::Int32 };
                DataType::RunEndEncoded(Field::new("run_ends", run_ends, false).into(), child.into())
            },
            |child, other| {
                let mode = if other { UnionMode::Dense } else { UnionMode::Sparse };
                DataType::Union(UnionFields::try_new([3], [child]).unwrap(), mode)
            },
            |child, other| {
                DataType::Union(UnionFields::try_new([3 + i8::from(other)], [child]).unwrap(), UnionMode::Dense)
            },
            |child, other| {
                let members = [child, Field::new("more", DataType::Int8, true)];
                let members = members.into_iter().take(1 + usize::from(other));
                DataType::Union(
                    UnionFields::try_new([3, 4].into_iter().take(members.len()), members).unwrap(),
                    UnionMode::Dense,
                )
            },
        ];
        let of_type = |data_type| Arc::new(Schema::new(vec![Field::new("a", data_type, true)]));
        for of in types {
            let stream = StreamSchema::try_new(of_type(of(child(), false)), &Options::default()).unwrap();
            stream.check(&of_type(of(child(), false))).unwrap();
            stream.check(&of_type(of(noted.clone(), false))).unwrap();
            for other in [of(child(), true), of(noted.clone(), true)] {
                let error = stream.check(&of_type(other.clone())).unwrap_err();
                assert!(matches!(&error, Error::SchemaMismatch { path, .. } if path.starts_with('a')), "{error:?}");
            }
        }
    }
}
