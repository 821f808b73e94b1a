//! Reads the footer of a file, and checks all of it before the first message is returned.

use crate::contents::{Bases, Listed, gaps, of_footer, schema_at_front, stored};
use crate::dictionaries::Dictionaries;
use crate::error::{Damage, Error, Fault};
use crate::footer::Footer;
use crate::message::Head;
use crate::report::Condition;
use crate::schema::{Checked, Role, Schema};
use crate::source::Source;
use crate::survey::Survey;

/// The checked contents of a file.
pub(crate) struct Contents {
    /// The schema in the footer.
    pub(crate) schema: Schema,
    pub(crate) front: Option<Head>,
    pub(crate) listed: Vec<Listed>,
    /// All dictionaries of the file: in a file, they may be anywhere.
    pub(crate) dictionaries: Dictionaries,
}

/// Reads and checks the contents of a file, as its footer lists them.
pub(crate) fn file(source: &mut Source<'_>) -> Result<Contents, Damage> {
    let footer = Footer::read(source)?;
    let footer_at = footer.offset();
    let listed = Listed::of(&footer)?;
    let at_front = schema_at_front(source)?;
    let schema = of_footer(footer, at_front.as_ref(), &listed, source)?;
    let mut bases = Bases::default();
    let mut list = Vec::with_capacity(listed.len());
    let mut dictionaries = Dictionaries::default();
    for place in &listed {
        if place.is_dictionary {
            let head = place.head(source)?;
            if !bases.admit_listed(&head, &schema, source)? {
                continue;
            }
            take(schema.check_metadata(&head)?, &mut dictionaries)?;
        }
        list.push(*place);
    }
    if gaps(at_front.as_ref(), &stored(&listed), footer_at) {
        whole(source)?;
    }
    let front = at_front.and_then(|schema| schema.message().cloned());
    Ok(Contents { schema, front, listed: list, dictionaries })
}

/// Accepts a message if the dictionaries that it needs have been read.
pub(crate) fn take(Checked { item, needs }: Checked, dictionaries: &mut Dictionaries) -> Result<(), Damage> {
    let missing = match item.role {
        Role::RecordBatch { .. } => dictionaries.missing_of(&needs),
        Role::DictionaryBatch { id, is_delta: true } if !dictionaries.has(id) => Some(id),
        Role::DictionaryBatch { id, is_delta } => {
            dictionaries.take(id, is_delta, &needs);
            None
        }
    };
    missing.map_or(Ok(()), |id| Err(Damage::new(item.place.offset, Fault::DictionaryMissing { id })))
}

/// Refuses an incomplete file, after a survey of all of it.
fn whole(source: &mut Source<'_>) -> Result<(), Damage> {
    // The survey begins with a look at what the input starts with.
    source.seek(0).map_err(Damage::unreadable(0))?;
    let survey = match Survey::of(source, false) {
        Ok(survey) => survey,
        Err(Error::DamagedBeforeTail { damage, .. } | Error::Hopeless(damage)) => return Err(damage),
        Err(Error::Read(error)) => return Err(Damage::new(source.position(), Fault::Unreadable(error))),
        Err(_) => return Ok(()),
    };
    match survey.collected.cuts.list.into_iter().next() {
        Some(cut) if survey.condition != Condition::Complete => Err(Damage::new(cut.offset, cut.fault)),
        _ => Ok(()),
    }
}
