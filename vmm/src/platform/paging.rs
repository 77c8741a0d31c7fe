//! The page tables a guest starts with: four-level, identity-mapped (Intel SDM volume 3, 4.5).
//!
//! Written before the guest runs and never by the host again: from then on they are the guest's. (Software KVM shadows
//! them and would not notice an edit by the host.)

use crate::memory::{Memory, OutOfRange};
use hypercall_abi::{Gpa, map};
use map::PAGE_SIZE;
use zerocopy::IntoBytes;

/// What a page allows: the low flag bits and NX of its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Access(u64);

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
/// Set from the start, so that the processor never has to write to a table of ours.
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// In a directory entry: a leaf of 2 MiB.
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

const LEAF: u64 = PRESENT | ACCESSED | DIRTY;
const TABLE: u64 = PRESENT | WRITABLE | USER | ACCESSED;
const LARGE_PAGE: u64 = 2 << 20;
const ENTRIES: usize = 512;

impl Access {
    pub const READ: Access = Access(LEAF | USER | NO_EXECUTE);
    pub const WRITE: Access = Access(LEAF | USER | WRITABLE | NO_EXECUTE);
    pub const EXECUTE: Access = Access(LEAF | USER);
    pub const RING0: Access = Access(LEAF | WRITABLE | NO_EXECUTE);
    pub const RING0_EXECUTE: Access = Access(LEAF);
}

/// Why page tables could not be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooScattered;

impl From<OutOfRange> for TooScattered {
    fn from(_: OutOfRange) -> TooScattered {
        TooScattered
    }
}

/// Maps ranges (rising, page-aligned, without overlap, below [`map::MAX_MEMORY`]) at [`map::PAGE_TABLES`], with 2 MiB
/// pages where a range allows.
///
/// # Errors
/// [`TooScattered`] where the ranges need more tables than there is room for.
pub(crate) fn map_all(memory: &Memory, ranges: &[(u64, u64, Access)]) -> Result<(), TooScattered> {
    let mut tables = Tables {
        pages: vec![[0; ENTRIES]],
    };
    for &(start, end, access) in ranges {
        let mut at = start;
        while at < end {
            at += tables.map_one(at, end, access)?;
        }
    }
    for (index, table) in tables.pages.iter().enumerate() {
        memory.write(Gpa(address(index)), table.as_bytes())?;
    }
    Ok(())
}

/// Tables under construction, the root first; each will be the page after the one before it.
struct Tables {
    pages: Vec<[u64; ENTRIES]>,
}

/// Where in guest memory a table will be.
fn address(index: usize) -> u64 {
    map::PAGE_TABLES + index as u64 * PAGE_SIZE
}

impl Tables {
    /// Maps the page at `at`, the largest that fits before `end`, and says how large it is.
    fn map_one(&mut self, at: u64, end: u64, access: Access) -> Result<u64, TooScattered> {
        let pointers = self.descend(0, at >> 39)?;
        let directory = self.descend(pointers, at >> 30)?;
        if at.is_multiple_of(LARGE_PAGE) && end - at >= LARGE_PAGE {
            *self.entry(directory, at >> 21)? = at | access.0 | LARGE;
            return Ok(LARGE_PAGE);
        }
        let table = self.descend(directory, at >> 21)?;
        *self.entry(table, at >> 12)? = at | access.0;
        Ok(PAGE_SIZE)
    }

    /// The table an entry points to, made if it is not there.
    fn descend(&mut self, table: usize, index: u64) -> Result<usize, TooScattered> {
        let next = self.pages.len();
        let entry = self.entry(table, index)?;
        if *entry & PRESENT != 0 {
            let page = (*entry & !(PAGE_SIZE - 1)) - map::PAGE_TABLES;
            return usize::try_from(page / PAGE_SIZE).map_err(|_| TooScattered);
        }
        *entry = address(next) | TABLE;
        if address(next) >= map::RAM_BASE {
            return Err(TooScattered);
        }
        self.pages.push([0; ENTRIES]);
        Ok(next)
    }

    fn entry(&mut self, table: usize, index: u64) -> Result<&mut u64, TooScattered> {
        let table = self.pages.get_mut(table).ok_or(TooScattered)?;
        table.get_mut(index as usize % ENTRIES).ok_or(TooScattered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks the tables as the processor would.
    fn walk(memory: &Memory, address: u64) -> Option<(u64, u64)> {
        let mut table = map::PAGE_TABLES;
        for shift in [39, 30, 21, 12] {
            let entry: u64 = memory
                .load(Gpa(table + (address >> shift) % 512 * 8))
                .unwrap();
            if entry & PRESENT == 0 {
                return None;
            }
            if shift == 12 || entry & LARGE != 0 {
                let size = 1 << shift;
                let base = entry & !NO_EXECUTE & !(size - 1);
                return Some((
                    base + address % size,
                    entry & (WRITABLE | USER | NO_EXECUTE),
                ));
            }
            table = entry & !(PAGE_SIZE - 1);
        }
        None
    }

    #[test]
    fn every_page_translates_to_itself_with_its_access() {
        let memory = Memory::new(8 << 20).unwrap();
        let ranges = [
            (0x1_0000, 0x1_1000, Access::EXECUTE),
            (0x10_0000, 0x20_1000, Access::WRITE),
            (0x20_1000, 0x20_3000, Access::READ),
            (0x20_4000, 0x80_0000, Access::WRITE),
        ];
        map_all(&memory, &ranges).unwrap();
        for page in (0..0x80_0000).step_by(4096) {
            let expected = ranges
                .iter()
                .find(|(start, end, _)| (*start..*end).contains(&page))
                .map(|(_, _, access)| (page, access.0 & (WRITABLE | USER | NO_EXECUTE)));
            assert_eq!(walk(&memory, page), expected, "{page:#x}");
        }
    }

    #[test]
    fn the_most_memory_fits_and_more_scattering_than_room_is_refused() {
        let memory = Memory::new(map::MAX_MEMORY).unwrap();
        let whole = [(map::RAM_BASE, map::MAX_MEMORY, Access::WRITE)];
        map_all(&memory, &whole).unwrap();
        assert_eq!(
            walk(&memory, map::MAX_MEMORY - 8).unwrap().0,
            map::MAX_MEMORY - 8
        );

        let scattered: Vec<_> = (0..60u64)
            .map(|i| (i * LARGE_PAGE + 4096, i * LARGE_PAGE + 8192, Access::READ))
            .collect();
        assert_eq!(
            map_all(&Memory::new(2 << 20).unwrap(), &scattered),
            Err(TooScattered)
        );
    }
}
