//! Stores on disks that fail: what was acknowledged is there afterwards, and nothing that was never asked for.

use super::*;
use crate::log::fake::{Failed, Fake};
use alloc::collections::BTreeMap;
use alloc::vec;
use guest_sdk::executor::block_on;
use proptest::prelude::*;

/// Small enough that it is written anew every few groups.
const SECTORS: usize = 96;

/// What a store contains.
type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn apply(contents: &mut Contents, change: &Change) {
    match change {
        Change::Set(key, value) => {
            contents.insert(key.clone(), value.clone());
        }
        Change::Delete(keys) => keys.iter().for_each(|key| {
            contents.remove(key);
        }),
    }
}

fn contents(store: &Store<&Fake>) -> Contents {
    let (mut found, mut pieces) = (Contents::new(), pieces(&store.map));
    while let Some(piece) = pieces() {
        let changes = change::decode(&piece).unwrap();
        changes.iter().for_each(|change| apply(&mut found, change));
    }
    found
}

/// A life of the store: groups of changes, when the disk fails, and how it chooses what is left.
#[derive(Clone, Debug)]
struct Life {
    groups: Vec<Vec<Change>>,
    patience: usize,
    choices: u64,
}

fn a_key() -> impl Strategy<Value = Vec<u8>> {
    (0..6_u8).prop_map(|key| vec![key])
}

fn a_change() -> impl Strategy<Value = Change> {
    let len = prop_oneof![0..20_usize, 400..600_usize, 0..2500_usize];
    prop_oneof![
        3 => (a_key(), len, any::<u8>()).prop_map(|(key, len, byte)| Change::Set(key, vec![byte; len])),
        1 => prop::collection::vec(a_key(), 1..3).prop_map(Change::Delete),
    ]
}

fn a_life() -> impl Strategy<Value = Life> {
    let groups = prop::collection::vec(prop::collection::vec(a_change(), 1..4), 0..12);
    (groups, 0..200_usize, any::<u64>()).prop_map(|(groups, patience, choices)| Life {
        groups,
        patience,
        choices,
    })
}

/// Lives one after the other, each with a failure at its end.
fn live(lives: Vec<Life>) {
    let disk = Fake::new(SECTORS);
    // What may be there: what was acknowledged, and that with the group for which there was no answer.
    let mut possible = vec![Contents::new()];
    for mut life in lives {
        disk.fail_after(life.patience);
        match block_on(Store::open(&disk)) {
            Ok(mut store) => {
                let found = contents(&store);
                assert!(
                    possible.contains(&found),
                    "{found:?} is none of {possible:?}"
                );
                possible = vec![found];
                for group in life.groups {
                    let mut after = possible[0].clone();
                    match block_on(store.commit(group.clone())) {
                        Ok(done) => {
                            let is_made = |done: &Done| *done != Done::Full;
                            let made = group.iter().zip(&done).filter(|(_, done)| is_made(done));
                            made.for_each(|(change, _)| apply(&mut after, change));
                            possible = vec![after];
                            assert_eq!(contents(&store), possible[0]);
                        }
                        Err(error) => {
                            assert_eq!(error, Error::Disk(Failed));
                            assert_eq!(contents(&store), possible[0]);
                            group.iter().for_each(|change| apply(&mut after, change));
                            possible.push(after);
                            break;
                        }
                    }
                }
            }
            Err(error) => assert_eq!(error, Error::Disk(Failed)),
        }
        disk.lose_power(|count| {
            life.choices = life
                .choices
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(1);
            (life.choices >> 33) as usize % count
        });
    }
    let store = block_on(Store::open(&disk)).unwrap();
    assert!(possible.contains(&contents(&store)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn failures_lose_nothing_that_was_acknowledged(lives in prop::collection::vec(a_life(), 1..8)) {
        live(lives);
    }
}

/// The same groups, with a failure at every place where one can be.
#[test]
fn no_moment_is_a_bad_one() {
    let set = |key: u8, len| Change::Set(vec![key], vec![key; len]);
    let groups: Vec<_> = (0..40)
        .map(|n| vec![set(n % 9, 900), set(20, n.into())])
        .collect();
    for patience in 0..200 {
        for choices in 0..4 {
            let life = |patience| Life {
                groups: groups.clone(),
                patience,
                choices,
            };
            live(vec![life(patience), life(7), life(patience / 2), life(200)]);
        }
    }
}

#[test]
fn a_full_store_says_so_and_can_be_emptied() {
    let disk = Fake::new(SECTORS);
    let mut store = block_on(Store::open(&disk)).unwrap();
    let mut count = 0;
    loop {
        let set = Change::Set(vec![count], vec![count; 1000]);
        let [done] = block_on(store.commit(vec![set])).unwrap()[..] else {
            panic!("one change, one answer");
        };
        match done {
            Done::Full => break,
            done => assert_eq!(done, Done::Set),
        }
        count += 1;
    }
    assert!(count > 8, "{count}");
    let smaller = Change::Set(vec![0], vec![]);
    assert_eq!(block_on(store.commit(vec![smaller])), Ok(vec![Done::Set]));
    let delete = Change::Delete((0..=count).map(|key| vec![key]).collect());
    let done = block_on(store.commit(vec![delete]));
    assert_eq!(done, Ok(vec![Done::Deleted(count.into())]));
    drop(store);
    let store = block_on(Store::open(&disk)).unwrap();
    assert_eq!(contents(&store), Contents::new());
}
