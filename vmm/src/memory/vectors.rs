//! The door for file I/O that goes straight into and out of guest memory: a request's buffers, as the kernel takes them.
//!
//! Only the kernel follows these pointers. What it reads there while the guest writes is what a guest gets that does so.

use super::Memory;
use hypercall_abi::{Gpa, Status};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

/// Buffers in a guest's own part of memory, in order. Keeps the memory mapped, and its own room from one request to the next.
#[derive(Default)]
pub(crate) struct Vectors {
    /// What the list points into; nothing while the list is empty.
    memory: Option<Arc<Memory>>,
    pub(super) list: Vec<libc::iovec>,
}

// SAFETY: the pointers are only numbers here; the kernel follows them, from whichever thread, into a mapping that `memory` keeps.
unsafe impl Send for Vectors {}

impl Vectors {
    /// Becomes `len` bytes of these buffers, after the first `skip` bytes of them; fewer where they end sooner.
    ///
    /// # Errors
    /// [`Status::BAD_ADDRESS`] for a buffer that is not all in the guest's own part of memory.
    pub fn gather(
        &mut self,
        memory: &Arc<Memory>,
        buffers: impl Iterator<Item = (Gpa, u32)>,
        skip: u64,
        len: u64,
    ) -> Result<(), Status> {
        self.list.clear();
        if !self
            .memory
            .as_ref()
            .is_some_and(|ours| Arc::ptr_eq(ours, memory))
        {
            self.memory = Some(Arc::clone(memory));
        }
        let (mut skip, mut left) = (skip, len);
        for (gpa, len) in buffers {
            let skipped = skip.min(len.into());
            skip = skip.saturating_sub(skipped);
            let here = u64::from(len).saturating_sub(skipped).min(left);
            if here == 0 {
                continue;
            }
            left = left.saturating_sub(here);
            // A sum that wraps is no address of the guest's, and is found so.
            let (gpa, here) = memory.buffer(gpa.0.wrapping_add(skipped), here)?;
            self.list.push(libc::iovec {
                iov_base: memory.mapping.start.wrapping_add(gpa.0 as usize).cast(),
                iov_len: here,
            });
        }
        Ok(())
    }

    /// Bytes in all.
    pub fn bytes(&self) -> u64 {
        let lens = self.list.iter().map(|vector| vector.iov_len as u64);
        lens.fold(0, u64::saturating_add)
    }

    /// Whether every buffer begins at a multiple of `address` and is a multiple of `len` long: both powers of two.
    pub fn are_aligned(&self, address: u64, len: u64) -> bool {
        self.list.iter().all(|vector| {
            (vector.iov_base as u64).is_multiple_of(address)
                && (vector.iov_len as u64).is_multiple_of(len)
        })
    }

    /// Forgets the first `bytes`.
    pub fn advance(&mut self, bytes: u64) {
        let mut rest = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut whole = 0_usize;
        for vector in &mut self.list {
            if rest < vector.iov_len {
                vector.iov_base = vector.iov_base.wrapping_byte_add(rest);
                vector.iov_len = vector.iov_len.saturating_sub(rest);
                break;
            }
            rest = rest.saturating_sub(vector.iov_len);
            whole = whole.saturating_add(1);
        }
        self.list.drain(..whole);
    }

    /// What an asynchronous operation is told. It may use them for as long as this value lives unchanged, wherever it is moved: the list is on the
    /// heap, and the memory is kept.
    pub fn parts(&self) -> (*const libc::iovec, u32) {
        (self.list.as_ptr(), self.list.len() as u32)
    }

    /// Reads from a file into what is left of the buffers, once; says how many bytes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, file: BorrowedFd, at: u64) -> io::Result<u64> {
        let (file, at) = (file.as_raw_fd(), offset(at)?);
        // SAFETY: vectors inside the mapping that `memory` keeps; any bytes may be written there at any time.
        let read = unsafe {
            match &self.list[..] {
                [one] => libc::pread(file, one.iov_base, one.iov_len, at),
                list => libc::preadv(file, list.as_ptr(), list.len() as i32, at),
            }
        };
        u64::try_from(read).map_err(|_| io::Error::last_os_error())
    }

    /// Writes what is left of the buffers to a file, once; says how many bytes. `durable`: they are on the disk then.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&self, file: BorrowedFd, at: u64, durable: bool) -> io::Result<u64> {
        let (list, count) = self.parts();
        let flags = if durable { libc::RWF_DSYNC } else { 0 };
        // SAFETY: `count` vectors, each inside the mapping that `memory` keeps; the kernel copies whatever bytes are there.
        let written =
            unsafe { libc::pwritev2(file.as_raw_fd(), list, count as i32, offset(at)?, flags) };
        u64::try_from(written).map_err(|_| io::Error::last_os_error())
    }
}

