//! Verifies the checksums of bodies, where an input announces them.
//!
//! The schema message says whether the batches after it have [checksums](ipc_core::format::CHECKSUMS_KEY). Then a batch
//! without one is as faulty as one whose sum is wrong: nobody wrote it so. Where nothing is announced, no body is read, and
//! what looks like a checksum means nothing: another writer may have carried it over.

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
    /// None, or none that would mean anything.
    #[default]
    None,
    /// All.
    All,
    /// Nobody knows, since the message that would say so cannot be read: those that have one are verified.
    Unknown,
}

impl Checksums {
    /// What a schema message announces.
    #[must_use]
    pub fn announced_by(schema: &Head) -> Self {
        if value(schema, CHECKSUMS_KEY) == Some(CHECKSUMS) { Self::All } else { Self::None }
    }

    /// Verifies a body that has been read.
    ///
    /// # Errors
    ///
    /// [`Fault::Checksum`] and [`Fault::ChecksumMissing`].
    pub fn verify(self, head: &Head, body: &[u8]) -> Result<(), Damage> {
        let Some(expected) = self.expected(head)? else { return Ok(()) };
        let mut checksum = Checksum::default();
        checksum.update(body);
        compare(head, expected, checksum)
    }

    /// Reads the body, in front of which the source stands, and verifies it.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if it is not all there; else as [`verify`](Self::verify).
    pub fn read_body(self, head: &Head, source: &mut Source<'_>) -> Result<Buffer, Damage> {
        let body = head.read_body(source)?;
        self.verify(head, &body)?;
        Ok(body)
    }

    /// Passes over the body, in front of which the source stands. It is read only where there is a checksum to verify.
    ///
    /// # Errors
    ///
    /// As [`read_body`](Self::read_body). Where a body is not what it should be, the source stands behind it all the same.
    pub fn skip_body(self, head: &Head, source: &mut Source<'_>) -> Result<(), Damage> {
        let expected = match self.expected(head) {
            Ok(Some(expected)) => expected,
            // A message that is not all there is truncated, whatever else it is.
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

    /// What the checksum of a message's body should be, if it should have one.
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

/// What a message's custom metadata has under a key.
fn value<'h>(head: &'h Head, key: &str) -> Option<&'h str> {
    head.message().custom_metadata()?.iter().find(|pair| pair.key() == Some(key))?.value()
}

/// How many bytes are read at once.
const BLOCK: usize = 64 * 1024;
