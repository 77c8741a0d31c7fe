//! The whole program of the benchmark as a plain process does its work, page for page and round for round as `examples/bench/program.rs` does.

use crate::Error;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rounds of the program from one purge to the next.
pub const ROUNDS: u32 = 64;
/// Pages that a round maps.
pub const PAGES: u32 = 8;

const LINES: usize = 16;
const READINGS: usize = 64;
const PAGE: usize = 4096;
const SIZE: usize = PAGES as usize * PAGE;
/// Where pages are mapped: the kernel chooses no addresses there by itself.
const WINDOW: usize = 1 << 44;

/// A console that leads nowhere, and two places in a file of memory.
pub struct Program {
    console: File,
    places: OwnedFd,
    masked: AtomicBool,
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
        Ok(Program {
            console,
            places,
            masked: AtomicBool::new(false),
        })
    }

    /// Does the work of [`ROUNDS`] rounds.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rounds(&mut self) -> Result<(), Error> {
        let mut window = Window::default();
        for round in 0..ROUNDS as usize {
            for _ in 0..LINES {
                self.masked.store(true, Ordering::SeqCst);
                self.console.write_all(&[b'.'; 64]).map_err(os)?;
                self.masked.store(false, Ordering::SeqCst);
            }
            for _ in 0..READINGS {
                black_box(clock_gettime(ClockId::Monotonic));
            }
            // Its pages are brought in at once, which is cheaper than one fault for each.
            window.map(&self.places, round & 1, libc::MAP_POPULATE)?;
            window.touch(round);
        }
        Ok(())
    }

    /// How long it takes to use all pages of [`ROUNDS`] rounds for the first time.
    ///
    /// # Errors
    /// The kernel's.
    pub fn touch(&mut self) -> Result<Duration, Error> {
        let mut window = Window::default();
        for round in 0..ROUNDS as usize {
            window.map(&self.places, round & 1, 0)?;
        }
        let start = Instant::now();
        (0..ROUNDS as usize).for_each(|round| window.touch(round));
        Ok(start.elapsed())
    }
}

/// The pages that are mapped; they go all at once, with this.
#[derive(Default)]
struct Window {
    rounds: usize,
}

impl Window {
    /// Maps a further round's pages.
    fn map(&mut self, places: &OwnedFd, turn: usize, flags: libc::c_int) -> Result<(), Error> {
        let address = (WINDOW + self.rounds * SIZE) as *mut libc::c_void;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // Where nothing is, so that nothing has to go first.
        let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE | flags;
        let offset = (turn * SIZE) as libc::off_t;
        let places = places.as_raw_fd();
        // SAFETY: replaces nothing.
        let mapped = unsafe { libc::mmap(address, SIZE, protection, flags, places, offset) };
        if mapped == libc::MAP_FAILED {
            return Err(os(io::Error::last_os_error()));
        }
        self.rounds += 1;
        Ok(())
    }

    /// Looks at every page of a round.
    fn touch(&self, round: usize) {
        assert!(round < self.rounds, "a round that has been mapped");
        let start = (WINDOW + round * SIZE) as *const u8;
        for page in 0..PAGES as usize {
            // SAFETY: mapped, to a part of the file.
            black_box(unsafe { start.add(page * PAGE).read_volatile() });
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nothing refers into it.
        unsafe { libc::munmap(WINDOW as *mut libc::c_void, self.rounds * SIZE) };
    }
}

fn os(source: io::Error) -> Error {
    Error::Os {
        what: "the program that is measured as a process".to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_pages_are_gone_after_each_purge() {
        let mut program = Program::new().unwrap();
        program.rounds().unwrap();
        // Where nothing is replaced, this would fail if something were left.
        program.touch().unwrap();
        program.rounds().unwrap();
    }
}
