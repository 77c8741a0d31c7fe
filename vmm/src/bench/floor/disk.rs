//! A disk with nothing of ours around it: reads of a file in memory by this thread, and by another one that is asked through a ring.
//!
//! The ring is a split virtqueue's, and both of its threads do to memory what a driver and a device do: header, descriptors and entry are written,
//! copied and acted upon, status and entry come back. Nobody is told of anything: each looks until it sees.

use super::super::block::Run;
use super::super::host::{Cores, pin, this_thread};
use crate::Error;
use crate::memory::{MappedFile, Memory, Vectors};
use hypercall_abi::Gpa;
use hypercall_abi::map::RAM_BASE;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::hint::spin_loop;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

/// Bytes of a read.
const BLOCK: usize = 4096;
/// Bytes of the image: small enough for caches that hold a program's data.
const IMAGE: u64 = 4 << 20;
/// Requests in flight, as in the guest.
const DEPTH: u16 = 32;
/// Entries of the ring.
const SIZE: u16 = 64;

const HEADERS: u64 = RAM_BASE;
const STATUSES: u64 = RAM_BASE + 0x1000;
const DATA: u64 = RAM_BASE + 0x10_0000;

/// How the device's end comes by the data.
#[derive(Clone, Copy)]
pub enum Way {
    /// By a system call.
    Call,
    /// Out of a mapping of the file, as our disk does where it is in memory (`virtio::block`).
    Mapped,
}

/// An image in memory, every byte of which is there.
pub fn image() -> Result<File, Error> {
    let make = || {
        let file = File::from(memfd_create("disk", MemfdFlags::CLOEXEC)?);
        let block = vec![0x5a; BLOCK];
        for at in (0..IMAGE).step_by(BLOCK) {
            file.write_all_at(&block, at)?;
        }
        io::Result::Ok(file)
    };
    make().map_err(|source| os("making a disk's image in memory", source))
}

fn os(what: &str, source: io::Error) -> Error {
    Error::Os {
        what: what.to_owned(),
        source,
    }
}

/// Where the next read is: all over the image, as in the guest.
fn after(place: u64) -> u64 {
    (place + 1021 * BLOCK as u64) % IMAGE
}

/// Reads by this thread, into a page, as a guest's buffer is one.
pub fn read(run: &mut Run, file: &File) -> Result<(), Error> {
    #[repr(align(4096))]
    struct Page([u8; BLOCK]);
    let (mut place, mut page) = (0, Box::new(Page([0; BLOCK])));
    let block = &mut page.0;
    run.try_over(|| {
        place = after(place);
        file.read_exact_at(block, place)
    })
    .map_err(|error| os("reading a disk's image", error))
}

/// What two threads share.
struct Ring {
    memory: Arc<Memory>,
    /// Three for each slot, of two words: an address; length, flags and the next one.
    descriptors: Vec<[[AtomicU64; 2]; 3]>,
    available: Entries<AtomicU16>,
    used: Entries<[AtomicU32; 2]>,
    over: AtomicBool,
}

/// One direction's entries, and how many there have been.
#[repr(align(64))]
struct Entries<T> {
    index: AtomicU16,
    entries: Vec<T>,
}

impl<T: Default> Entries<T> {
    fn new() -> Entries<T> {
        Entries {
            index: AtomicU16::new(0),
            entries: (0..SIZE).map(|_| T::default()).collect(),
        }
    }

    fn entry(&self, index: u16) -> Option<&T> {
        self.entries.get(usize::from(index % SIZE))
    }
}

/// Reads by another thread, one after the other.
pub fn one(run: &mut Run, file: &File, way: Way, cores: Cores) -> Result<(), Error> {
    with_device(file, way, cores, |driver| {
        run.over(|| {
            driver.offer(0);
            driver.next();
        });
    })
}

/// Reads by another thread, of which as many are in flight as in the guest. A round ends the oldest and begins another one.
pub fn many(run: &mut Run, file: &File, way: Way, cores: Cores) -> Result<(), Error> {
    with_device(file, way, cores, |driver| {
        (0..DEPTH).for_each(|slot| driver.offer(slot));
        run.over(|| {
            if let Some(slot) = driver.next() {
                driver.offer(slot);
            }
        });
    })
}

