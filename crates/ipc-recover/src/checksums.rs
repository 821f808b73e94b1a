//! Verifies the checksums of bodies, if an input announces them.
//!
//! The schema message announces whether the batches after it have [checksums](ipc_core::format::CHECKSUMS_KEY). If so,
//! a missing checksum is as much a fault as a wrong one. Otherwise no body is read, and a batch's checksum is ignored,
//! because another writer may have copied it from elsewhere.

use arrow_buffer::Buffer;
use ipc_core::format::{CHECKSUM_KEY, CHECKSUMS, CHECKSUMS_KEY, Checksum};

use crate::error::{Damage, Fault};
use crate::format::MessageKind;
use crate::message::Head;
use crate::source::Source;

/// Which batches of an input have checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Checksums {
    /// No batch; or checksums that are there mean nothing.
    #[default]
    None,
    /// All batches.
    All,
    /// Unknown, because the schema message cannot be read. Checksums that are there are verified.
    Unknown,
}

impl Checksums {
    /// Returns what a schema message announces.
    #[must_use]
    pub fn announced_by(schema: &Head) -> Self {
        if value(schema, CHECKSUMS_KEY) == Some(CHECKSUMS) { Self::All } else { Self::None }
    }

    /// Verifies a body that is in memory.
    ///
    /// # Errors
    ///
    /// [`Fault::Checksum`] or [`Fault::ChecksumMissing`].
    pub fn verify(self, head: &Head, body: &[u8]) -> Result<(), Damage> {
        let Some(expected) = self.expected(head)? else { return Ok(()) };
        let mut checksum = Checksum::default();
        checksum.update(body);
        compare(head, expected, checksum)
    }

    /// Reads the body, which starts at the source's position, and verifies it.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the body is incomplete; otherwise as [`verify`](Self::verify).
    pub fn read_body(self, head: &Head, source: &mut Source<'_>) -> Result<Buffer, Damage> {
        let body = head.read_body(source)?;
        self.verify(head, &body)?;
        Ok(body)
    }

    /// Skips the body, which starts at the source's position. Reads it only if there is a checksum to verify.
    ///
    /// # Errors
    ///
    /// As [`read_body`](Self::read_body). After a wrong checksum, the source is after the body all the same.
    pub fn skip_body(self, head: &Head, source: &mut Source<'_>) -> Result<(), Damage> {
        let expected = match self.expected(head) {
            Ok(Some(expected)) => expected,
            // An incomplete message is reported as truncated, whatever else is wrong with it.
            other => return head.skip_body(source).and_then(|()| other.map(drop)),
        };
        let mut left = head.place().body_length;
        if source.lacks(left) {
            return Err(head.truncated());
        }
        let (mut checksum, mut block) = (Checksum::default(), vec![0; BLOCK]);
        while left > 0 {
            let next = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
            let read = source.read_up_to(&mut block[..next]).map_err(Damage::unreadable(head.place().offset))?;
            if read < next {
                return Err(head.truncated());
            }
            checksum.update(&block[..next]);
            left -= next as u64;
        }
        compare(head, expected, checksum)
    }

    /// Returns the checksum that a message's body must have, if it must have one.
    fn expected(self, head: &Head) -> Result<Option<&str>, Damage> {
        let is_batch = matches!(head.kind(), Ok(MessageKind::RecordBatch | MessageKind::DictionaryBatch));
        if self == Self::None || !is_batch {
            return Ok(None);
        }
        match value(head, CHECKSUM_KEY) {
            None if self == Self::All => Err(Damage::new(head.place().offset, Fault::ChecksumMissing)),
            found => Ok(found),
        }
    }
}

fn compare(head: &Head, expected: &str, found: Checksum) -> Result<(), Damage> {
    let found = found.digits();
    if expected.as_bytes() == found {
        return Ok(());
    }
    let (expected, found) = (expected.to_owned(), String::from_utf8_lossy(&found).into_owned());
    Err(Damage::new(head.place().offset, Fault::Checksum { expected, found }))
}

/// Returns the value of a key in a message's custom metadata.
fn value<'h>(head: &'h Head, key: &str) -> Option<&'h str> {
    head.message().custom_metadata()?.iter().find(|pair| pair.key() == Some(key))?.value()
}

/// The number of bytes that are read at once.
const BLOCK: usize = 64 * 1024;
