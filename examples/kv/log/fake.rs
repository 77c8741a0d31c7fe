//! A disk that fails at a chosen moment, and then has of what was not flushed whatever it likes, sector by sector.

use super::Disk;
use super::record::SECTOR;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;

type Sector = [u8; SECTOR];

/// The disk.
pub struct Fake {
    durable: RefCell<Vec<Sector>>,
    /// What was written since the last flush, in its order.
    pending: RefCell<Vec<(usize, Sector)>>,
    /// Sectors that may still be written, and flushes made, before it fails.
    patience: Cell<usize>,
    flushes: Cell<usize>,
}

/// It has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as it was told to")
    }
}

impl Fake {
    /// An empty one, which does not fail.
    pub fn new(sectors: usize) -> Fake {
        Fake {
            durable: RefCell::new(vec![[0; SECTOR]; sectors]),
            pending: RefCell::new(vec![]),
            patience: Cell::new(usize::MAX),
            flushes: Cell::new(0),
        }
    }

    /// Fails after so many sectors and flushes.
    pub fn fail_after(&self, patience: usize) {
        self.patience.set(patience);
    }

    /// Loses its power: each sector that was written since the last flush is as it was then, or as it was written at any time since.
    pub fn lose_power(&self, mut choice: impl FnMut(usize) -> usize) {
        let mut durable = self.durable.borrow_mut();
        let mut pending = self.pending.take();
        pending.sort_by_key(|(sector, _)| *sector);
        for versions in pending.chunk_by(|a, b| a.0 == b.0) {
            let chosen = choice(versions.len() + 1);
            if let Some((sector, bytes)) = chosen.checked_sub(1).map(|n| versions[n]) {
                durable[sector] = bytes;
            }
        }
        self.patience.set(usize::MAX);
    }

    /// Flips a bit.
    pub fn damage(&self, sector: usize, byte: usize) {
        self.durable.borrow_mut()[sector][byte] ^= 0x10;
    }

    /// How often it was flushed.
    pub fn flushes(&self) -> usize {
        self.flushes.get()
    }

    fn spend(&self) -> Result<(), Failed> {
        let rest = self.patience.get().checked_sub(1).ok_or(Failed)?;
        self.patience.set(rest);
        Ok(())
    }
}

impl Disk for &Fake {
    type Error = Failed;

    fn sectors(&self) -> u64 {
        self.durable.borrow().len() as u64
    }

    fn longest(&self) -> usize {
        3 * SECTOR
    }

    async fn read(&self, sector: u64, bytes: usize) -> Result<Vec<u8>, Failed> {
        let first = sector as usize;
        let mut found = self.durable.borrow()[first..first + bytes / SECTOR].to_vec();
        for (sector, bytes) in self.pending.borrow().iter() {
            if let Some(place) = sector.checked_sub(first).and_then(|n| found.get_mut(n)) {
                *place = *bytes;
            }
        }
        Ok(found.concat())
    }

    async fn write(&self, sector: u64, bytes: Vec<u8>) -> Result<(), Failed> {
        assert!(
            bytes.len() <= self.longest()
                && sector + (bytes.len() / SECTOR) as u64 <= self.sectors()
        );
        for (index, bytes) in bytes.as_chunks().0.iter().enumerate() {
            self.spend()?;
            let written = (sector as usize + index, *bytes);
            self.pending.borrow_mut().push(written);
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), Failed> {
        self.spend()?;
        self.flushes.set(self.flushes.get() + 1);
        let mut durable = self.durable.borrow_mut();
        for (sector, bytes) in self.pending.take() {
            durable[sector] = bytes;
        }
        Ok(())
    }
}
