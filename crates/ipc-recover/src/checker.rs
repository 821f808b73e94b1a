//! Checks the messages of an input as they are read, for those who read their values, too.

use crate::check::Body;
use crate::dictionaries::Dictionaries;
use crate::error::{Damage, Fault};
use crate::footer::Footer;
use crate::scan::{Head, Kind};
use crate::schema::{Checked, Role, Schema};

/// Checks one message after another as [`recover`](crate::recover()) does: that it is what its schema asks for, that its
/// body holds it, and that the dictionaries are there to which the values of a record batch refer.
///
/// Checksums are left to [`Checksums`](crate::Checksums): they take much longer, and can be verified elsewhere.
#[derive(Debug)]
pub struct Checker {
    kind: Kind,
    schema: Schema,
    /// Whether the version of the metadata is that of the schema, or that of the first message.
    has_version: bool,
    dictionaries: Dictionaries,
}

impl Checker {
    /// For the messages of a stream that starts with this one.
    ///
    /// # Errors
    ///
    /// [`Fault::Misplaced`] if it is no schema, and [`Fault::InvalidSchema`].
    pub fn of_stream(schema: Head) -> Result<Self, Damage> {
        let schema = Schema::of_message(schema)?.without_checksums();
        Ok(Self { kind: Kind::Stream, schema, has_version: true, dictionaries: Dictionaries::default() })
    }

    /// For the messages that a footer names, the dictionary batches before the record batches.
    ///
    /// # Errors
    ///
    /// [`Fault::InvalidSchema`].
    pub fn of_file(footer: Footer) -> Result<Self, Damage> {
        let schema = Schema::of_footer(footer, None)?.without_checksums();
        Ok(Self { kind: Kind::File, schema, has_version: false, dictionaries: Dictionaries::default() })
    }

    /// Checks the next message, whose body is this.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&mut self, head: &Head, body: &[u8]) -> Result<(), Damage> {
        if !self.has_version {
            // There are footers of another version than their messages.
            self.schema.set_version(head.version());
            self.has_version = true;
        }
        let Checked { item, needs } = self.schema.check_with(head, Body::Held(body))?;
        let damage = |fault| Err(Damage::new(item.place.offset, fault));
        match item.role {
            Role::RecordBatch { .. } => match self.dictionaries.missing_of(&needs) {
                None => Ok(()),
                Some(id) => damage(Fault::DictionaryMissing { id }),
            },
            Role::DictionaryBatch { id, is_delta } => match (is_delta, self.dictionaries.has(id)) {
                (true, false) => damage(Fault::DictionaryMissing { id }),
                (false, true) if self.kind == Kind::File => damage(Fault::DictionaryReplaced { id }),
                _ => {
                    self.dictionaries.take(id, is_delta, &needs);
                    Ok(())
                }
            },
        }
    }

    /// Whether a dictionary is there, with all those that its values refer to.
    pub fn is_complete(&mut self, id: i64) -> bool {
        self.dictionaries.missing(id).is_none()
    }
}
