//! A table that can take back what was done to it, batch by batch, at a cost of what was touched.

use crate::planted::{self, Bug};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Values by key, with the earlier value of everything that an open layer touched. Hashed with the standard library's
/// keyed hash: keys come from strangers.
#[derive(Debug)]
pub struct Journaled<K, V> {
    map: HashMap<K, V>,
    layers: VecDeque<Layer<K, V>>,
}

/// Earlier values, and the keys in the order in which they were first touched.
#[derive(Debug)]
struct Layer<K, V> {
    before: HashMap<K, Option<V>>,
    order: Vec<K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Journaled<K, V> {
    pub fn new() -> Self {
        Journaled { map: HashMap::new(), layers: VecDeque::new() }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// In no particular order: never let it decide anything.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter()
    }

    /// Batches that could be taken back.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    pub fn open_layer(&mut self) {
        self.layers.push_back(Layer { before: HashMap::new(), order: Vec::new() });
    }

    /// The value for a change, made by `default` if there is none; its earlier state is kept.
    pub fn edit(&mut self, key: &K, default: impl FnOnce() -> V) -> &mut V {
        self.remember(key);
        self.map.entry(key.clone()).or_insert_with(default)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.remember(key);
        self.map.remove(key)
    }

    pub fn insert(&mut self, key: &K, value: V) {
        self.remember(key);
        self.map.insert(key.clone(), value);
    }

    /// What the newest layer changed, in order of first touch; not what it touched and left as it was.
    pub fn changed(&self) -> impl Iterator<Item = &K>
    where
        V: PartialEq,
    {
        self.layers.back().into_iter().flat_map(|layer| layer.order.iter().filter(|key| self.has_changed(key)))
    }

    /// Whether the newest layer changed this one, and not back again.
    pub fn has_changed(&self, key: &K) -> bool
    where
        V: PartialEq,
    {
        let before = self.layers.back().and_then(|layer| layer.before.get(key));
        before.is_some_and(|before| before.as_ref() != self.map.get(key))
    }

    pub fn drop_oldest_layer(&mut self) {
        if planted::is(Bug::CommitDropsNewest) {
            self.layers.pop_back();
        } else if !planted::is(Bug::LayerLeaked) {
            self.layers.pop_front();
        }
    }

    /// Puts back what the newest layer touched; gives each key with the value that it had before and the one that it
    /// lost.
    pub fn take_back(&mut self, mut changed: impl FnMut(&K, Option<&V>, Option<&V>)) {
        let oldest_first = planted::is(Bug::TakenBackOldestFirst);
        let layer = if oldest_first { self.layers.pop_front() } else { self.layers.pop_back() };
        let Some(layer) = layer else { return };
        for (key, before) in layer.before {
            let lost = match before.clone() {
                Some(value) => self.map.insert(key.clone(), value),
                None => self.map.remove(&key),
            };
            changed(&key, before.as_ref(), lost.as_ref());
        }
    }

    fn remember(&mut self, key: &K) {
        let Some(layer) = self.layers.back_mut() else { return };
        if !layer.before.contains_key(key) {
            layer.before.insert(key.clone(), self.map.get(key).cloned());
            layer.order.push(key.clone());
        }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Default for Journaled<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_taken_back_newest_first() {
        let mut table = Journaled::new();
        table.insert(&"a", 1);
        table.open_layer();
        *table.edit(&"a", || 0) += 1;
        table.insert(&"b", 7);
        table.open_layer();
        table.remove(&"a");
        *table.edit(&"b", || 0) += 1;
        table.insert(&"c", 1);
        table.remove(&"c");
        assert_eq!(table.changed().collect::<Vec<_>>(), [&"a", &"b"]);
        table.take_back(|_, _, _| {});
        assert_eq!((table.get(&"a"), table.get(&"b")), (Some(&2), Some(&7)));
        table.take_back(|_, _, _| {});
        assert_eq!((table.get(&"a"), table.get(&"b")), (Some(&1), None));
    }
}
