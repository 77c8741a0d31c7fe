//! The file behind a disk: how it is opened, and what can be done with it, one thing at a time.
//!
//! Its size is what it was when it was opened. What goes away later is an error for who asks for it, and does not come back by being written.

use super::failures::Failures;
use super::lock::{again, claim, lock};
use super::request::{Bounds, Request, SECTOR, Status};
use super::resident::Resident;
use crate::Error;
use crate::config::{self, Cache};
use crate::memory::Vectors;
use rustix::fs::{
    AtFlags, FallocateFlags, OFlags, SeekFrom as Position, StatxFlags, fallocate, fdatasync,
    fstatfs, ioctl_blkpbszget, ioctl_blksszget, seek, statx,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};

/// `statfs`' word for files that are in memory.
const TMPFS: i64 = 0x0102_1994;
/// The alignment that direct I/O is given where the kernel does not say what it needs.
const DIRECT_ALIGNMENT: u32 = 4096;

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// An open disk.
pub(crate) struct Disk {
    /// Through the page cache.
    file: File,
    direct: Option<Direct>,
    pub bounds: Bounds,
    /// Bytes of the blocks in which it is best read and written, and of those it consists of, powers of two.
    pub block: u32,
    pub physical: u32,
    /// Whether a write is durable when it is answered, whatever the driver takes.
    pub writethrough: bool,
    /// Whether its file is in memory: it never has to be waited for.
    pub in_memory: bool,
    /// What of it can be read without a system call.
    resident: Option<Resident>,
    is_device: bool,
    /// Keeps others from a block device.
    _claimed: Option<OwnedFd>,
    failures: Failures,
}

/// The same file past the page cache, and the alignment that needs.
struct Direct {
    file: File,
    memory: u64,
    offset: u64,
}

