//! Reads of 4 KiB, all over a disk.

use crate::block::Run;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::hint::black_box;
use guest_sdk::block::{Disk, Error, Request, SECTOR};
use guest_sdk::trapped::ata;

/// Bytes of a read.
const BLOCK: usize = 4096;
/// Requests in flight.
const DEPTH: usize = 32;

/// Where the next read is, of a disk with so many sectors: as the host's floors have it.
fn after(place: u64, sectors: u64) -> u64 {
    (place + 1021 * (BLOCK / SECTOR) as u64) % sectors
}

fn open() -> Disk {
    Disk::at(0).unwrap_or_else(|error| panic!("{error}"))
}

fn ended<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("a read: {error}"))
}

/// One after the other.
pub fn one(run: &mut Run) {
    let disk = open();
    let (mut place, mut buffer) = (0, vec![0; BLOCK]);
    run.over(|| {
        place = after(place, disk.sectors());
        let empty = core::mem::take(&mut buffer);
        buffer = black_box(ended(disk.read_blocking(place, empty)));
    });
}

/// Many in flight: a round begins one and ends the oldest.
pub fn many(run: &mut Run) {
    let disk = open();
    let mut place = 0;
    let mut begin = |buffer: Vec<u8>| {
        place = after(place, disk.sectors());
        ended(disk.begin_read(place, buffer))
    };
    let mut flying: VecDeque<Request<Vec<u8>>> = VecDeque::with_capacity(DEPTH);
    flying.extend((0..DEPTH).map(|_| begin(vec![0; BLOCK])));
    run.over(|| {
        if let Some(oldest) = flying.pop_front() {
            flying.push_back(begin(black_box(ended(oldest.wait()))));
        }
    });
    flying
        .into_iter()
        .for_each(|request| drop(ended(request.wait())));
}

/// Through the ports of an ATA disk.
pub fn by_ports(run: &mut Run) {
    let sectors = ata::sectors().unwrap_or_else(|error| panic!("{error}"));
    let (mut place, mut buffer) = (0, [0; BLOCK]);
    run.over(|| {
        place = after(place, sectors.into());
        // Fewer than 2^28 sectors.
        let read = ata::read(place as u32, &mut buffer);
        black_box(read).unwrap_or_else(|error| panic!("{error}"));
    });
}
