//! The schema of a stream: its message, its dictionary-encoded fields, and whether a batch has it.
//!
//! Dictionary ids are given in the order in which `arrow-ipc`'s schema encoder gives them: depth first, a field's own
//! id after those inside its values. [`StreamSchema`] walks the types the same way, so that an id is an index here.

pub(crate) mod difference;
pub(crate) mod widen;

use std::sync::Arc;

use arrow_ipc::convert::{IpcSchemaEncoder, metadata_to_fb};
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{MessageBuilder, MessageHeader};
use arrow_schema::{DataType, Field, FieldRef, Metadata, Schema, SchemaRef};
use flatbuffers::FlatBufferBuilder;

use crate::error::{Error, Result};
use crate::format::{CHECKSUMS, CHECKSUMS_KEY, MetadataVersion};
use crate::limits;
use crate::message::{PREFIX, frame};
use crate::options::Options;
use crate::options::dictionaries::{DictionaryHandling, Unify};
use crate::schema::difference::{MetadataDifference, Sameness};
use crate::schema::widen::{may_unify, widened};

/// A schema that has been found fit to be written, with all that a writer must know of it.
#[derive(Debug)]
pub struct StreamSchema {
    /// As it was given.
    given: SchemaRef,
    /// As it is written: the same, unless keys are widened.
    schema: SchemaRef,
    /// The schema message's flatbuffer, not yet framed.
    flatbuffer: Vec<u8>,
    /// The dictionary-encoded fields, by dictionary id.
    dictionaries: Vec<DictionaryField>,
    /// The columns that have dictionaries, each with the first id below it.
    dictionary_columns: Vec<(usize, usize)>,
    /// The dictionaries that are inside no other one's values.
    outermost: Vec<usize>,
    /// How many dictionaries are unified.
    unified: usize,
    handling: DictionaryHandling,
    /// What the message says it is of.
    metadata_version: MetadataVersion,
    /// Whether the message announces checksums.
    checksums: bool,
}

/// A dictionary-encoded field.
#[derive(Debug)]
pub(crate) struct DictionaryField {
    path: String,
    /// How many dictionaries are inside this one's values. Their ids stand just before this one's.
    nested: usize,
    /// Those of them that are inside no other one's values.
    inner: Vec<usize>,
    key: DataType,
    values: DataType,
    may_unify: bool,
    is_unified: bool,
}

impl DictionaryField {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn nested(&self) -> usize {
        self.nested
    }

    pub(crate) fn inner(&self) -> &[usize] {
        &self.inner
    }

    /// Checks that values of type `found` can be this dictionary's.
    pub(crate) fn check_values(&self, found: &DataType) -> Result<(), Box<Error>> {
        Sameness { widens: true, has_meaning: false }.of_type(&self.values, found)
    }

    /// The type of the keys, as written.
    pub(crate) fn key(&self) -> &DataType {
        &self.key
    }

    pub(crate) fn values(&self) -> &DataType {
        &self.values
    }

    /// Whether it can be unified: it is not ordered, nor is one inside or around it.
    pub(crate) fn may_unify(&self) -> bool {
        self.may_unify
    }

    /// Whether all batches have one dictionary, which their keys are rewritten to.
    pub(crate) fn is_unified(&self) -> bool {
        self.is_unified
    }
}

