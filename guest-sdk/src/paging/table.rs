//! Four-level page tables as the processor reads them: a walk over any memory that holds them.
//!
//! Owns the entry format, the splitting of large pages, and which edits a processor may not notice by itself. Where the tables are is
//! its caller's business.

use super::Error;
use core::ops::Range;

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Both set from the start: the processor then need not write to the entry at a page's first use, and KVM that shadows the tables brings in
/// neighbours with a page, and lets it be written, at its first fault.
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// An entry that leads to a table: what is allowed is said at the leaf.
const TABLE: u64 = PRESENT | WRITE | USER | ACCESSED;
const ENTRIES: u64 = 512;
/// The end of the lower half of the address space.
const END: u64 = 1 << 47;

/// Memory that holds page tables.
pub(super) trait Tables {
    /// An entry of the table at an address.
    fn read(&self, table: u64, index: usize) -> u64;
    /// Writes an entry.
    fn write(&mut self, table: u64, index: usize, entry: u64);
    /// The address of a new table, all zeros.
    fn allocate(&mut self) -> Option<u64>;
}

/// What may be done with a page beside reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// It may be written.
    pub write: bool,
    /// It may be executed.
    pub execute: bool,
}

impl Access {
    /// Reading only.
    pub const READ: Access = Access {
        write: false,
        execute: false,
    };
    /// Reading and writing.
    pub const READ_WRITE: Access = Access {
        write: true,
        execute: false,
    };
    /// Reading and executing.
    pub const READ_EXECUTE: Access = Access {
        write: false,
        execute: true,
    };

    fn of(entry: u64) -> Access {
        Access {
            write: entry & WRITE != 0,
            execute: entry & NO_EXECUTE == 0,
        }
    }

    fn bits(self) -> u64 {
        let write = if self.write { WRITE | DIRTY } else { 0 };
        let execute = if self.execute { 0 } else { NO_EXECUTE };
        PRESENT | USER | ACCESSED | write | execute
    }
}

/// A page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The physical address behind the address that was looked up.
    pub physical: u64,
    /// What may be done there.
    pub access: Access,
    /// Bytes of the page: 4 KiB, 2 MiB or 1 GiB.
    pub size: u64,
}

/// Bytes that an entry of a table at a level stands for; level 0 holds 4 KiB pages, level 3 is the root.
const fn span(level: u32) -> u64 {
    1 << (12 + 9 * level)
}

const fn index(address: u64, level: u32) -> usize {
    ((address >> (12 + 9 * level)) & (ENTRIES - 1)) as usize
}

/// The place of an entry.
#[derive(Clone, Copy)]
struct Place {
    table: u64,
    index: usize,
    level: u32,
}

/// A walk through the tables below one root.
pub(super) struct Walk<T> {
    tables: T,
    root: u64,
    replaced: bool,
}

impl<T: Tables> Walk<T> {
    pub(super) fn new(tables: T, root: u64) -> Walk<T> {
        Walk {
            tables,
            root,
            replaced: false,
        }
    }

    /// Whether an entry that was present has been replaced or removed, so that processors may remember what it said. They remember nothing
    /// of an entry that is not present (Intel SDM volume 3, 4.10.2.3): one that comes to be needs no flush (4.10.4.3).
    pub(super) fn has_replaced(&self) -> bool {
        self.replaced
    }

    pub(super) fn lookup(&self, address: u64) -> Option<Mapping> {
        if address >= END {
            return None;
        }
        let place = self.leaf(address, 0);
        let entry = self.read(place);
        let size = span(place.level);
        (entry & PRESENT != 0).then(|| Mapping {
            physical: (entry & ADDRESS & !(size - 1)) + (address & (size - 1)),
            access: Access::of(entry),
            size,
        })
    }

    pub(super) fn map(
        &mut self,
        pages: Range<u64>,
        physical: u64,
        access: Access,
    ) -> Result<(), Error> {
        check(&pages)?;
        let length = pages.end - pages.start;
        let end = physical.checked_add(length).ok_or(Error::BadRange)?;
        if !physical.is_multiple_of(span(0)) || end > ADDRESS {
            return Err(Error::BadRange);
        }
        let mut address = pages.start;
        while address < pages.end {
            let target = physical + (address - pages.start);
            let fits = target.is_multiple_of(span(1)) && whole(address, pages.end, 1);
            let place = self.make(address, u32::from(fits))?;
            let large = if place.level > 0 { LARGE } else { 0 };
            self.write(place, target | access.bits() | large);
            address += span(place.level);
        }
        Ok(())
    }

