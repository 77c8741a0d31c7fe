//! Hash tables whose hashing an outsider cannot predict, as in `std`.
//!
//! Owns the hash function's keys: SipHash 1-3, keyed from the boot page's seed without a call. The tables are `hashbrown`'s.
//!
//! ```
//! use guest_sdk::collections::HashMap;
//! let mut ages: HashMap<&str, u32> = HashMap::default();
//! ages.insert("ada", 36);
//! assert_eq!(ages["ada"], 36);
//! ```

use crate::platform::boot;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering};
use siphasher::sip::SipHasher13;

/// A map. Make one with `HashMap::default()`, where its type is known.
pub type HashMap<K, V, S = RandomState> = hashbrown::HashMap<K, V, S>;
/// A set. Make one with `HashSet::default()`, where its type is known.
pub type HashSet<T, S = RandomState> = hashbrown::HashSet<T, S>;

pub use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

/// The keys of one table's hash function.
#[derive(Clone, Copy, Debug)]
pub struct RandomState {
    keys: (u64, u64),
}

impl RandomState {
    /// Fresh keys.
    #[must_use]
    pub fn new() -> RandomState {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let [low, high, ..] = words(&boot().seed);
        // Each table has its own order, so that filling one from another stays linear.
        RandomState {
            keys: (low.wrapping_add(MADE.fetch_add(1, Ordering::Relaxed)), high),
        }
    }
}

fn words(seed: &[u8; 32]) -> [u64; 4] {
    core::array::from_fn(|word| core::array::from_fn(|byte| seed[word * 8 + byte]))
        .map(u64::from_le_bytes)
}

impl Default for RandomState {
    fn default() -> RandomState {
        RandomState::new()
    }
}

impl BuildHasher for RandomState {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.keys.0, self.keys.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hash_differently_and_find_their_own() {
        let (one, other) = (RandomState::new(), RandomState::new());
        assert_ne!(one.hash_one("key"), other.hash_one("key"));
        assert_eq!(one.hash_one("key"), one.hash_one("key"));
        let mut set: HashSet<u32> = HashSet::default();
        assert!(set.insert(7));
        assert!(!set.insert(7));
    }
}
