//! What a disk may hold: of each sector the bytes that it may consist of, as writes were asked for, answered and given up.

use crate::virtio::block::request::SECTOR;
use std::ops::Range;

type Bytes = [u8; SECTOR as usize];

/// What a sector may consist of.
struct Version {
    bytes: Bytes,
    /// Whose write, and when that ended.
    by: u64,
    settled: Option<u64>,
    /// When a later write was answered, after which it is certainly not there any more.
    gone: Option<u64>,
}

/// All sectors.
pub(super) struct Model {
    sectors: Vec<Vec<Version>>,
    now: u64,
}

/// The sectors of a range of bytes.
fn sectors(at: u64, len: u64) -> Range<usize> {
    (at / SECTOR) as usize..((at + len) / SECTOR) as usize
}

impl Model {
    /// A disk that consists of these bytes.
    pub fn new(disk: &[u8]) -> Model {
        let mut model = Model {
            sectors: Vec::new(),
            now: 1,
        };
        model.is(disk);
        model
    }

    /// Nothing is on its way: the disk consists of these bytes.
    pub fn is(&mut self, disk: &[u8]) {
        let sectors = disk.chunks_exact(SECTOR as usize);
        let known = |bytes: &[u8]| {
            vec![Version {
                bytes: bytes.try_into().unwrap(),
                by: 0,
                settled: Some(0),
                gone: None,
            }]
        };
        self.sectors = sectors.map(known).collect();
    }

    /// Somebody asks for something now: when that is.
    pub fn ask(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// These bytes may be there from now on.
    pub fn may_be(&mut self, at: u64, bytes: &[u8], by: u64) {
        let range = sectors(at, bytes.len() as u64);
        let sectors = self.sectors[range].iter_mut();
        for (sector, bytes) in sectors.zip(bytes.chunks_exact(SECTOR as usize)) {
            sector.push(Version {
                bytes: bytes.try_into().unwrap(),
                by,
                settled: None,
                gone: None,
            });
        }
    }

    /// A write has ended that was asked for at `by`; `certainly`: it was answered that all of it is there.
    pub fn ended(&mut self, at: u64, len: u64, by: u64, certainly: bool) {
        self.now += 1;
        for sector in &mut self.sectors[sectors(at, len)] {
            for version in sector.iter_mut().filter(|version| version.by == by) {
                version.settled = Some(self.now);
            }
            let before = |version: &&mut Version| version.settled.is_some_and(|at| at < by);
            if certainly {
                for version in sector.iter_mut().filter(before) {
                    version.gone.get_or_insert(self.now);
                }
            }
        }
    }

    /// Checks what was read, and asked for at `since`: every byte was there at a time since then.
    pub fn explains(&self, at: u64, bytes: &[u8], since: u64) {
        for (index, bytes) in sectors(at, bytes.len() as u64).zip(bytes.chunks(SECTOR as usize)) {
            let there = |version: &&Version| version.gone.is_none_or(|gone| gone > since);
            let sector: Vec<_> = self.sectors[index].iter().filter(there).collect();
            if sector.iter().any(|version| version.bytes == *bytes) {
                continue;
            }
            // One write may have come in the midst of another.
            for (offset, byte) in bytes.iter().enumerate() {
                let known = sector.iter().any(|version| version.bytes[offset] == *byte);
                assert!(
                    known,
                    "byte {offset} of sector {index} is {byte:#x}, which nobody wrote there"
                );
            }
        }
    }

    /// Checks the disk itself, and knows it from now on. Nothing is on its way.
    pub fn settle(&mut self, disk: &[u8]) {
        self.now += 1;
        self.explains(0, disk, self.now);
        self.is(disk);
    }
}
