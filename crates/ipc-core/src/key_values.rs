//! Key-value pairs for a message or a footer.
//!
//! The type is this crate's own, so that the version of arrow-schema does not decide what a caller hands over.

use std::collections::{BTreeMap, btree_map};

/// Key-value pairs of one message or of a footer, sorted by key. A key occurs once.
///
/// It collects from anything that yields pairs, such as a map of the standard library or the metadata of an arrow
/// field.
///
/// ```
/// use ipc_core::Metadata;
///
/// let metadata = Metadata::from([("source", "sensor 7"), ("unit", "m")]);
/// assert_eq!(metadata.get("unit"), Some("m"));
/// let collected: Metadata = std::collections::HashMap::from([("unit", "m")]).into_iter().collect();
/// assert_eq!(collected, Metadata::new().with("unit", "m"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pairs: BTreeMap<String, String>,
}

impl Metadata {
    /// Returns metadata without pairs. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { pairs: BTreeMap::new() }
    }

    /// Adds a pair, in place of one with the same key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.insert(key, value);
        self
    }

    /// Puts a pair in. Returns the value that the key had before.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.pairs.insert(key.into(), value.into())
    }

    /// Takes a pair out. Returns the value that the key had.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.pairs.remove(key)
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    /// Returns whether there is a pair with this key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.pairs.contains_key(key)
    }

    /// Returns the number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the keys in their order.
    pub fn keys(&self) -> btree_map::Keys<'_, String, String> {
        self.pairs.keys()
    }

    /// Returns the pairs in the order of their keys.
    pub fn iter(&self) -> btree_map::Iter<'_, String, String> {
        self.pairs.iter()
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Metadata {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self { pairs: pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Metadata {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.pairs.extend(pairs.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
}

impl<'m> IntoIterator for &'m Metadata {
    type Item = (&'m String, &'m String);
    type IntoIter = btree_map::Iter<'m, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Metadata {
    type Item = (String, String);
    type IntoIter = btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_occurs_once_and_pairs_come_in_the_order_of_their_keys() {
        let mut metadata = Metadata::from([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(metadata.insert("a", "4"), Some("2".to_owned()));
        metadata.extend([("c", "5")]);
        let pairs: Vec<_> = (&metadata).into_iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "4"), ("b", "3"), ("c", "5")]);
        assert!(metadata.contains_key("c") && metadata.get("d").is_none() && !metadata.is_empty());
        assert_eq!((metadata.len(), Metadata::new().len()), (3, 0));
        assert_eq!((metadata.remove("a"), metadata.remove("a")), (Some("4".to_owned()), None));
        assert!(metadata.keys().eq(["b", "c"]));
        let owned: Vec<(String, String)> = metadata.into_iter().collect();
        assert_eq!(owned.len(), 2);
    }

    #[test]
    fn the_metadata_of_a_field_collects_into_it() {
        let of_field = arrow_schema::Metadata::from([("key", "value")]);
        assert_eq!(of_field.into_iter().collect::<Metadata>(), Metadata::from([("key", "value")]));
    }
}
