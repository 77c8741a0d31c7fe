//! What a driver asks of a disk (virtio 1.2, section 5.2.6): a pure parse of what was copied from its buffers.
//!
//! How the buffers are divided means nothing (section 2.7.4): the header is the first 16 bytes that the device reads, the status the last byte that
//! it writes, and the data is what is between.

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_DISCARD,
    VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
    VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
};

/// The unit of all addresses and lengths on the wire, whatever the disk's blocks are.
pub(super) const SECTOR: u64 = 512;
/// Bytes of the header.
pub(super) const HEADER: usize = 16;
/// Bytes of a segment, which says what to discard or fill with zeros.
pub(super) const SEGMENT: usize = 16;
/// Bytes of a serial number.
pub(super) const SERIAL: usize = 20;

/// The most bytes of data in a request.
pub(super) const MOST_DATA: u64 = SIZE_MAX as u64 * SEG_MAX as u64;
/// The most bytes that a driver is asked to put in a buffer, and the most buffers.
pub(super) const SIZE_MAX: u32 = 1 << 20;
pub(super) const SEG_MAX: u32 = 126;
/// The most sectors to discard, and to fill with zeros, at once. The zeros may have to be written one by one.
pub(super) const MOST_DISCARDED: u32 = 1 << 22;
pub(super) const MOST_ZEROED: u32 = 1 << 16;

/// What a driver asks for. Bytes of the disk, not beyond its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Read { at: u64, len: u64 },
    Write { at: u64, len: u64 },
    Flush,
    Discard { at: u64, len: u64 },
    Zero { at: u64, len: u64, unmap: bool },
    Serial,
}

impl Request {
    /// What is left of it after some bytes were moved.
    pub fn after(self, moved: u64) -> Request {
        let left = |at: u64, len: u64| (at.saturating_add(moved), len.saturating_sub(moved));
        match self {
            Request::Read { at, len } => {
                let (at, len) = left(at, len);
                Request::Read { at, len }
            }
            Request::Write { at, len } => {
                let (at, len) = left(at, len);
                Request::Write { at, len }
            }
            other => other,
        }
    }
}

/// A request's status byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Ok,
    Failed,
    Unsupported,
}

impl Status {
    /// The byte.
    pub fn byte(self) -> u8 {
        let byte = match self {
            Status::Ok => VIRTIO_BLK_S_OK,
            Status::Failed => VIRTIO_BLK_S_IOERR,
            Status::Unsupported => VIRTIO_BLK_S_UNSUPP,
        };
        byte as u8
    }
}

/// What was copied of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    /// The header, if there are so many bytes that the device reads, and what follows it, for requests that are a segment long.
    pub header: [u8; HEADER],
    pub segment: [u8; SEGMENT],
    /// Bytes that the device reads, in all.
    pub readable: u64,
    /// Bytes that it writes, in all; the last is the status.
    pub writable: u64,
}

/// What a disk can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// Its bytes, a multiple of [`SECTOR`].
    pub capacity: u64,
    pub read_only: bool,
}

/// Says what is asked for.
///
/// # Errors
/// The status that it is answered with instead.
pub(super) fn parse(copied: &Copied, bounds: &Bounds) -> Result<Request, Status> {
    let data = copied.readable.checked_sub(HEADER as u64);
    let out = data.ok_or(Status::Failed)?;
    // The status has its place, or the chain would not be a request.
    let room = copied.writable.saturating_sub(1);
    let [a, b, c, d, _, _, _, _, sector @ ..] = copied.header;
    let sector = u64::from_le_bytes(sector);
    match u32::from_le_bytes([a, b, c, d]) {
        VIRTIO_BLK_T_IN if out == 0 => {
            let (at, len) = bounds.sectors(sector, room)?;
            Ok(Request::Read { at, len })
        }
        VIRTIO_BLK_T_OUT if room == 0 => {
            let (at, len) = bounds.writable()?.sectors(sector, out)?;
            Ok(Request::Write { at, len })
        }
        VIRTIO_BLK_T_FLUSH if out == 0 && room == 0 => Ok(Request::Flush),
        VIRTIO_BLK_T_GET_ID if out == 0 && room >= SERIAL as u64 => Ok(Request::Serial),
        VIRTIO_BLK_T_DISCARD if out == SEGMENT as u64 && room == 0 => {
            let (at, len, flags) = bounds.writable()?.segment(copied.segment, MOST_DISCARDED)?;
            match flags {
                0 => Ok(Request::Discard { at, len }),
                _ => Err(Status::Unsupported),
            }
        }
        VIRTIO_BLK_T_WRITE_ZEROES if out == SEGMENT as u64 && room == 0 => {
            let (at, len, flags) = bounds.writable()?.segment(copied.segment, MOST_ZEROED)?;
            let unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0;
            match flags & !VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP {
                0 => Ok(Request::Zero { at, len, unmap }),
                _ => Err(Status::Unsupported),
            }
        }
        VIRTIO_BLK_T_IN
        | VIRTIO_BLK_T_OUT
        | VIRTIO_BLK_T_FLUSH
        | VIRTIO_BLK_T_GET_ID
        | VIRTIO_BLK_T_DISCARD
        | VIRTIO_BLK_T_WRITE_ZEROES => Err(Status::Failed),
        _ => Err(Status::Unsupported),
    }
}

impl Bounds {
    fn writable(&self) -> Result<&Bounds, Status> {
        match self.read_only {
            true => Err(Status::Failed),
            false => Ok(self),
        }
    }

    /// Whole sectors, as bytes, all of them on the disk.
    fn sectors(&self, sector: u64, len: u64) -> Result<(u64, u64), Status> {
        let at = sector.checked_mul(SECTOR);
        let end = at.and_then(|at| at.checked_add(len));
        match (at, end) {
            (Some(at), Some(end))
                if end <= self.capacity && len.is_multiple_of(SECTOR) && len <= MOST_DATA =>
            {
                Ok((at, len))
            }
            _ => Err(Status::Failed),
        }
    }

    /// A segment's place, its length in bytes and its flags.
    fn segment(&self, segment: [u8; SEGMENT], most: u32) -> Result<(u64, u64, u32), Status> {
        let [
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            n0,
            n1,
            n2,
            n3,
            f0,
            f1,
            f2,
            f3,
        ] = segment;
        let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let count = u32::from_le_bytes([n0, n1, n2, n3]);
        let flags = u32::from_le_bytes([f0, f1, f2, f3]);
        let at = sector.checked_mul(SECTOR);
        let len = u64::from(count).saturating_mul(SECTOR);
        let end = at.and_then(|at| at.checked_add(len));
        match (at, end) {
            (Some(at), Some(end)) if end <= self.capacity && count <= most => Ok((at, len, flags)),
            _ => Err(Status::Failed),
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
