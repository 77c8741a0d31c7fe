//! A file whose pages are in memory anyway, as this process sees it: what is read there needs no system call.
//!
//! It may lose pages at any time, and be written by others meanwhile. So it is only copied from, as guest memory is.

use super::{Vectors, guarded};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

/// The beginning of a file, to be read.
pub(crate) struct MappedFile {
    start: *mut u8,
    len: usize,
}

// SAFETY: the pointer is only a number here; the memory behind it is read by copies that expect others' writes, and unmapped once, by the only owner.
unsafe impl Send for MappedFile {}
// SAFETY: as for `Send`.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// Maps `len` bytes of a file, above 0.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(file: BorrowedFd, len: u64) -> io::Result<MappedFile> {
        if !guarded::prepare() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // Private: nobody is kept from sealing the file against writes. Until it is written here, which it never is, it is the file's own memory.
        let (prot, flags) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_NORESERVE);
        // SAFETY: a new mapping at an address of the kernel's choosing touches nothing that exists.
        let start = unsafe { libc::mmap(null_mut(), len, prot, flags, file.as_raw_fd(), 0) };
        match start == libc::MAP_FAILED {
            true => Err(io::Error::last_os_error()),
            false => Ok(MappedFile {
                start: start.cast(),
                len,
            }),
        }
    }

    /// Copies into all of the vectors' buffers what the file has from `at` on; says whether all of that is there.
    pub fn read(&self, at: u64, to: &Vectors) -> bool {
        let mut at = at;
        to.list.iter().all(|vector| {
            let len = vector.iov_len;
            let Some(from) = self.place(at, len) else {
                return false;
            };
            at = at.saturating_add(len as u64);
            // SAFETY: `len` bytes of the mapping, by `place`; a vector lies inside of guest memory, where any bytes may be written at any time.
            unsafe { guarded::copy(vector.iov_base.cast(), from, len) == len }
        })
    }

    /// A byte of it, if it is there.
    pub fn byte(&self, at: u64) -> Option<u8> {
        let (from, mut byte) = (self.place(at, 1)?, 0);
        // SAFETY: a byte of the mapping, by `place`, and one of ours.
        (unsafe { guarded::copy(&raw mut byte, from, 1) } == 1).then_some(byte)
    }

    /// Where so many bytes are, unless they go beyond what is mapped.
    #[inline]
    fn place(&self, at: u64, len: usize) -> Option<*const u8> {
        let at = usize::try_from(at).ok()?;
        let fits = at.checked_add(len)? <= self.len;
        fits.then(|| self.start.wrapping_add(at).cast_const())
    }

    /// Reads a byte as one does who knows nothing of what may go away.
    #[cfg(test)]
    pub fn touch(&self, at: u64) -> u8 {
        let from = self.place(at, 1).unwrap();
        // SAFETY: a byte of the mapping; that it may be gone is what is tested.
        unsafe { from.read_volatile() }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: exactly what `mmap` returned, and nobody is left who knows of it.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
