//! The keys and their values, all of them in memory. Pure.

use crate::change::{self, Change};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

/// How many bytes make a piece of what is written when all of it is. Small where it is tested, so that there are several.
const PIECE: usize = if cfg!(test) { 3000 } else { 64 << 10 };

/// The map.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Map {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What its entries take when they are written down.
    bytes: usize,
}

impl Map {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that its entries take when they are written down.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// By how much a [`Change::Set`] makes it grow.
    pub fn growth(&self, key: &[u8], value: &[u8]) -> usize {
        let before = self.get(key).map_or(0, |value| change::cost(key, value));
        change::cost(key, value).saturating_sub(before)
    }

    /// Makes a change; says how many keys it met.
    pub fn apply(&mut self, change: Change) -> u64 {
        match change {
            Change::Set(key, value) => {
                let met = self.remove(&key);
                self.bytes += change::cost(&key, &value);
                self.entries.insert(key, value);
                met
            }
            Change::Delete(keys) => keys.iter().map(|key| self.remove(key)).sum(),
        }
    }

    fn remove(&mut self, key: &[u8]) -> u64 {
        let Some(value) = self.entries.remove(key) else {
            return 0;
        };
        self.bytes -= change::cost(key, &value);
        1
    }

    /// The entries after a key, from the first on, as far as they make a piece, written as changes; and the last of their keys. Which they are is
    /// said by the map's contents alone.
    pub fn piece(&self, after: Option<&[u8]>) -> Option<(Vec<u8>, Vec<u8>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut out, mut last) = (Vec::new(), None);
        for (key, value) in self.entries.range::<[u8], _>((from, Bound::Unbounded)) {
            change::encode_set(key, value, &mut out);
            last = Some(key);
            if out.len() >= PIECE {
                break;
            }
        }
        last.map(|key| (out, key.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn pieces_are_the_whole() {
        let mut map = Map::default();
        for number in 0..300_u32 {
            let key = number.to_le_bytes().to_vec();
            map.apply(Change::Set(key, vec![7; number as usize * 5]));
        }
        let (mut copy, mut after, mut count) = (Map::default(), None, 0);
        while let Some((piece, last)) = map.piece(after.as_deref()) {
            let changes = change::decode(&piece).unwrap();
            changes.into_iter().for_each(|change| {
                copy.apply(change);
            });
            after = Some(last);
            count += 1;
        }
        assert_eq!((copy.len(), copy.bytes()), (300, map.bytes()));
        assert!(copy == map && count > 3);
    }

    #[test]
    fn bytes_are_those_of_what_is_there() {
        let mut map = Map::default();
        let key = || b"key".to_vec();
        assert_eq!(map.growth(b"key", b"value"), 17);
        assert_eq!(map.apply(Change::Set(key(), b"value".to_vec())), 0);
        assert_eq!((map.bytes(), map.growth(b"key", b"valuable")), (17, 3));
        assert_eq!(map.growth(b"key", b""), 0);
        assert_eq!(map.apply(Change::Set(key(), vec![])), 1);
        assert_eq!(map.bytes(), 12);
        assert_eq!(map.apply(Change::Delete(vec![key(), key()])), 1);
        assert_eq!(map, Map::default());
    }
}
