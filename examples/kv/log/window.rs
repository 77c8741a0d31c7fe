//! The part of a half that is in memory while its records are read.

use super::record::SECTOR;
use super::{Disk, Error};
use alloc::vec::Vec;

/// Sectors that are read ahead.
const AHEAD: u64 = 128;

/// Some sectors of a half that follow each other.
pub struct Window {
    /// The half's first sector on the disk, and how many it has.
    start: u64,
    sectors: u64,
    /// The first one that is here, from the half's beginning.
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// None, of a half of so many sectors.
    pub fn new(start: u64, sectors: u64) -> Window {
        Window {
            start,
            sectors,
            at: 0,
            bytes: Vec::new(),
        }
    }

    /// So many sectors from one on; none where the half has not so many.
    pub async fn get<D: Disk>(
        &mut self,
        disk: &D,
        at: u64,
        count: u64,
    ) -> Result<&[u8], Error<D::Error>> {
        if at + count > self.sectors {
            return Ok(&[]);
        }
        let here = self.bytes.len() as u64 / SECTOR as u64;
        if at < self.at || at + count > self.at + here {
            let end = self.sectors.min(at + count.max(AHEAD));
            self.at = at;
            self.bytes.clear();
            self.read(disk, end).await?;
        }
        // All of it is in memory.
        let from = (at - self.at) as usize * SECTOR;
        Ok(&self.bytes[from..from + count as usize * SECTOR])
    }

    /// Reads on, up to a sector.
    async fn read<D: Disk>(&mut self, disk: &D, end: u64) -> Result<(), Error<D::Error>> {
        let mut at = self.at;
        while at < end {
            let bytes = disk.longest().min((end - at) as usize * SECTOR);
            let part = disk.read(self.start + at, bytes).await;
            self.bytes.extend(part.map_err(Error::Disk)?);
            at += (bytes / SECTOR) as u64;
        }
        Ok(())
    }
}
