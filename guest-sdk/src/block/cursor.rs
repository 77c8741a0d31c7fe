//! A place on a disk, to be read and written byte by byte.
//!
//! Owns no more than a buffer: every read and write is a request, and one that begins or ends within a sector reads that first. Bytes are durable
//! after a flush.

use super::{Disk, Error, SECTOR};
use alloc::vec::Vec;
use embedded_io::SeekFrom;

/// The most bytes that one call moves.
const MOST: usize = 64 << 10;

/// A place on a disk, with the traits of `embedded-io` and, for tasks, of `embedded-io-async`.
///
/// ```no_run
/// use embedded_io::{Read, Seek, SeekFrom};
/// use guest_sdk::block::{Cursor, Disk};
/// let mut disk = Cursor::new(Disk::open("disk0")?);
/// let mut signature = [0; 2];
/// disk.seek(SeekFrom::Start(510))?;
/// disk.read_exact(&mut signature).expect("the end of the first sector");
/// # Ok::<(), guest_sdk::block::Error>(())
/// ```
#[derive(Debug)]
pub struct Cursor {
    disk: Disk,
    position: u64,
    buffer: Vec<u8>,
}

/// The sectors that are moved for bytes at a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    sector: u64,
    /// How many bytes they are.
    bytes: usize,
    /// The first of those that are wanted, and how many.
    skip: usize,
    len: usize,
}

impl Span {
    /// What one request reads of `len` bytes at a position; nothing at the disk's end.
    fn to_read(position: u64, len: usize, end: u64, most: usize) -> Option<Span> {
        let left = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
        let skip = (position % SECTOR as u64) as usize;
        let len = len.min(left).min(most.saturating_sub(skip));
        (len != 0).then_some(Span {
            sector: position / SECTOR as u64,
            bytes: (skip + len).next_multiple_of(SECTOR),
            skip,
            len,
        })
    }

    /// What one request writes: part of a sector, or whole sectors.
    fn to_write(position: u64, len: usize, end: u64, most: usize) -> Option<Span> {
        let span = Span::to_read(position, len, end, most)?;
        let len = match span.skip != 0 || span.len < SECTOR {
            true => span.len.min(SECTOR - span.skip),
            false => span.len - span.len % SECTOR,
        };
        let bytes = (span.skip + len).next_multiple_of(SECTOR);
        Some(Span { bytes, len, ..span })
    }

    /// Whether the sectors must be read before they are written.
    fn is_partial(&self) -> bool {
        self.len != self.bytes
    }
}

impl Cursor {
    /// The disk's beginning.
    #[must_use]
    pub fn new(disk: Disk) -> Cursor {
        Cursor {
            disk,
            position: 0,
            buffer: Vec::new(),
        }
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Bytes of the disk.
    fn end(&self) -> u64 {
        self.disk.sectors().saturating_mul(SECTOR as u64)
    }

    fn most(&self) -> usize {
        self.disk.longest().min(MOST)
    }

    /// The buffer, so long.
    fn room(&mut self, len: usize) -> Vec<u8> {
        let mut buffer = core::mem::take(&mut self.buffer);
        buffer.resize(len, 0);
        buffer
    }

    /// Takes what was read.
    fn taken(&mut self, span: Span, buffer: Vec<u8>, bytes: &mut [u8]) -> usize {
        bytes[..span.len].copy_from_slice(&buffer[span.skip..span.skip + span.len]);
        self.moved(span, buffer)
    }

    fn moved(&mut self, span: Span, buffer: Vec<u8>) -> usize {
        self.buffer = buffer;
        self.position += span.len as u64;
        span.len
    }

    fn span_to_read(&self, len: usize) -> Option<Span> {
        Span::to_read(self.position, len, self.end(), self.most())
    }

    /// As `embedded-io` has it, writing nothing is an error unless nothing was to be written.
    fn span_to_write(&self, len: usize) -> Result<Option<Span>, Error> {
        let span = Span::to_write(self.position, len, self.end(), self.most());
        match span.is_none() && len != 0 {
            true => Err(Error::BeyondEnd),
            false => Ok(span),
        }
    }

    fn seek_to(&mut self, to: SeekFrom) -> Result<u64, Error> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.end().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let position = position.filter(|position| *position <= self.end());
        self.position = position.ok_or(Error::BeyondEnd)?;
        Ok(self.position)
    }
}

