//! Guest memory, and the one door to it.
//!
//! The law of this module: guest memory is written by somebody else at any moment. So nothing outside gets a
//! reference into it, only copies and atomic words; what is checked is the copy; every address is checked here, and a
//! bad one is an answer, not a panic.

mod guarded;
mod mapped;
mod vectors;
mod view;
mod words;

pub(crate) use mapped::MappedFile;
pub(crate) use vectors::Vectors;
pub(crate) use view::View;
pub(crate) use words::{LineWords, TimesWords, claim, copy};

use crate::Error;
use hypercall_abi::{Gpa, Status, map};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use vm_memory::{Bytes, GuestAddress, MmapRegion, VolatileMemory};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A host mapping this size and alignment can be backed by one huge page.
const HUGE_PAGE: usize = 2 << 20;

/// An access that guest memory does not cover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfRange;

impl From<OutOfRange> for Status {
    fn from(_: OutOfRange) -> Status {
        Status::BAD_ADDRESS
    }
}

/// A VM's RAM: guest-physical 0 to [`size`](Memory::size).
pub struct Memory {
    // Before `mapping`: fields drop in order, and these two point into it.
    guest: View,
    /// The guest's own part: from [`map::RAM_BASE`] on.
    own: View,
    mapping: Mapping,
}

/// An anonymous private mapping, huge-page aligned.
struct Mapping {
    /// What `mmap` returned, and how much.
    whole: (*mut libc::c_void, usize),
    /// The first aligned byte.
    start: *mut u8,
    len: usize,
}

// SAFETY: the pointers are only numbers here; the memory behind them is reached through `GuestMemoryMmap`, which is
// itself `Send` and `Sync`, and unmapped once, by the only owner.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(len: usize) -> io::Result<Mapping> {
        let total = len
            .checked_add(HUGE_PAGE)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choosing touches nothing that exists.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                total,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = raw.cast::<u8>();
        let start = start.wrapping_add(start.align_offset(HUGE_PAGE));
        Ok(Mapping {
            whole: (raw, total),
            start,
            len,
        })
    }

    /// Asks for huge pages from a byte on. A refusal is no error: the memory works all the same.
    fn advise_huge(&self, from: usize) {
        let from = from.next_multiple_of(HUGE_PAGE);
        if let Some(len @ 1..) = self.len.checked_sub(from) {
            // SAFETY: `from + len` is within the mapping this owns, and the advice does not change its contents.
            unsafe {
                libc::madvise(
                    self.start.wrapping_add(from).cast(),
                    len,
                    libc::MADV_HUGEPAGE,
                )
            };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `mmap` returned, and nobody is left who knows of it: see the order of `Memory`'s fields.
        unsafe { libc::munmap(self.whole.0, self.whole.1) };
    }
}

impl Memory {
    /// Reserves `len` bytes, a multiple of the page size. Nothing is touched: a page costs nothing until it is used.
    pub fn new(len: u64) -> Result<Memory, Error> {
        let os = |what: &str, source| Error::Os {
            what: format!("{what} {len} bytes of guest memory"),
            source,
        };
        let size =
            usize::try_from(len).map_err(|_| os("reserving", io::ErrorKind::OutOfMemory.into()))?;
        let mapping = Mapping::new(size).map_err(|error| os("reserving", error))?;
        let view = |from: u64| {
            let skipped = usize::try_from(from).unwrap_or(usize::MAX).min(size);
            let (start, len) = (
                mapping.start.wrapping_add(skipped),
                size.saturating_sub(skipped),
            );
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: the range is inside `mapping`, which outlives the region: see the order of `Memory`'s fields.
            let region = unsafe { MmapRegion::build_raw(start, len, prot, flags) }
                .map_err(|error| os("describing", io::Error::other(error)))?;
            Ok::<_, Error>(View::new(from, region))
        };
        let (guest, own) = (view(0)?, view(map::RAM_BASE)?);
        Ok(Memory {
            guest,
            own,
            mapping,
        })
    }

