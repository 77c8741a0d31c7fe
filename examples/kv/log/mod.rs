//! The log: records on a disk, one behind the other, of which none is lost that was durable.
//!
//! The disk has two halves. One is in use: a label, a copy of everything as it once was, and behind it what has changed since, to the first record that does
//! not check. When it is full, everything as it is now is written into the other half, made durable, and only then labelled: a half without a newer label
//! is not looked at.
//!
//! # What a failure can leave behind
//! Of what was written since the last flush each sector is old or new. So a record may be there in part (its CRC says so), and one may be there although one
//! before it is not. The latter must not come back when its place is reached again, perhaps with the same records before it: each opening of the log begins a
//! *life*, makes a record of it durable before all others, and behind that no record of an earlier life is one.

pub mod record;
mod window;

use alloc::vec::Vec;
use core::fmt;
use record::{Label, Number, SECTOR};
use window::Window;

/// What a log is on. Sectors are numbered from 0.
pub trait Disk {
    /// What can go wrong with it.
    type Error: fmt::Display;

    /// How many sectors it has.
    fn sectors(&self) -> u64;
    /// The most bytes of one read or write.
    fn longest(&self) -> usize;
    /// Reads whole sectors.
    async fn read(&self, sector: u64, bytes: usize) -> Result<Vec<u8>, Self::Error>;
    /// Writes whole sectors.
    async fn write(&self, sector: u64, bytes: Vec<u8>) -> Result<(), Self::Error>;
    /// Makes durable what has been written.
    async fn flush(&self) -> Result<(), Self::Error>;
}

/// Why a log cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The disk failed. Whether what was being written is durable is not known, so nothing is written any more.
    Disk(E),
    /// The disk has no log, and something else.
    NotOurs,
    /// What was durable does not check any more, at this sector.
    Damaged(u64),
    /// There is no room.
    Full,
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Disk(error) => write!(f, "the disk failed: {error}"),
            Error::NotOurs => f.write_str(
                "the disk has something on it that is not this program's; give it an empty one",
            ),
            Error::Damaged(sector) => write!(f, "the disk is damaged at sector {sector}"),
            Error::Full => f.write_str("the disk is full"),
        }
    }
}

/// A log.
pub struct Log<D> {
    disk: D,
    /// Which half is in use, 0 or 1.
    half: u64,
    /// Where the next record goes, in sectors from the half's beginning, and its number.
    end: u64,
    next: Number,
}

impl<D: Disk> Log<D> {
    /// Opens the log of a disk, or makes one on a disk that is empty, and hands over the payloads of its records in their order; `replay` says whether it
    /// understands one. [`begin`](Log::begin) comes next.
    pub async fn open(
        disk: D,
        mut replay: impl FnMut(&[u8]) -> bool,
    ) -> Result<Log<D>, Error<D::Error>> {
        let mut log = Log {
            disk,
            half: 0,
            end: 1,
            next: Number::FIRST,
        };
        let Some((half, label)) = log.label().await? else {
            return Ok(log);
        };
        (log.half, log.next) = (half, label.first);
        let start = log.half_sectors() * half;
        let mut window = Window::new(start, log.half_sectors());
        while let Some(len) = record::measure(window.get(&log.disk, log.end, 1).await?, log.next) {
            let record = window.get(&log.disk, log.end, len).await?;
            let Some((number, payload)) = record::decode(record) else {
                break;
            };
            if !replay(payload) {
                return Err(Error::Damaged(start + log.end));
            }
            log.next = number.next();
            log.end += len;
        }
        if log.end < label.durable {
            return Err(Error::Damaged(start + log.end));
        }
        Ok(log)
    }

