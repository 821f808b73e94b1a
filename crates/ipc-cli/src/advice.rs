//! Finds the arguments that help if the output cannot have the dictionaries of the inputs.
//!
//! Advice has been tried on the dictionaries: the schema is accepted, the dictionaries of all inputs can follow one
//! another, and the keys can number all of their values. That reads all dictionaries again, which takes time only after
//! a merge has failed. Inputs that can be read only once are gone by then, so the advice must work for any
//! dictionaries.

use std::sync::Arc;

use ipc_core::parts::{Ledger, StreamSchema};
use ipc_core::{DictionaryHandling, FileFormat, StreamFormat};
use ipc_recover::Kind;

use crate::args::Job;
use crate::dictionaries::{self, DictionaryField, Known};
use crate::error::Result;
use crate::input::Input;

/// Returns what to change in the arguments of a merge that was refused because of dictionaries; `None` if nothing
/// helps. If they are `too_large` for one array, unifying them is not advised.
pub(crate) fn on_dictionaries(job: &Job, too_large: bool) -> Option<String> {
    let mut ways = job.alternatives();
    if too_large || !job.inputs.iter().all(|path| Input::can_reopen(path)) {
        ways = ways.pop().into_iter().collect();
    }
    let helps = |(changes, other): &(String, Job)| !changes.is_empty() && takes_all(other).unwrap_or(false);
    ways.into_iter().find(helps).map(|(changes, _)| changes)
}

/// Returns whether an output can have the dictionaries of all inputs.
fn takes_all(job: &Job) -> Result<bool> {
    let mut known: Option<(Known, Vec<DictionaryField>)> = None;
    for path in job.inputs.iter().filter(|path| Input::can_reopen(path)) {
        let input = Input::open(path, &job.rules.silent())?;
        if known.is_none() {
            let fields = dictionaries::fields(input.schema().fields());
            let schema = || StreamSchema::try_new(Arc::clone(input.schema()), &job.options);
            let is_possible = |schema| match job.format {
                Kind::File => Ledger::new::<FileFormat>(Arc::new(schema), &job.options).is_ok(),
                Kind::Stream => Ledger::new::<StreamFormat>(Arc::new(schema), &job.options).is_ok(),
            };
            match (schema().map(is_possible), schema()) {
                (Ok(true), Ok(schema)) => known = Some((Known::new(job.format, schema), fields)),
                _ => return Ok(false),
            }
        }
        if let Some((known, _)) = &mut known
            && input.survey_dictionaries(known)?.is_some()
        {
            return Ok(false);
        }
    }
    let is_unified = matches!(job.options.dictionaries(), DictionaryHandling::Unify(_)) && !job.widens_keys();
    Ok(!is_unified || known.is_none_or(|(known, fields)| known.fits_keys(&fields)))
}