    /// Bytes of RAM.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.mapping.len as u64
    }

    /// The guest's own part of RAM, at its guest-physical addresses: all that a device's queues and buffers may lie in.
    pub(crate) fn own(&self) -> &View {
        &self.own
    }

    /// Where the kernel finds guest-physical 0.
    pub(crate) fn host_address(&self) -> u64 {
        self.mapping.start as u64
    }

    /// Asks for huge pages from an address on.
    pub(crate) fn advise_huge(&self, from: Gpa) {
        self.mapping
            .advise_huge(usize::try_from(from.0).unwrap_or(usize::MAX - HUGE_PAGE));
    }

    /// Copies bytes in from anywhere in RAM.
    pub fn read(&self, from: Gpa, bytes: &mut [u8]) -> Result<(), OutOfRange> {
        // Not through `Bytes`, which looks for the slices that a range consists of: there is one.
        self.guest.slice(from, bytes.len())?.copy_to(bytes);
        Ok(())
    }

    /// Copies bytes out to anywhere in RAM.
    pub fn write(&self, to: Gpa, bytes: &[u8]) -> Result<(), OutOfRange> {
        self.guest.slice(to, bytes.len())?.copy_from(bytes);
        Ok(())
    }

    /// Copies a wire struct in.
    pub fn load<T: FromBytes + IntoBytes>(&self, from: Gpa) -> Result<T, OutOfRange> {
        let mut value = T::new_zeroed();
        self.read(from, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Copies a wire struct out.
    pub fn store<T: IntoBytes + Immutable>(&self, to: Gpa, value: &T) -> Result<(), OutOfRange> {
        self.write(to, value.as_bytes())
    }

    /// Checks that a buffer a guest names lies in the guest's own part of memory, and says how long it is.
    ///
    /// # Errors
    /// [`Status::BAD_ADDRESS`] unless all of it is at or above [`map::RAM_BASE`] and inside RAM. Nothing is anywhere: an
    /// empty buffer's address is not looked at.
    pub(crate) fn buffer(&self, gpa: u64, len: u64) -> Result<(Gpa, usize), Status> {
        if len == 0 {
            return Ok((Gpa(map::RAM_BASE), 0));
        }
        let end = gpa.checked_add(len).ok_or(Status::BAD_ADDRESS)?;
        if gpa < map::RAM_BASE || end > self.size() {
            return Err(Status::BAD_ADDRESS);
        }
        Ok((
            Gpa(gpa),
            usize::try_from(len).map_err(|_| Status::BAD_ADDRESS)?,
        ))
    }

    /// Fills a range from a file's current position.
    pub(crate) fn fill_from(&self, to: Gpa, file: &mut File, len: usize) -> io::Result<()> {
        self.guest
            .read_exact_volatile_from(GuestAddress(to.0), file, len)
            .map_err(io::Error::other)
    }

    /// Reads a word the guest may be changing; acquires what was written before it. 8-byte aligned.
    pub(crate) fn load_word(&self, at: Gpa) -> Result<u64, OutOfRange> {
        self.guest
            .load(GuestAddress(at.0), Ordering::Acquire)
            .map_err(|_| OutOfRange)
    }

    /// Sets bits in a word the guest may be changing; a full fence. 8-byte aligned.
    pub(crate) fn or_word(&self, at: Gpa, bits: u64) -> Result<(), OutOfRange> {
        let word = self.guest.slice(at, 8)?;
        let word = word
            .get_atomic_ref::<AtomicU64>(0)
            .map_err(|_| OutOfRange)?;
        word.fetch_or(bits, Ordering::SeqCst);
        Ok(())
    }

    /// Stores a word; whoever sees it sees what was written before it. 4-byte aligned.
    pub(crate) fn store_word32(&self, at: Gpa, value: u32) -> Result<(), OutOfRange> {
        self.guest
            .store(value, GuestAddress(at.0), Ordering::Release)
            .map_err(|_| OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 4 << 20;

    fn memory() -> Memory {
        Memory::new(LEN).unwrap()
    }

    #[test]
    fn copies_stay_inside() {
        let memory = memory();
        assert_eq!(memory.write(Gpa(LEN - 4), b"1234"), Ok(()));
        assert_eq!(
            memory.load::<u32>(Gpa(LEN - 4)),
            Ok(u32::from_le_bytes(*b"1234"))
        );
        for at in [LEN - 3, LEN, u64::MAX - 1, u64::MAX] {
            assert_eq!(memory.write(Gpa(at), b"1234"), Err(OutOfRange), "{at:#x}");
            assert_eq!(
                memory.read(Gpa(at), &mut [0; 4]),
                Err(OutOfRange),
                "{at:#x}"
            );
        }
    }

    #[test]
    fn buffers_are_the_guests_own() {
        let memory = memory();
        let base = map::RAM_BASE;
        assert_eq!(
            memory.buffer(base, LEN - base),
            Ok((Gpa(base), (LEN - base) as usize))
        );
        assert_eq!(memory.buffer(1, 0), Ok((Gpa(base), 0)));
        for (gpa, len) in [
            (0, 1),
            (map::BOOT_PAGE, 8),
            (base - 1, 1),
            (base - 1, 2),
            (base, LEN - base + 1),
            (LEN, 1),
            (base, u64::MAX),
            (u64::MAX, 1),
            (u64::MAX, u64::MAX),
            (1 << 63, 1 << 63),
        ] {
            assert_eq!(
                memory.buffer(gpa, len),
                Err(Status::BAD_ADDRESS),
                "{gpa:#x} {len:#x}"
            );
        }
    }

    #[test]
    fn words_are_aligned_and_inside() {
        let memory = memory();
        assert_eq!(memory.or_word(Gpa(64), 5), Ok(()));
        assert_eq!(memory.or_word(Gpa(64), 2), Ok(()));
        assert_eq!(memory.load_word(Gpa(64)), Ok(7));
        assert_eq!(memory.or_word(Gpa(65), 1), Err(OutOfRange));
        assert_eq!(memory.or_word(Gpa(LEN), 1), Err(OutOfRange));
        assert_eq!(memory.store_word32(Gpa(LEN - 4), 1), Ok(()));
        assert_eq!(memory.store_word32(Gpa(LEN - 2), 1), Err(OutOfRange));
    }
}