    /// The half in use and its label, if there is one; the first gets one on an empty disk.
    async fn label(&mut self) -> Result<Option<(u64, Label)>, Error<D::Error>> {
        let mut sectors = Vec::new();
        for half in 0..2 {
            let sector = self.disk.read(self.half_sectors() * half, SECTOR).await;
            sectors.push(sector.map_err(Error::Disk)?);
        }
        let labels = (0..2).zip(&sectors);
        let labels = labels.filter_map(|(half, sector)| Some((half, Label::decode(sector)?)));
        let newest = labels.max_by_key(|(_, label)| label.first.sequence);
        if newest.is_none() {
            if sectors.iter().flatten().any(|byte| *byte != 0) {
                return Err(Error::NotOurs);
            }
            self.name(0, Number::FIRST, 1).await?;
        }
        Ok(newest)
    }

    /// Begins a new life. Where there is no room for its record, everything is written anew, as [`rewrite`](Log::rewrite) does; what `pieces` yields then must be
    /// the same whenever the same was replayed: where that fails half way, the next to try has the same life.
    pub async fn begin(
        &mut self,
        pieces: impl FnMut() -> Option<Vec<u8>>,
    ) -> Result<(), Error<D::Error>> {
        self.next.life += 1;
        match self.has_room(0) {
            true => self.append(&[]).await,
            false => self.rewrite(pieces).await,
        }
    }

    /// Whether a record with a payload of so many bytes can be appended.
    pub fn has_room(&self, payload: usize) -> bool {
        self.end + record::sectors(payload) <= self.half_sectors()
    }

    /// Bytes of a half.
    pub fn half_bytes(&self) -> usize {
        usize::try_from(self.half_sectors()).map_or(usize::MAX, |n| n.saturating_mul(SECTOR))
    }

    /// Appends a record; it is durable when this has ended.
    pub async fn append(&mut self, payload: &[u8]) -> Result<(), Error<D::Error>> {
        let (end, next) = self.put(self.half, self.end, self.next, payload).await?;
        self.disk.flush().await.map_err(Error::Disk)?;
        (self.end, self.next) = (end, next);
        Ok(())
    }

    /// Writes everything anew, which `pieces` yields until there is no more of it, and forgets the records up to now.
    pub async fn rewrite(
        &mut self,
        mut pieces: impl FnMut() -> Option<Vec<u8>>,
    ) -> Result<(), Error<D::Error>> {
        let (half, first) = (1 - self.half, self.next);
        let (mut end, mut next) = (1, first);
        while let Some(piece) = pieces() {
            (end, next) = self.put(half, end, next, &piece).await?;
        }
        self.disk.flush().await.map_err(Error::Disk)?;
        self.name(half, first, end).await?;
        (self.half, self.end, self.next) = (half, end, next);
        Ok(())
    }

    /// Labels a half, of which so many sectors are durable.
    async fn name(&self, half: u64, first: Number, durable: u64) -> Result<(), Error<D::Error>> {
        let label = Label { first, durable }.encode();
        self.write(half * self.half_sectors(), label).await?;
        self.disk.flush().await.map_err(Error::Disk)
    }

    /// Writes a record; says where the next one goes, and its number.
    async fn put(
        &self,
        half: u64,
        at: u64,
        number: Number,
        payload: &[u8],
    ) -> Result<(u64, Number), Error<D::Error>> {
        let end = at + record::sectors(payload.len());
        if end > self.half_sectors() {
            return Err(Error::Full);
        }
        let record = record::encode(number, payload);
        self.write(half * self.half_sectors() + at, record).await?;
        Ok((end, number.next()))
    }

    async fn write(&self, mut sector: u64, mut bytes: Vec<u8>) -> Result<(), Error<D::Error>> {
        let longest = self.disk.longest();
        while !bytes.is_empty() {
            let rest = bytes.split_off(bytes.len().min(longest));
            let len = bytes.len() / SECTOR;
            let written = self.disk.write(sector, bytes).await;
            written.map_err(Error::Disk)?;
            sector += len as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn half_sectors(&self) -> u64 {
        self.disk.sectors() / 2
    }
}

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;