impl embedded_io::ErrorType for Cursor {
    type Error = Error;
}

impl embedded_io::Read for Cursor {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let Some(span) = self.span_to_read(bytes.len()) else {
            return Ok(0);
        };
        let buffer = self.room(span.bytes);
        let buffer = self.disk.read_blocking(span.sector, buffer)?;
        Ok(self.taken(span, buffer, bytes))
    }
}

impl embedded_io::Write for Cursor {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let Some(span) = self.span_to_write(bytes.len())? else {
            return Ok(0);
        };
        let mut buffer = self.room(span.bytes);
        if span.is_partial() {
            buffer = self.disk.read_blocking(span.sector, buffer)?;
        }
        buffer[span.skip..span.skip + span.len].copy_from_slice(&bytes[..span.len]);
        let buffer = self.disk.write_blocking(span.sector, buffer)?;
        Ok(self.moved(span, buffer))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.disk.flush_blocking()
    }
}

impl embedded_io::Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Error> {
        self.seek_to(to)
    }
}

impl embedded_io_async::Read for Cursor {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let Some(span) = self.span_to_read(bytes.len()) else {
            return Ok(0);
        };
        let buffer = self.room(span.bytes);
        let buffer = self.disk.read(span.sector, buffer).await?;
        Ok(self.taken(span, buffer, bytes))
    }
}

impl embedded_io_async::Write for Cursor {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let Some(span) = self.span_to_write(bytes.len())? else {
            return Ok(0);
        };
        let mut buffer = self.room(span.bytes);
        if span.is_partial() {
            buffer = self.disk.read(span.sector, buffer).await?;
        }
        buffer[span.skip..span.skip + span.len].copy_from_slice(&bytes[..span.len]);
        let buffer = self.disk.write(span.sector, buffer).await?;
        Ok(self.moved(span, buffer))
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.disk.flush().await
    }
}

impl embedded_io_async::Seek for Cursor {
    async fn seek(&mut self, to: SeekFrom) -> Result<u64, Error> {
        self.seek_to(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_of_the_sectors_around() {
        let read = |position, len| Span::to_read(position, len, 5120, 2048);
        let span = |sector, bytes, skip, len| {
            Some(Span {
                sector,
                bytes,
                skip,
                len,
            })
        };
        assert_eq!(read(0, 512), span(0, 512, 0, 512));
        assert_eq!(read(510, 4), span(0, 1024, 510, 4));
        assert_eq!(read(513, 1 << 20), span(1, 2048, 1, 2047));
        assert_eq!(read(5119, 10), span(9, 512, 511, 1));
        assert_eq!(
            (read(5120, 1), read(u64::MAX, 1), read(0, 0)),
            (None, None, None)
        );
    }

    #[test]
    fn writes_are_of_a_part_or_of_whole_sectors() {
        let write = |position, len| Span::to_write(position, len, 5120, 2048);
        for (position, len, sector, bytes, skip, taken) in [
            (0, 512, 0, 512, 0, 512),
            (0, 100, 0, 512, 0, 100),
            (510, 1000, 0, 512, 510, 2),
            (512, 1000, 1, 512, 0, 512),
            (512, 1 << 20, 1, 2048, 0, 2048),
            (4608, 1024, 9, 512, 0, 512),
        ] {
            let span = write(position, len).unwrap();
            let expected = Span {
                sector,
                bytes,
                skip,
                len: taken,
            };
            assert_eq!(span, expected);
            assert_eq!(span.is_partial(), taken % 512 != 0);
        }
        assert_eq!(write(5120, 1), None);
    }
}
