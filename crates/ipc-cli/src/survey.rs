//! What is known of the inputs of a merge before anything is written.
//!
//! All inputs are opened once, so that one that is missing, no Arrow, or of another schema costs no time. Where a file is
//! written and the arguments leave it open, their dictionaries are read, too: if they differ, they are unified.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{Fields, SchemaRef};
use ipc_core::parts::{Ledger, StreamSchema};
use ipc_core::{FileFormat, Metadata, Options};
use ipc_recover::Kind;

use crate::args::Job;
use crate::dictionaries::{Known, Refused};
use crate::error::{Error, Result};
use crate::input::{Input, Rules};
use crate::metadata::{Dropped, MetadataOfAll};
use crate::source::display_name;

/// What is known of the inputs before anything is written.
pub(crate) struct Survey {
    pub(crate) inputs: Vec<Pending>,
    pub(crate) schema: SchemaRef,
    /// What the footer of the output carries.
    pub(crate) metadata: Metadata,
    /// The metadata of the inputs that the output does not have. Told once the output is there.
    pub(crate) dropped: Dropped,
    /// How many bytes all inputs have together, if that is known.
    pub(crate) length: Option<u64>,
    /// How the output is written.
    pub(crate) options: Options,
    /// Why dictionaries are unified, if nobody asked for it. Told once the output is there: before, something else may
    /// have to be told.
    pub(crate) unified: Option<String>,
}

/// An input that waits for its turn.
pub(crate) enum Pending {
    /// It cannot be opened twice.
    Open(Box<Input>),
    /// It is closed until then, so that there may be more inputs than files can be open.
    Closed(PathBuf),
}

impl Survey {
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

/// Refuses to unify dictionaries in a file that cannot have them grow.
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

/// The options to write with: those that unify dictionaries, where the arguments leave it open, a file can unify them, and
/// it could not keep the inputs' own. That takes a look into all of them; one that can be read only once is not looked
/// into, and might. With them comes the reason. Where unifying does not help either, the refusal names what does.
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
    // Those that are not unified may grow, and do no more than that.
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
    /// This input has a dictionary that cannot follow those before.
    Refused(Arc<str>, Refused),
}

/// The first reason why an output may not be able to have the dictionaries of these inputs, if there is any. One that can
/// be read only once is not looked into.
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

/// The schema of the output, as written with these options.
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

/// Refuses an input whose columns are not those of the first.
fn check_schema(input: &Input, schema: &StreamSchema, first: &str) -> Result<()> {
    let (expected, found) = (schema.schema().fields(), input.schema().fields());
    let lacks = |names: &Fields, of: &Fields| {
        let names: HashSet<&String> = names.iter().map(|field| field.name()).collect();
        of.iter().map(|field| field.name()).find(|name| !names.contains(name)).cloned()
    };
    // As many of another name are a matter of the comparison below.
    let are_fewer = found.len() < expected.len();
    if let Some(missing) = lacks(found, expected).filter(|_| are_fewer) {
        return Err(Error::input(input.name(), format!("column `{missing}` is missing, which {first} has")));
    }
    let are_more = found.len() > expected.len();
    if let Some(extra) = lacks(expected, found).filter(|_| are_more) {
        return Err(Error::input(input.name(), format!("column `{extra}` is not in {first}")));
    }
    schema.check(input.schema()).map_err(|difference| match difference {
        ipc_core::Error::SchemaMismatch { path, expected, found } => Error::input(
            input.name(),
            format!("its schema is not that of {first}: at column `{path}`, expected {expected}, found {found}"),
        ),
        other => Error::input(input.name(), other),
    })
}