    pub(super) fn unmap(&mut self, pages: Range<u64>) -> Result<(), Error> {
        self.edit(pages, |_| 0)
    }

    pub(super) fn protect(&mut self, pages: Range<u64>, access: Access) -> Result<(), Error> {
        self.edit(pages, |entry| entry & !(WRITE | NO_EXECUTE) | access.bits())
    }

    /// Changes the entries of pages that exist.
    fn edit(&mut self, pages: Range<u64>, change: impl Fn(u64) -> u64) -> Result<(), Error> {
        check(&pages)?;
        let mut address = pages.start;
        while address < pages.end {
            let mut place = self.leaf(address, 0);
            let entry = self.read(place);
            if entry & PRESENT == 0 {
                return Err(Error::NotMapped(address));
            }
            while place.level > 0 && !whole(address, pages.end, place.level) {
                let table = self.split(place)?;
                place = Place {
                    table,
                    index: index(address, place.level - 1),
                    level: place.level - 1,
                };
            }
            self.write(place, change(self.read(place)));
            address += span(place.level);
        }
        Ok(())
    }

    /// The entry that decides about an address: at `lowest` or above, if the walk ends there.
    fn leaf(&self, address: u64, lowest: u32) -> Place {
        let mut place = Place {
            table: self.root,
            index: index(address, 3),
            level: 3,
        };
        while place.level > lowest {
            let entry = self.read(place);
            if entry & PRESENT == 0 || entry & LARGE != 0 {
                break;
            }
            let level = place.level - 1;
            place = Place {
                table: entry & ADDRESS,
                index: index(address, level),
                level,
            };
        }
        place
    }

    /// The entry for an address at a level, with the tables above it made or split out as needed.
    fn make(&mut self, address: u64, level: u32) -> Result<Place, Error> {
        let mut place = self.leaf(address, level);
        while place.level > level {
            let table = if self.read(place) & PRESENT == 0 {
                self.descend(place)?
            } else {
                self.split(place)?
            };
            place = Place {
                table,
                index: index(address, place.level - 1),
                level: place.level - 1,
            };
        }
        Ok(place)
    }

    /// Makes an absent entry lead to an empty table.
    fn descend(&mut self, place: Place) -> Result<u64, Error> {
        let table = self.tables.allocate().ok_or(Error::NoMemory)?;
        self.write(place, table | TABLE);
        Ok(table)
    }

    /// Replaces a large page by a table of pages one size smaller that mean the same. Whichever of the two a processor remembers, it finds the
    /// same memory; but it may remember both at once, which some processors answer with a machine check, and a later flush of one small page
    /// need not reach the large one. So this counts as replacing.
    fn split(&mut self, place: Place) -> Result<u64, Error> {
        let entry = self.read(place);
        let level = place.level - 1;
        let table = self.tables.allocate().ok_or(Error::NoMemory)?;
        let large = if level > 0 { LARGE } else { 0 };
        let kept = entry & !(ADDRESS | LARGE) | large;
        let start = entry & ADDRESS & !(span(place.level) - 1);
        for part in 0..ENTRIES {
            let entry = (start + part * span(level)) | kept;
            self.tables.write(table, part as usize, entry);
        }
        self.write(place, table | TABLE);
        Ok(table)
    }

    fn read(&self, place: Place) -> u64 {
        self.tables.read(place.table, place.index)
    }

    fn write(&mut self, place: Place, entry: u64) {
        self.replaced |= self.read(place) & PRESENT != 0;
        self.tables.write(place.table, place.index, entry);
    }
}

fn check(pages: &Range<u64>) -> Result<(), Error> {
    let aligned = pages.start.is_multiple_of(span(0)) && pages.end.is_multiple_of(span(0));
    if aligned && pages.start <= pages.end && pages.end <= END {
        Ok(())
    } else {
        Err(Error::BadRange)
    }
}

/// Whether an entry of a level at `address` lies wholly before `end`.
fn whole(address: u64, end: u64, level: u32) -> bool {
    address.is_multiple_of(span(level)) && end - address >= span(level)
}

#[cfg(test)]
mod tests;
