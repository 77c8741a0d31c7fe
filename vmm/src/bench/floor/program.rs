//! The whole program of the benchmark as a plain process does its work.

use crate::Error;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

const LINES: usize = 16;
const READINGS: usize = 64;
const PAGES: usize = 8;
const SIZE: usize = PAGES * 4096;

/// A console that leads nowhere, and a window onto one of two places in a file of memory.
pub struct Program {
    console: File,
    places: OwnedFd,
    window: *mut libc::c_void,
    masked: AtomicBool,
    turn: usize,
}

impl Program {
    /// Sets it up.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> Result<Program, Error> {
        let console = File::options().write(true).open("/dev/null").map_err(os)?;
        let places =
            memfd_create("places", MemfdFlags::CLOEXEC).map_err(|errno| os(errno.into()))?;
        ftruncate(&places, 2 * SIZE as u64).map_err(|errno| os(errno.into()))?;
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let window = unsafe {
            libc::mmap(
                ptr::null_mut(),
                SIZE,
                PROTECTION,
                libc::MAP_SHARED,
                places.as_raw_fd(),
                0,
            )
        };
        if window == libc::MAP_FAILED {
            return Err(os(io::Error::last_os_error()));
        }
        Ok(Program {
            console,
            places,
            window,
            masked: AtomicBool::new(false),
            turn: 0,
        })
    }

    /// Does the work once.
    ///
    /// # Errors
    /// The kernel's.
    pub fn round(&mut self) -> Result<(), Error> {
        for _ in 0..LINES {
            self.masked.store(true, Ordering::SeqCst);
            self.console.write_all(&[b'.'; 64]).map_err(os)?;
            self.masked.store(false, Ordering::SeqCst);
        }
        for _ in 0..READINGS {
            black_box(clock_gettime(ClockId::Monotonic));
        }
        self.turn ^= 1;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_POPULATE;
        let offset = (self.turn * SIZE) as libc::off_t;
        // SAFETY: replaces this program's own window, which nothing refers into.
        let moved = unsafe {
            libc::mmap(
                self.window,
                SIZE,
                PROTECTION,
                flags,
                self.places.as_raw_fd(),
                offset,
            )
        };
        if moved == libc::MAP_FAILED {
            return Err(os(io::Error::last_os_error()));
        }
        // SAFETY: the last byte of the window, which is mapped to memory that is there.
        black_box(unsafe { self.window.cast::<u8>().add(SIZE - 1).read_volatile() });
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nothing refers into it.
        unsafe { libc::munmap(self.window, SIZE) };
    }
}

const PROTECTION: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

fn os(source: io::Error) -> Error {
    Error::Os {
        what: "the program that is measured as a process".to_owned(),
        source,
    }
}
