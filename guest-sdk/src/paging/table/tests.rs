//! The walk over tables in a map, without a processor.

use super::*;
use std::collections::BTreeMap;

const ROOT: u64 = 0x1000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Tables in memory that has room for a few.
struct Fake {
    entries: BTreeMap<(u64, usize), u64>,
    next: u64,
    left: u32,
}

impl Tables for Fake {
    fn read(&self, table: u64, index: usize) -> u64 {
        self.entries.get(&(table, index)).copied().unwrap_or(0)
    }

    fn write(&mut self, table: u64, index: usize, entry: u64) {
        assert!(index < 512);
        self.entries.insert((table, index), entry);
    }

    fn allocate(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        self.next += 0x1000;
        Some(self.next)
    }
}

fn empty(tables: u32) -> Walk<Fake> {
    let fake = Fake {
        entries: BTreeMap::new(),
        next: ROOT,
        left: tables,
    };
    Walk::new(fake, ROOT)
}

/// The first 8 MiB mapped to themselves by large pages, and room for some tables more.
fn identity(tables: u32) -> Walk<Fake> {
    let mut walk = empty(tables + 2);
    walk.map(0..8 * MIB, 0, Access::READ_WRITE).unwrap();
    walk
}

fn page(physical: u64, access: Access, size: u64) -> Option<Mapping> {
    Some(Mapping {
        physical,
        access,
        size,
    })
}

#[test]
fn maps_by_the_largest_pages_that_fit() {
    let mut walk = empty(8);
    let pages = 2 * MIB - 0x1000..4 * MIB;
    walk.map(pages.clone(), pages.start, Access::READ_EXECUTE)
        .unwrap();
    assert_eq!(
        walk.lookup(2 * MIB - 1),
        page(2 * MIB - 1, Access::READ_EXECUTE, 0x1000)
    );
    assert_eq!(
        walk.lookup(3 * MIB + 5),
        page(3 * MIB + 5, Access::READ_EXECUTE, 2 * MIB)
    );
    assert_eq!(walk.lookup(4 * MIB), None);
    assert_eq!(walk.lookup(0), None);
    assert_eq!(walk.lookup(1 << 47), None);
}

#[test]
fn an_unaligned_target_takes_small_pages() {
    let mut walk = empty(8);
    walk.map(4 * MIB..6 * MIB, 0x5000, Access::READ).unwrap();
    assert_eq!(
        walk.lookup(4 * MIB + 0x1234),
        page(0x6234, Access::READ, 0x1000)
    );
    assert_eq!(walk.lookup(6 * MIB - 1).unwrap().size, 0x1000);
}

#[test]
fn protecting_one_page_splits_its_large_one() {
    let mut walk = identity(1);
    let at = 2 * MIB + 0x3000;
    walk.protect(at..at + 0x1000, Access::READ).unwrap();
    assert_eq!(walk.lookup(at), page(at, Access::READ, 0x1000));
    assert_eq!(
        walk.lookup(at - 1),
        page(at - 1, Access::READ_WRITE, 0x1000)
    );
    assert_eq!(
        walk.lookup(at + 0x1000),
        page(at + 0x1000, Access::READ_WRITE, 0x1000)
    );
    assert_eq!(
        walk.lookup(4 * MIB),
        page(4 * MIB, Access::READ_WRITE, 2 * MIB)
    );
}

#[test]
fn a_whole_large_page_is_edited_as_one() {
    let mut walk = identity(0);
    walk.protect(2 * MIB..6 * MIB, Access::READ).unwrap();
    assert_eq!(walk.lookup(5 * MIB), page(5 * MIB, Access::READ, 2 * MIB));
    walk.unmap(2 * MIB..4 * MIB).unwrap();
    assert_eq!(walk.lookup(3 * MIB), None);
    assert!(walk.lookup(4 * MIB).is_some());
}

