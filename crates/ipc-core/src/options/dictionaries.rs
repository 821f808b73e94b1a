//! What happens to dictionaries that differ from batch to batch.

/// What happens when a batch brings another dictionary for a field than the one already sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DictionaryHandling {
    /// The whole dictionary is sent again. A file allows no replacement: there such a batch is refused.
    #[default]
    Resend,
    /// If the new dictionary extends the old one, only the new values are sent, as a delta. Otherwise as `Resend`.
    ///
    /// A stream that several threads write may get a whole dictionary where a delta was possible.
    Delta,
    /// Each field has one dictionary, which grows. See [`Unify`].
    Unify(Unify),
}

/// One growing dictionary per field: the keys of every batch are rewritten to it, and new values are sent as a delta
/// before the first batch that needs them.
///
/// Producers need not agree on their dictionaries, not even in a file. Values that no key uses are left out. Equal
/// values, compared by their bits, become one.
///
/// ```
/// use ipc_core::{Options, Unify};
///
/// let unified = Options::builder().dictionaries(Unify::new()).build()?;
/// let for_polars = Options::builder().dictionaries(Unify::new().at_close(true)).build()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # Readers
///
/// Readers of streams need each dictionary before the first batch. If that batch uses no value of one, because it has
/// no rows or only nulls, all values of its own dictionary are sent (an empty dictionary if it has none), unless
/// [`clear_nulls`](crate::OptionsBuilder::clear_nulls) keeps them back.
///
/// Arrow's Java reader ignores values of a file's dictionary that come after the first message. Use
/// [`at_close`](Self::at_close) for it.
///
/// # Limits
///
/// A dictionary cannot hold more values than its key type allows
/// ([`Error::DictionaryOverflow`](crate::Error::DictionaryOverflow)), nor more than one array of its value type
/// ([`Error::DictionaryTooLarge`](crate::Error::DictionaryTooLarge)): 2 GiB of strings with 32-bit offsets, 32,767 rows
/// of runs with 16-bit ends. A batch that would bring more is refused.
///
/// A value keeps its place in the dictionary even if the batch that brought it fails. A retry finds it there. Without a
/// retry it uses up a key, and readers get it with values that come later.
///
/// # Memory
///
/// Besides the unified dictionary, each encoder (a [`BatchEncoder`](crate::parts::BatchEncoder), and so each producer
/// of a shared writer) remembers the last eight dictionaries that batches had for each field: their arrays with the
/// buffers they lie in, and four bytes for each value. Keys of one or two bytes take 128 KiB more, once 262,144 of them
/// have been rewritten without a new value. The memory is freed with the encoder, or when eight other dictionaries have
/// come.
///
/// # Ordered and nested dictionaries
///
/// An ordered dictionary cannot be unified, because an added value would belong between others. Neither can
/// dictionaries inside or around it. They are sent as [`Delta`](DictionaryHandling::Delta) does: one that grows is
/// extended, one that is replaced is sent again in a stream and refused in a file. In a file, a unified dictionary with
/// others inside its values needs [`at_close`](Self::at_close).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unify {
    at_close: bool,
    widen_keys: bool,
}

impl Unify {
    /// Deltas, and keys as the schema says.
    #[must_use]
    pub const fn new() -> Self {
        Self { at_close: false, widen_keys: false }
    }

    /// Writes a file's dictionaries after its record batches, each as one message; off by default. For readers that do
    /// not know deltas in files, such as polars and Java's.
    ///
    /// The footer says where the dictionaries are, and readers of files load them first. Such a file is *not* a stream
    /// from byte 8 on, and without its footer its batches cannot be read. So a [sync](crate::Encoder::sync) could
    /// confirm nothing, and is refused. A stream cannot be written this way.
    #[must_use]
    pub const fn at_close(self, yes: bool) -> Self {
        Self { at_close: yes, ..self }
    }

    /// Writes signed 32-bit keys for dictionaries whose keys have 8 or 16 bits; off by default. For producers whose
    /// dictionaries are small, but not all of them together.
    ///
    /// The schema is written with the wider keys from the start. Batches may have the keys of the given schema, or any
    /// others of 8 or 16 bits.
    #[must_use]
    pub const fn widen_keys(self, yes: bool) -> Self {
        Self { widen_keys: yes, ..self }
    }

    /// Whether a file's dictionaries are written after its record batches.
    #[must_use]
    pub const fn is_at_close(self) -> bool {
        self.at_close
    }

    /// Whether short keys are written with 32 bits.
    #[must_use]
    pub const fn widens_keys(self) -> bool {
        self.widen_keys
    }
}

impl From<Unify> for DictionaryHandling {
    fn from(unify: Unify) -> Self {
        Self::Unify(unify)
    }
}