impl StreamSchema {
    /// Checks that `schema` can be written as `options` ask, and encodes its message.
    ///
    /// # Errors
    ///
    /// [`Error::NestingTooDeep`]; [`Error::TooLarge`] where names and metadata do not fit a message; or
    /// [`Error::Unsupported`] for a dictionary directly inside a dictionary, a map whose entries are no struct of two
    /// fields, keys or run ends of another type than the format's, or a size below 0.
    pub fn try_new(schema: SchemaRef, options: &Options) -> Result<Self> {
        let given = schema;
        let schema = if options.unify().is_some_and(Unify::widens_keys) {
            // Before it is walked without looking how deep it is.
            Survey::of(&given, options)?;
            Arc::new(widened(&given))
        } else {
            Arc::clone(&given)
        };
        let Survey { dictionaries, dictionary_columns, .. } = Survey::of(&schema, options)?;
        limits::check("schema", limits::schema(&schema))?;
        let flatbuffer = schema_message(&schema, options);
        let outermost = outermost(&dictionaries, 0);
        let unified = dictionaries.iter().filter(|dictionary| dictionary.is_unified).count();
        Ok(Self {
            given,
            schema,
            flatbuffer,
            dictionaries,
            dictionary_columns,
            outermost,
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

    /// The schema message alone, as a stream starts with it: prefix, flatbuffer and padding. Services that take the schema and
    /// the batches apart, such as BigQuery's Storage Write API, Spark Connect and Arrow Flight's `GetSchema`, want it so;
    /// [`BatchEncoder`](crate::BatchEncoder) makes the batches' messages.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_schema::{DataType, Field, Schema};
    /// use ipc_core::{Options, StreamSchema};
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
    /// [`Error::InvalidOptions`] where it was made for another version of the metadata, or for other checksums, than
    /// `options` ask for.
    pub fn message(&self, options: &Options) -> Result<Vec<u8>> {
        self.message_at(0, options)
    }

    /// The schema message as it stands behind so many bytes of an output.
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
    /// nullability, at every level. Extension types are types: their names and their metadata
    /// (`ARROW:extension:name`, `ARROW:extension:metadata`, which may be absent where it is empty) have to be equal, and
    /// a dictionary has to be ordered where the stream's is. [Other metadata](Self::metadata_differences) may differ; that
    /// of the stream's schema is what readers see. Dictionary keys may be shorter where they are
    /// [widened](crate::Unify::widen_keys).
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`], naming the first difference.
    pub fn check(&self, found: &SchemaRef) -> Result<()> {
        if Arc::ptr_eq(&self.given, found) {
            return Ok(());
        }
        let widens = !Arc::ptr_eq(&self.given, &self.schema);
        let sameness = Sameness { widens, has_meaning: true };
        Ok(sameness.of_fields(self.schema.fields(), found.fields(), "columns")?)
    }

    /// The metadata in which a schema that [is this one](Self::check) differs from it, extension types left out: that of
    /// the schema first, then that of its fields, depth first. Readers see this schema's; what only `found` has is lost.
    #[must_use]
    pub fn metadata_differences(&self, found: &Schema) -> Vec<MetadataDifference> {
        difference::metadata(&self.schema, found)
    }

    /// Refuses unified dictionaries that cannot grow by deltas: readers bind what is inside them when they read them.
    pub(crate) fn check_extensible(&self) -> Result<()> {
        match self.dictionaries.iter().find(|dictionary| dictionary.is_unified && dictionary.nested > 0) {
            None => Ok(()),
            Some(dictionary) => Err(Error::Unsupported {
                path: dictionary.path.clone(),
                reason: "a dictionary with others inside its values can be unified in a file only if dictionaries are \
                         written at close",
            }),
        }
    }

    /// Whether every dictionary is unified, if there are any.
    #[must_use]
    pub fn has_only_unified_dictionaries(&self) -> bool {
        self.unified == self.dictionaries.len()
    }

    /// Whether there is a unified dictionary.
    #[must_use]
    pub fn has_unified_dictionaries(&self) -> bool {
        self.unified > 0
    }

    /// What becomes of dictionaries that change.
    pub(crate) fn handling(&self) -> DictionaryHandling {
        self.handling
    }

    /// The flatbuffer of the schema message, without prefix and padding: what Arrow Flight calls a `data_header`.
    #[must_use]
    pub fn flatbuffer(&self) -> &[u8] {
        &self.flatbuffer
    }

    pub(crate) fn dictionary(&self, id: usize) -> &DictionaryField {
        &self.dictionaries[id]
    }

    pub(crate) fn dictionary_count(&self) -> usize {
        self.dictionaries.len()
    }

    pub(crate) fn dictionary_columns(&self) -> &[(usize, usize)] {
        &self.dictionary_columns
    }

    /// The ids of the dictionaries that are inside no other one's values, in the order in which a walk meets them.
    pub(crate) fn outermost(&self) -> &[usize] {
        &self.outermost
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

/// Checks fields and all below them, and lists the dictionaries in the order of their ids.
struct Survey<'o> {
    options: &'o Options,
    dictionaries: Vec<DictionaryField>,
    /// The columns that have dictionaries, each with the first id below it.
    dictionary_columns: Vec<(usize, usize)>,
}

impl<'o> Survey<'o> {
    fn of(schema: &Schema, options: &'o Options) -> Result<Self> {
        let mut survey = Self { options, dictionaries: Vec::new(), dictionary_columns: Vec::new() };
        for (column, field) in schema.fields().iter().enumerate() {
            let first = survey.dictionaries.len();
            survey.field(field, 1, "")?;
            if survey.dictionaries.len() > first {
                survey.dictionary_columns.push((column, first));
            }
        }
        Ok(survey)
    }

    fn field(&mut self, field: &Field, level: usize, parent: &str) -> Result<()> {
        let path = if parent.is_empty() { field.name().clone() } else { format!("{parent}.{}", field.name()) };
        let limit = self.options.max_nesting;
        if level > limit {
            return Err(Error::NestingTooDeep { path, limit });
        }
        let unsupported = |reason| Err(Error::Unsupported { path: path.clone(), reason });
        match field.data_type() {
            DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) if *size < 0 => {
                unsupported("a size is at least 0")
            }
            DataType::RunEndEncoded(run_ends, _) if !run_ends.data_type().is_run_ends_type() => {
                unsupported("run ends are signed integers of 16, 32 or 64 bits")
            }
            DataType::Dictionary(keys, _) if !keys.is_dictionary_key_type() => {
                unsupported("the keys of a dictionary are integers")
            }
            DataType::Dictionary(_, values) if matches!(**values, DataType::Dictionary(..)) => {
                unsupported("a schema cannot express a dictionary whose values are directly a dictionary")
            }
            DataType::Dictionary(key, values) => {
                let first = self.dictionaries.len();
                self.children(values, level, &path)?;
                let nested = &mut self.dictionaries[first..];
                let may_unify = may_unify(field);
                if !may_unify {
                    nested.iter_mut().for_each(|inner| (inner.may_unify, inner.is_unified) = (false, false));
                }
                let is_unified = may_unify && self.options.unify().is_some();
                let (nested, inner) = (nested.len(), outermost(nested, first));
                let (key, values) = ((**key).clone(), (**values).clone());
                self.dictionaries.push(DictionaryField { path, nested, inner, key, values, may_unify, is_unified });
                Ok(())
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => self.field(entries, level + 1, &path),
                _ => unsupported("the entries of a map must be a struct of two fields"),
            },
            other => self.children(other, level, &path),
        }
    }

    fn children(&mut self, data_type: &DataType, level: usize, path: &str) -> Result<()> {
        children(data_type).into_iter().try_for_each(|child| self.field(child, level + 1, path))
    }
}

/// The fields inside a type, in the order in which they are written.
pub(crate) fn children(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child],
        DataType::RunEndEncoded(run_ends, values) => vec![run_ends, values],
        DataType::Struct(fields) => fields.iter().collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, child)| child).collect(),
        _ => Vec::new(),
    }
}

/// The ids, from `first` on, of those `dictionaries` that are inside no other one's values.
fn outermost(dictionaries: &[DictionaryField], first: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut end = dictionaries.len();
    while let Some(last) = end.checked_sub(1) {
        found.push(first + last);
        end = last - dictionaries[last].nested;
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Metadata, UnionFields, UnionMode};

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
        let paths: Vec<_> = schema.dictionaries.iter().map(|d| (d.path(), d.nested())).collect();
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
            "schema mismatch at column `a`: expected 1 columns, found 0 without this one",
            "schema mismatch at column `a`: expected 0 columns, found 1 with this one",
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