#[test]
fn a_gigantic_page_splits_twice() {
    let mut walk = empty(3);
    let upper = walk.tables.allocate().unwrap();
    walk.tables.write(ROOT, 0, upper | TABLE);
    walk.tables
        .write(upper, 1, GIB | Access::READ_WRITE.bits() | LARGE);
    let at = GIB + 7 * MIB;
    walk.unmap(at..at + 0x1000).unwrap();
    assert_eq!(walk.lookup(at), None);
    assert_eq!(
        walk.lookup(at + 0x1000),
        page(at + 0x1000, Access::READ_WRITE, 0x1000)
    );
    let rest = GIB + 900 * MIB;
    assert_eq!(walk.lookup(rest), page(rest, Access::READ_WRITE, 2 * MIB));
}

#[test]
fn unmapped_and_mapped_again() {
    let mut walk = identity(1);
    walk.unmap(0x5000..0x6000).unwrap();
    assert_eq!(walk.lookup(0x5000), None);
    assert_eq!(
        walk.protect(0x4000..0x6000, Access::READ),
        Err(Error::NotMapped(0x5000))
    );
    walk.map(0x5000..0x6000, 0x5000, Access::READ_WRITE)
        .unwrap();
    assert_eq!(
        walk.lookup(0x5000),
        page(0x5000, Access::READ_WRITE, 0x1000)
    );
}

/// Whether an edit of some tables replaces something.
fn replaces(mut walk: Walk<Fake>, edit: impl FnOnce(&mut Walk<Fake>)) -> bool {
    walk.replaced = false;
    edit(&mut walk);
    walk.has_replaced()
}

#[test]
fn only_what_was_present_is_replaced() {
    const RW: Access = Access::READ_WRITE;
    assert!(!replaces(empty(8), |walk| {
        walk.map(0x5000..4 * MIB, 0x5000, RW).unwrap(); // new tables, small and large pages
        walk.map(GIB..GIB + 0x1000, 0, RW).unwrap();
        assert!(walk.lookup(0x5000).is_some());
        assert_eq!(walk.unmap(8 * MIB..9 * MIB), Err(Error::NotMapped(8 * MIB)));
    }));
    let edits: [fn(&mut Walk<Fake>); 5] = [
        |walk| walk.map(0..2 * MIB, 2 * MIB, RW).unwrap(),
        |walk| walk.unmap(0..2 * MIB).unwrap(),
        |walk| walk.protect(0..2 * MIB, Access::READ).unwrap(),
        // Means the same, but in small pages.
        |walk| walk.map(0x3000..0x4000, 0x3000, RW).unwrap(),
        // Fails after its first page.
        |walk| {
            let beyond = walk.unmap(6 * MIB..10 * MIB);
            assert_eq!(beyond, Err(Error::NotMapped(8 * MIB)));
        },
    ];
    for (index, edit) in edits.into_iter().enumerate() {
        assert!(replaces(identity(1), edit), "edit {index}");
    }
    // A large page where there was a table: processors may remember the table, however empty.
    let mut walk = identity(1);
    walk.unmap(0..0x1000).unwrap();
    walk.unmap(0x1000..2 * MIB).unwrap();
    assert!(replaces(walk, |walk| walk.map(0..2 * MIB, 0, RW).unwrap()));
}

#[test]
fn a_page_that_was_removed_is_new_again() {
    let mut walk = identity(1);
    walk.unmap(0x5000..0x6000).unwrap();
    assert!(!replaces(walk, |walk| {
        walk.map(0x5000..0x6000, 0x9000, Access::READ).unwrap();
    }));
}

#[test]
fn impossible_edits_are_refused() {
    let mut walk = identity(0);
    let backwards = core::ops::Range {
        start: 0x2000,
        end: 0x1000,
    };
    assert_eq!(walk.unmap(1..0x1000), Err(Error::BadRange));
    assert_eq!(walk.unmap(backwards), Err(Error::BadRange));
    assert_eq!(walk.unmap(0..(1 << 47) + 0x1000), Err(Error::BadRange));
    assert_eq!(
        walk.map(0..0x1000, u64::MAX - 0xfff, Access::READ),
        Err(Error::BadRange)
    );
    assert_eq!(
        walk.map(0..0x1000, 0x10, Access::READ),
        Err(Error::BadRange)
    );
    assert_eq!(walk.unmap(0x1000..0x2000), Err(Error::NoMemory));
    assert_eq!(
        walk.lookup(0x1000).unwrap().size,
        2 * MIB,
        "a failed split changes nothing"
    );
}