/// Does something with a ring that is served on the second processor; what is in flight then is waited for.
fn with_device(
    file: &File,
    way: Way,
    cores: Cores,
    drive: impl FnOnce(&mut Driver),
) -> Result<(), Error> {
    let ring = Ring {
        memory: Arc::new(Memory::new(8 << 20)?),
        descriptors: (0..DEPTH).map(|_| Default::default()).collect(),
        available: Entries::new(),
        used: Entries::new(),
        over: AtomicBool::new(false),
    };
    let there = Barrier::new(2);
    thread::scope(|scope| {
        let device = scope.spawn(|| {
            pin(this_thread(), &[cores.second]);
            there.wait();
            ring.serve(file, way)
        });
        there.wait(); // asleep: it begins on this processor
        let mut driver = Driver {
            ring: &ring,
            device: &device,
            place: 0,
            offered: 0,
            seen: 0,
        };
        drive(&mut driver);
        while driver.seen != driver.offered && driver.next().is_some() {}
        ring.over.store(true, Ordering::Release);
        device
            .join()
            .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            .map_err(|error| os("reading a disk's image", error))
    })
}

/// Who asks.
struct Driver<'s> {
    ring: &'s Ring,
    device: &'s thread::ScopedJoinHandle<'s, io::Result<()>>,
    place: u64,
    offered: u16,
    seen: u16,
}

impl Driver<'_> {
    /// Makes the next request, in a slot that is not in flight.
    fn offer(&mut self, slot: u16) {
        self.place = after(self.place);
        let ring = self.ring;
        let header = HEADERS + u64::from(slot) * 16;
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&(self.place / 512).to_le_bytes());
        // The memory is large enough for all slots.
        let _ = ring.memory.write(Gpa(header), &bytes);
        let parts = [
            (header, 16),
            (DATA + u64::from(slot) * BLOCK as u64, BLOCK as u64),
            (STATUSES + u64::from(slot), 1),
        ];
        let Some(descriptors) = ring.descriptors.get(usize::from(slot)) else {
            return;
        };
        for ([address, len], part) in descriptors.iter().zip(parts) {
            address.store(part.0, Ordering::Relaxed);
            len.store(part.1, Ordering::Relaxed);
        }
        if let Some(entry) = ring.available.entry(self.offered) {
            entry.store(slot, Ordering::Relaxed);
        }
        self.offered = self.offered.wrapping_add(1);
        ring.available.index.store(self.offered, Ordering::Release); // after the entry; pairs with `serve`
    }

    /// Waits for the next answer, and says in which slot. `None`: there is nobody to answer.
    fn next(&mut self) -> Option<u16> {
        let ring = self.ring;
        while ring.used.index.load(Ordering::Acquire) == self.seen {
            if self.device.is_finished() {
                return None;
            }
            spin_loop();
        }
        let entry = ring.used.entry(self.seen)?;
        self.seen = self.seen.wrapping_add(1);
        let slot = entry[0].load(Ordering::Relaxed) as u16;
        let status: u8 = ring.memory.load(Gpa(STATUSES + u64::from(slot))).ok()?;
        (status == 0).then_some(slot)
    }
}

impl Ring {
    /// The device: answers until it is over.
    fn serve(&self, file: &File, way: Way) -> io::Result<()> {
        let refused = || io::Error::from(io::ErrorKind::InvalidData);
        let mapped = MappedFile::new(file.as_fd(), IMAGE)?;
        let mut vectors = Vectors::default();
        let mut served = 0_u16;
        while !self.over.load(Ordering::Acquire) {
            if self.available.index.load(Ordering::Acquire) == served {
                spin_loop();
                continue;
            }
            let entry = self.available.entry(served).ok_or_else(refused)?;
            let slot = entry.load(Ordering::Relaxed);
            let descriptors = self.descriptors.get(usize::from(slot));
            let [header, data, status] = descriptors.ok_or_else(refused)?;
            let copy = |words: &[AtomicU64; 2]| {
                let [address, len] = words;
                let len = len.load(Ordering::Relaxed) as u32;
                (Gpa(address.load(Ordering::Relaxed)), len)
            };
            let ((header, _), data, (status, _)) = (copy(header), copy(data), copy(status));
            let header: [u64; 2] = self.memory.load(header).map_err(|_| refused())?;
            let all = [data].into_iter();
            let gathered = vectors.gather(&self.memory, all, 0, data.1.into());
            gathered.map_err(|_| refused())?;
            let at = header[1] * 512;
            match way {
                Way::Call => drop(vectors.read(file.as_fd(), at)?),
                Way::Mapped if mapped.read(at, &vectors) => {}
                Way::Mapped => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
            self.memory.write(status, &[0]).map_err(|_| refused())?;
            if let Some([id, len]) = self.used.entry(served) {
                id.store(slot.into(), Ordering::Relaxed);
                len.store(BLOCK as u32 + 1, Ordering::Relaxed);
            }
            served = served.wrapping_add(1);
            self.used.index.store(served, Ordering::Release); // after the answer; pairs with `next`
        }
        Ok(())
    }
}
