//! The guest image: what an ELF file says, checked before anything of it is used.
//!
//! [`Plan::read`] looks only at headers and the note, through [`Source`]; it does not load. Every number in the
//! file is hostile.

mod elf;
mod note;

use hypercall_abi::map;
use hypercall_abi::note::Note;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that an image is read from.
pub trait Source {
    /// How many there are.
    fn size(&self) -> u64;
    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` past the end; the host's own, for a file.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
}

/// The start of a file, read at once: headers and notes lie there, and each read of its own would cost as much again.
struct Head<'f> {
    file: &'f File,
    size: u64,
    bytes: Vec<u8>,
}

impl Head<'_> {
    fn read(file: &File) -> io::Result<Head<'_>> {
        let size = file.metadata()?.len();
        let mut bytes = vec![0; usize::try_from(size.min(4096)).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Head { file, size, bytes })
    }
}

impl Source for Head<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self.bytes.read_at(offset, bytes) {
            Ok(()) => Ok(()),
            // The kernel has another error for an end that it cannot even express.
            Err(_) => match i64::try_from(offset.saturating_add(bytes.len() as u64)) {
                Ok(_) => self.file.read_exact_at(bytes, offset),
                Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

impl Source for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(bytes.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(range);
        Ok(())
    }
}

/// What an image wants loaded, where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the first vCPU starts: inside an executable segment.
    pub entry: u64,
    /// The segments, by rising address, each at or above [`map::RAM_BASE`], no two on the same page.
    pub segments: Vec<Segment>,
    /// What the image says of itself.
    pub note: Note,
}

/// A loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first byte in guest memory.
    pub address: u64,
    /// Bytes in guest memory; those past `file_size` are zero.
    pub size: u64,
    /// Where its contents begin in the file.
    pub file_offset: u64,
    /// Bytes of contents in the file.
    pub file_size: u64,
    /// Whether the guest may write it.
    pub write: bool,
    /// Whether the guest may execute it.
    pub execute: bool,
}

impl Segment {
    /// The address after the last byte; [`Plan::read`] has made sure that there is one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    /// The pages it lies on, as a range of addresses.
    #[must_use]
    pub fn pages(&self) -> (u64, u64) {
        let mask = map::PAGE_SIZE - 1;
        (
            self.address & !mask,
            self.end().saturating_add(mask) & !mask,
        )
    }
}

impl Plan {
    /// Reads and checks an image's headers and note.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the image and, where that can be said, what would be right.
    pub fn read<S: Source + ?Sized>(source: &S) -> Result<Plan, String> {
        let (entry, headers) = elf::headers(source)?;
        let segments = elf::segments(&headers, source)?;
        let note = note::find(&headers, source)?;
        let inside = |segment: &&Segment| segment.address <= entry && entry < segment.end();
        match segments.iter().find(inside) {
            Some(segment) if segment.execute => Ok(Plan {
                entry,
                segments,
                note,
            }),
            _ => Err(format!(
                "its entry point {entry:#x} is not in an executable segment"
            )),
        }
    }

    /// Reads and checks a file's headers and note.
    ///
    /// # Errors
    /// As for [`read`](Plan::read).
    pub fn read_file(file: &File) -> Result<Plan, String> {
        let head = Head::read(file).map_err(|error| format!("reading it: {error}"))?;
        Plan::read(&head)
    }

    /// The first page and the page after the last.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        let first = self
            .segments
            .first()
            .map_or(map::RAM_BASE, |segment| segment.pages().0);
        let last = self
            .segments
            .last()
            .map_or(map::RAM_BASE, |segment| segment.pages().1);
        (first, last)
    }
}