fn offset(at: u64) -> io::Result<i64> {
    i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hypercall_abi::map::RAM_BASE;
    use std::io::Write;
    use std::os::fd::AsFd;

    fn gathered(buffers: &[(u64, u32)], skip: u64, len: u64) -> Result<Vec<(u64, usize)>, Status> {
        let memory = Arc::new(Memory::new(4 << 20).unwrap());
        let mut vectors = Vectors::default();
        let buffers = buffers.iter().map(|&(gpa, len)| (Gpa(gpa), len));
        vectors.gather(&memory, buffers, skip, len)?;
        let at = |vector: &libc::iovec| vector.iov_base as u64 - memory.mapping.start as u64;
        let list = vectors.list.iter();
        Ok(list.map(|vector| (at(vector), vector.iov_len)).collect())
    }

    #[test]
    fn buffers_are_cut_where_the_data_begins_and_ends() {
        let base = RAM_BASE;
        let two = [(base, 16), (base + 4096, 512)];
        assert_eq!(gathered(&two, 16, 512), Ok(vec![(base + 4096, 512)]));
        assert_eq!(
            gathered(&two, 0, 528),
            Ok(vec![(base, 16), (base + 4096, 512)])
        );
        assert_eq!(
            gathered(&two, 15, 2),
            Ok(vec![(base + 15, 1), (base + 4096, 1)])
        );
        assert_eq!(gathered(&two, 0, 4), Ok(vec![(base, 4)]));
        assert_eq!(gathered(&two, 600, 4), Ok(vec![]));
        assert_eq!(
            gathered(&[(u64::MAX, 0), (base, 1)], 0, 9),
            Ok(vec![(base, 1)])
        );
    }

    #[test]
    fn buffers_are_the_guests_own() {
        for buffer in [
            (0, 1),
            (RAM_BASE - 1, 2),
            (4 << 20, 1),
            ((4 << 20) - 1, 2),
            (u64::MAX, 2),
            (RAM_BASE, u32::MAX),
        ] {
            assert_eq!(
                gathered(&[buffer], 0, u64::MAX),
                Err(Status::BAD_ADDRESS),
                "{buffer:?}"
            );
        }
        // What is skipped wraps.
        assert_eq!(
            gathered(&[(u64::MAX - 1, 9)], 2, 7),
            Err(Status::BAD_ADDRESS)
        );
    }

    #[test]
    fn files_are_read_and_written_in_parts() {
        let memory = Arc::new(Memory::new(4 << 20).unwrap());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut vectors = Vectors::default();
        let buffers = [(Gpa(RAM_BASE), 3), (Gpa(RAM_BASE + 100), 7)];
        vectors.gather(&memory, buffers.into_iter(), 0, 10).unwrap();
        assert_eq!(vectors.bytes(), 10);
        assert_eq!(vectors.read(file.as_fd(), 4).unwrap(), 6);
        vectors.advance(6);
        assert_eq!(vectors.bytes(), 4);
        assert_eq!(memory.load::<[u8; 3]>(Gpa(RAM_BASE)).unwrap(), *b"456");
        assert_eq!(
            memory.load::<[u8; 3]>(Gpa(RAM_BASE + 100)).unwrap(),
            *b"789"
        );
        memory.write(Gpa(RAM_BASE + 103), b"wxyz").unwrap();
        assert_eq!(vectors.write(file.as_fd(), 0, true).unwrap(), 4);
        vectors.advance(4);
        assert_eq!((vectors.bytes(), vectors.parts().1), (0, 0));
        assert_eq!(
            std::os::unix::fs::FileExt::read_at(&file, &mut [0; 16], 0).unwrap(),
            10
        );
        assert!(vectors.read(file.as_fd(), u64::MAX).is_err());
    }

    #[test]
    fn alignment_is_of_each_buffer() {
        let memory = Arc::new(Memory::new(4 << 20).unwrap());
        let mut vectors = Vectors::default();
        let mut aligned = |buffers: [(Gpa, u32); 2]| {
            let len = u64::MAX;
            vectors
                .gather(&memory, buffers.into_iter(), 0, len)
                .unwrap();
            vectors.are_aligned(512, 512)
        };
        assert!(aligned([(Gpa(RAM_BASE), 512), (Gpa(RAM_BASE + 512), 1024)]));
        assert!(!aligned([(Gpa(RAM_BASE), 512), (Gpa(RAM_BASE + 8), 1024)]));
        assert!(!aligned([(Gpa(RAM_BASE), 500), (Gpa(RAM_BASE + 512), 12)]));
    }
}
