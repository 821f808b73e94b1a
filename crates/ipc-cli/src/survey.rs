//! Surveys the inputs of a merge before anything is written.
//!
//! All inputs are opened once, so that an input that is missing, not Arrow, or of another schema is refused at once. If
//! a file is written and the arguments do not say how to handle dictionaries, these are read as well: if they differ,
//! they are unified.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{Fields, SchemaRef};
use ipc_core::parts::{Ledger, StreamSchema};
use ipc_core::{FileFormat, Metadata, Options};
use ipc_recover::Kind;

use crate::args::Job;
use crate::dictionaries::{Known, RefusedDictionary};
use crate::error::{Error, Result};
use crate::input::{Input, Rules};
use crate::metadata::{Dropped, MetadataOfAll};
use crate::source::display_name;

/// The result of a survey.
pub(crate) struct MergeInputs {
    pub(crate) inputs: Vec<Pending>,
    pub(crate) schema: SchemaRef,
    /// The key-value pairs for the footer of the output.
    pub(crate) metadata: Metadata,
    /// The metadata of the inputs that the output does not have. Reported once the output is complete.
    pub(crate) dropped: Dropped,
    /// The size of all inputs together in bytes, if it is known.
    pub(crate) length: Option<u64>,
    /// The options of the output.
    pub(crate) options: Options,
    /// Why dictionaries are unified, if the arguments do not ask for it. Reported once the output is complete, since
    /// there may be an error to report before.
    pub(crate) unified: Option<String>,
}

/// An input that has not been read yet.
pub(crate) enum Pending {
    /// Kept open, because it cannot be opened twice.
    Open(Box<Input>),
    /// Closed for now, so that the number of inputs may exceed the number of files that can be open.
    Closed(PathBuf),
}

impl MergeInputs {
    /// Opens all inputs.
    pub(crate) fn of(job: &Job) -> Result<Self> {
        let mut inputs = Vec::with_capacity(job.inputs.len());
        let mut first: Option<(Arc<str>, StreamSchema)> = None;
        let mut length = Some(0);
        let mut metadata = MetadataOfAll::default();
        for path in &job.inputs {
            let input = Input::open(path, &job.rules)?;
            let differences = match &first {
                None => {
                    let schema = StreamSchema::try_new(Arc::clone(input.schema()), &job.options)
                        .map_err(|refusal| Error::core(input.name(), &refusal))?;
                    first = Some((Arc::clone(input.name()), schema));
                    Vec::new()
                }
                Some((name, schema)) => {
                    check_schema(&input, schema, name)?;
                    schema.metadata_differences(input.schema())
                }
            };
            metadata.add(differences, input.footer_metadata());
            length = length.zip(input.length()).map(|(sum, length)| sum + length);
            let can_reopen = Input::can_reopen(path);
            inputs.push(if can_reopen { Pending::Closed(path.clone()) } else { Pending::Open(Box::new(input)) });
        }
        let (_, schema) = first.expect("the arguments have at least one input");
        let (metadata, dropped) = metadata.settle(job);
        let schema = Arc::clone(schema.schema());
        check_nested_dictionaries(job, &schema)?;
        let (options, unified) = settle_options(job, &schema, &inputs)?;
        Ok(Self { inputs, schema, metadata, dropped, length, options, unified })
    }
}

/// Refuses to unify dictionaries that could not grow in a file.
fn check_nested_dictionaries(job: &Job, schema: &SchemaRef) -> Result<()> {
    if job.format == Kind::Stream {
        return Ok(());
    }
    let name = display_name(&job.inputs[0]);
    let opened = StreamSchema::try_new(Arc::clone(schema), &job.options)
        .and_then(|schema| Ledger::new::<FileFormat>(Arc::new(schema), &job.options));
    match opened {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Error::core(&name, &refusal)),
    }
}

