//! Reads of a file in memory (tmpfs, memfd) without a system call: copies out of a mapping.
//!
//! They are to differ from other reads in nothing but what they cost:
//! - Reading where the file has a hole gives it no memory. A mapping would, so only pages are read by it that were found to be there.
//! - What was cut off the file is an error. Pages that are gone are noticed; of the last one, which may be there in part, the rest is zeros: where a read ends
//!   with a zero the file's length is looked at.

use crate::memory::{MappedFile, Vectors};
use rustix::fs::{SeekFrom, seek};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use zerocopy::FromZeros;

const PAGE: u64 = 4096;
/// The most pages of a read that are asked after: of a longer one the system call is a trifle.
const MOST_ASKED: u64 = 16;

/// The file's whole pages.
pub(super) struct Resident {
    mapped: MappedFile,
    /// A bit for each page that was found to be there.
    found: Vec<AtomicU64>,
}

impl Resident {
    /// Maps a file of so many bytes. `None`: it has to be read otherwise.
    pub fn new(file: BorrowedFd, len: u64) -> Option<Resident> {
        let pages = len / PAGE;
        let words = usize::try_from(pages.div_ceil(64)).ok()?;
        Some(Resident {
            mapped: MappedFile::new(file, pages.saturating_mul(PAGE)).ok()?,
            found: AtomicU64::new_vec_zeroed(words).ok()?,
        })
    }

    /// Reads, if all of it is there; `reaches` says whether the file is so long.
    #[inline]
    pub fn read(&self, at: u64, vectors: &Vectors, reaches: impl FnOnce(u64) -> bool) -> bool {
        let end = at.saturating_add(vectors.bytes());
        pages(at, end).all(|page| self.is_found(page))
            && self.mapped.read(at, vectors)
            && match self.mapped.byte(end.saturating_sub(1)) {
                Some(0) => reaches(end),
                last => last.is_some(),
            }
    }

    /// These bytes were read otherwise: the next time they need not be.
    pub fn find(&self, file: BorrowedFd, at: u64, end: u64) {
        let pages = pages(at, end);
        if pages.end.saturating_sub(pages.start) > MOST_ASKED {
            return;
        }
        for page in pages.filter(|page| !self.is_found(*page)) {
            let begin = page.saturating_mul(PAGE);
            if let (Ok(data), Some((word, bit))) =
                (seek(file, SeekFrom::Data(begin)), self.bit(page))
                && data == begin
            {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// These bytes may have become a hole.
    pub fn forget(&self, at: u64, end: u64) {
        for (word, bit) in pages(at, end).filter_map(|page| self.bit(page)) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    #[inline]
    fn is_found(&self, page: u64) -> bool {
        self.bit(page)
            .is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    #[inline]
    fn bit(&self, page: u64) -> Option<(&AtomicU64, u64)> {
        let word = self.found.get(usize::try_from(page / 64).ok()?)?;
        Some((word, 1 << (page % 64)))
    }
}

/// The pages that some bytes lie in.
fn pages(at: u64, end: u64) -> std::ops::Range<u64> {
    at / PAGE..end.div_ceil(PAGE)
}

#[cfg(test)]
#[path = "resident_tests.rs"]
mod tests;