impl Disk {
    /// Opens and locks a file.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn open(config: &config::Disk) -> Result<Disk, Error> {
        open(config).map_err(|problem| Error::Disk {
            name: config.name.clone(),
            path: config.path.clone(),
            problem,
        })
    }

    /// Where these buffers are read from and written to: past the page cache only if they are aligned.
    pub fn way(&self, vectors: &Vectors, at: u64) -> BorrowedFd<'_> {
        match &self.direct {
            Some(direct)
                if at.is_multiple_of(direct.offset)
                    && vectors.are_aligned(direct.memory, direct.offset) =>
            {
                direct.file.as_fd()
            }
            _ => self.file.as_fd(),
        }
    }

    /// Whether what is written there is still the disk: a file that was truncated must not grow again, and seem whole.
    pub fn reaches(&self, end: u64) -> bool {
        self.is_device || seek(&self.file, Position::End(0)).is_ok_and(|len| len >= end)
    }

    #[cfg(test)]
    pub(super) fn resident(&self) -> Option<&Resident> {
        self.resident.as_ref()
    }

    /// The page cache's side of the file, for what concerns all of it.
    pub fn whole(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Does what is asked, or, after some bytes of it are done, the rest.
    pub(super) fn perform(&self, request: Request, vectors: &mut Vectors, durable: bool) -> Status {
        let done = match request {
            Request::Read { at, .. } => self.read(vectors, at),
            Request::Write { at, len } if self.reaches(at.saturating_add(len)) => {
                self.each(vectors, at, |way, at, vectors| {
                    vectors.write(way, at, durable)
                })
            }
            Request::Write { .. } => Err(ErrorKind::UnexpectedEof.into()),
            Request::Flush => self.sync(),
            Request::Discard { at, len } => self.discard(at, len),
            Request::Zero { at, len, unmap } => self.zero(at, len, unmap),
            // Not the file's.
            Request::Serial => Ok(()),
        };
        let durable = |()| match request {
            Request::Discard { .. } | Request::Zero { .. } if durable => self.sync(),
            _ => Ok(()),
        };
        match done.and_then(durable) {
            Ok(()) => Status::Ok,
            Err(error) => self.fail(&error),
        }
    }

    /// A request's status where the host could not do it.
    pub(super) fn fail(&self, error: &io::Error) -> Status {
        self.failures.note(error);
        Status::Failed
    }

    /// How many requests the host could not do, and why not the first of them.
    pub(super) fn failures(&self) -> (u64, Option<String>) {
        self.failures.so_far()
    }

    fn read(&self, vectors: &mut Vectors, at: u64) -> io::Result<()> {
        let reaches = |end| self.reaches(end);
        let resident = self.resident.as_ref();
        if resident.is_some_and(|resident| resident.read(at, vectors, reaches)) {
            return Ok(());
        }
        let end = at.saturating_add(vectors.bytes());
        self.each(vectors, at, |way, at, vectors| vectors.read(way, at))?;
        if let Some(resident) = resident {
            resident.find(self.file.as_fd(), at, end);
        }
        Ok(())
    }

    /// Moves all of the vectors' bytes, however few the kernel takes at once.
    fn each(
        &self,
        vectors: &mut Vectors,
        at: u64,
        step: impl Fn(BorrowedFd, u64, &Vectors) -> io::Result<u64>,
    ) -> io::Result<()> {
        let mut at = at;
        while vectors.bytes() != 0 {
            match step(self.way(vectors, at), at, vectors) {
                // The file ends sooner than it did.
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(moved) => {
                    vectors.advance(moved);
                    at = at.saturating_add(moved);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    /// Copies from the disk; says whether it could.
    pub fn read_bytes(&self, at: u64, bytes: &mut [u8]) -> bool {
        self.file.read_exact_at(bytes, at).is_ok()
    }

    /// Copies to the disk; says whether it could.
    pub fn write_bytes(&self, at: u64, bytes: &[u8]) -> bool {
        self.reaches(at.saturating_add(bytes.len() as u64))
            && self.file.write_all_at(bytes, at).is_ok()
            && (!self.writethrough || self.sync().is_ok())
    }

    /// Gives storage back. A file system that cannot leaves it as it is, which is allowed.
    fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        match self.allocate(FallocateFlags::PUNCH_HOLE, at, len) {
            Err(Errno::OPNOTSUPP) => Ok(()),
            done => Ok(done?),
        }
    }

    fn zero(&self, at: u64, len: u64, unmap: bool) -> io::Result<()> {
        if !self.reaches(at.saturating_add(len)) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let punched = match unmap {
            true => self.allocate(FallocateFlags::PUNCH_HOLE, at, len),
            false => Err(Errno::OPNOTSUPP),
        };
        let zeroed = match punched {
            Err(Errno::OPNOTSUPP) => self.allocate(FallocateFlags::ZERO_RANGE, at, len),
            done => done,
        };
        match zeroed {
            Err(Errno::OPNOTSUPP) => self.write_zeros(at, len),
            done => Ok(done?),
        }
    }

    fn allocate(&self, how: FallocateFlags, at: u64, len: u64) -> Result<(), Errno> {
        if len == 0 {
            return Ok(());
        }
        if let Some(resident) = &self.resident {
            resident.forget(at, at.saturating_add(len));
        }
        loop {
            match fallocate(&self.file, how | FallocateFlags::KEEP_SIZE, at, len) {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }

    fn write_zeros(&self, at: u64, len: u64) -> io::Result<()> {
        let (mut at, mut left) = (at, len);
        while left != 0 {
            let here = left.min(ZEROS.len() as u64);
            self.file
                .write_all_at(ZEROS.get(..here as usize).unwrap_or_default(), at)?;
            at = at.saturating_add(here);
            left = left.saturating_sub(here);
        }
        Ok(())
    }
}

fn open(config: &config::Disk) -> Result<Disk, String> {
    let options = || {
        let mut options = File::options();
        options.read(true).write(!config.read_only);
        options
    };
    let mut file = options()
        .open(&config.path)
        .map_err(|error| not_opened(&error))?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    let is_device = found.file_type().is_block_device();
    if !is_device && !found.is_file() {
        return Err("it is neither a regular file nor a block device".into());
    }
    lock(&file, config.read_only)?;
    let claimed = match is_device && !config.read_only {
        true => Some(claim(&file)?),
        false => None,
    };
    let end = file.seek(SeekFrom::End(0));
    let end = end.map_err(|error| format!("its size cannot be told: {error}"))?;
    let capacity = end.saturating_sub(end.checked_rem(SECTOR).unwrap_or(0));
    if capacity == 0 {
        return Err(format!(
            "it has {end} bytes, and a disk has at least one sector of {SECTOR}; `truncate -s 64M FILE` makes an empty disk"
        ));
    }
    let blocks = match is_device {
        true => ioctl_blksszget(&file).and_then(|block| Ok((block, ioctl_blkpbszget(&file)?))),
        false => Ok((SECTOR as u32, 4096)),
    };
    let (block, physical) =
        blocks.map_err(|error| format!("its blocks cannot be told: {error}"))?;
    let direct = match config.direct {
        true => Some(open_direct(&file, options())?),
        false => None,
    };
    // A block is no smaller than what passes the page cache by.
    let least = direct.as_ref().map_or(0, |direct| direct.offset as u32);
    let block = block.max(least).max(SECTOR as u32);
    let in_memory = fstatfs(&file).is_ok_and(|system| system.f_type == TMPFS);
    let resident = (in_memory && !config.direct).then(|| Resident::new(file.as_fd(), end));
    Ok(Disk {
        in_memory,
        resident: resident.flatten(),
        file,
        direct,
        bounds: Bounds {
            capacity,
            read_only: config.read_only,
        },
        block,
        physical: physical.max(block),
        writethrough: config.cache == Cache::Writethrough,
        is_device,
        _claimed: claimed,
        failures: Failures::default(),
    })
}

fn not_opened(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!("it may not be written; write read_only = true if nobody is to ({error})")
        }
        _ => format!("it cannot be opened: {error}"),
    }
}

/// Opens the same file once more, past the page cache.
fn open_direct(file: &File, mut options: std::fs::OpenOptions) -> Result<Direct, String> {
    let direct = options
        .custom_flags(OFlags::DIRECT.bits().cast_signed())
        .open(again(file))
        .map_err(|error| {
            format!("its file system does not do direct I/O ({error}); leave `direct` out")
        })?;
    let asked = StatxFlags::from_bits_retain(libc::STATX_DIOALIGN);
    let told = statx(&direct, c"", AtFlags::EMPTY_PATH, asked).ok();
    let told = told.filter(|told| told.stx_mask & libc::STATX_DIOALIGN != 0);
    let (memory, offset) = told.map_or((0, 0), |told| {
        (told.stx_dio_mem_align, told.stx_dio_offset_align)
    });
    let or = |told: u32| match told.is_power_of_two() {
        true => u64::from(told),
        false => DIRECT_ALIGNMENT.into(),
    };
    Ok(Direct {
        file: direct,
        memory: or(memory),
        offset: or(offset),
    })
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