/// Returns the options to write with. Dictionaries are unified if the arguments leave that open, a file can unify them,
/// and it could not keep the inputs' own; the reason is returned as well. That takes a look into all inputs. An input
/// that can be read only once is not read, and counts as one whose dictionaries cannot be kept. If unifying does not
/// help either, the error names what does.
fn settle_options(job: &Job, schema: &SchemaRef, inputs: &[Pending]) -> Result<(Options, Option<String>)> {
    let as_asked = || Ok((job.options.clone(), None));
    let of = |options| StreamSchema::try_new(Arc::clone(schema), options);
    let Some((unifying, unified)) = job.unifying.as_ref().and_then(|options| Some((options, of(options).ok()?))) else {
        return as_asked();
    };
    let (reason, refused) =
        match obstacle(inputs, &job.rules, Known::new(job.format, known_schema(schema, &job.options)?))? {
            None => return as_asked(),
            Some(Obstacle::ReadOnce(name)) => {
                (format!("{name} can be read only once, and its dictionaries may change"), None)
            }
            Some(Obstacle::Refused(name, refused)) => {
                (format!("{name} has another dictionary for column `{}`", refused.path()), Some((name, refused)))
            }
        };
    // Dictionaries that are not unified may only grow.
    if refused.is_some()
        && !unified.has_only_unified_dictionaries()
        && let Some(Obstacle::Refused(name, refused)) =
            obstacle(inputs, &job.rules, Known::new(job.format, known_schema(schema, unifying)?))?
    {
        return Err(Error::dictionaries(&name, refused));
    }
    match refused {
        _ if Ledger::new::<FileFormat>(Arc::new(unified), unifying).is_ok() => Ok((unifying.clone(), Some(reason))),
        Some((name, refused)) => Err(Error::dictionaries(&name, refused)),
        None => as_asked(),
    }
}

/// Why a file may not be able to keep the dictionaries of its inputs.
enum Obstacle {
    /// This input can be read only once, and has dictionaries.
    ReadOnce(Arc<str>),
    /// This input has a dictionary that cannot follow the previous ones.
    Refused(Arc<str>, RefusedDictionary),
}

/// Returns the first reason why an output may not be able to have the dictionaries of these inputs, if there is one. An
/// input that can be read only once is not read.
fn obstacle(inputs: &[Pending], rules: &Rules, mut known: Known) -> Result<Option<Obstacle>> {
    let mut read_once = None;
    for pending in inputs {
        match pending {
            Pending::Open(input) if !input.has_dictionaries() => {}
            Pending::Open(input) => {
                read_once = read_once.or_else(|| Some(Obstacle::ReadOnce(Arc::clone(input.name()))));
            }
            Pending::Closed(path) => {
                let input = Input::open(path, &rules.silent())?;
                if !input.has_dictionaries() {
                    return Ok(None);
                }
                let name = Arc::clone(input.name());
                if let Some(refused) = input.survey_dictionaries(&mut known)? {
                    return Ok(Some(Obstacle::Refused(name, refused)));
                }
            }
        }
    }
    Ok(read_once)
}

/// Returns the schema of the output, as written with these options.
pub(crate) fn known_schema(schema: &SchemaRef, options: &Options) -> Result<StreamSchema> {
    StreamSchema::try_new(Arc::clone(schema), options).map_err(|refusal| Error::input("the schema", refusal))
}

impl Pending {
    pub(crate) fn open(self, rules: &Rules) -> Result<Input> {
        match self {
            Self::Open(input) => Ok(*input),
            Self::Closed(path) => Input::open(&path, rules),
        }
    }
}

/// Refuses an input whose columns differ from those of the first.
fn check_schema(input: &Input, schema: &StreamSchema, first: &str) -> Result<()> {
    let (expected, found) = (schema.schema().fields(), input.schema().fields());
    let lacks = |names: &Fields, of: &Fields| {
        let names: HashSet<&String> = names.iter().map(|field| field.name()).collect();
        of.iter().map(|field| field.name()).find(|name| !names.contains(name)).cloned()
    };
    // If the number of columns is the same, the comparison reports a difference in names.
    let are_fewer = found.len() < expected.len();
    if let Some(missing) = lacks(found, expected).filter(|_| are_fewer) {
        return Err(Error::input(input.name(), format!("column `{missing}` of {first} is missing")));
    }
    let are_more = found.len() > expected.len();
    if let Some(extra) = lacks(expected, found).filter(|_| are_more) {
        return Err(Error::input(input.name(), format!("column `{extra}` is not in {first}")));
    }
    schema.check(input.schema()).map_err(|difference| match difference {
        ipc_core::Error::SchemaMismatch { path, expected, found } => Error::input(
            input.name(),
            format!("its schema differs from that of {first}: at column `{path}`, expected {expected}, found {found}"),
        ),
        other => Error::input(input.name(), other),
    })
}
