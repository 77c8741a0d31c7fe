//! Disks whose storage fails for a while. Block k consists of bytes k, as far as a byte goes; block 0 is a mark for the host.

use crate::hand::DATA;
use guest_sdk::block::Error;
use test_guests::{check, say};

/// Bytes of a block, and its sectors.
const BLOCK: usize = 4096;
const SECTORS: u64 = 8;

/// Blocks beyond the one at which it was full.
const MORE: u64 = 20;

/// The disk, by requests that have such a buffer.
type Disk = guest_sdk::block::Disk<&'static mut [u8]>;

fn disk() -> Disk {
    match Disk::open("disk0") {
        Ok(disk) => disk,
        Err(error) => test_guests::fail(format_args!("disk0: {error}")),
    }
}

/// A buffer that a disk without a cache takes as it is, full of this.
fn buffer(byte: u8) -> &'static mut [u8] {
    // SAFETY: a page that is nobody's: requests are made one after the other here, and each gives its buffer back before the next.
    let bytes = unsafe { core::slice::from_raw_parts_mut(DATA.address() as *mut u8, BLOCK) };
    bytes.fill(byte);
    bytes
}

fn write(disk: &Disk, block: u64) -> Result<(), Error> {
    disk.write_blocking(block * SECTORS, buffer(block as u8))
        .map(drop)
}

fn is_written(disk: &Disk, block: u64) -> bool {
    let read = disk.read_blocking(block * SECTORS, buffer(!block as u8));
    read.is_ok_and(|bytes| *bytes == [block as u8; BLOCK])
}

/// Writes until there is no room; when the host sees the mark it makes some.
pub fn full() {
    let disk = disk();
    check!(write(&disk, 0).is_ok(), "the mark's place");
    let mut block = 1;
    let refused = loop {
        match write(&disk, block) {
            Ok(()) => block += 1,
            Err(error) => break error,
        }
    };
    check!(refused == Error::Failed, "{refused:?}");
    check!(
        disk.flush_blocking() == Ok(()),
        "what was written is durable"
    );
    for written in 1..block {
        check!(is_written(&disk, written), "block {written} is lost");
    }
    check!(write(&disk, 1).is_ok(), "what has a place can be written");
    say(format_args!("full at {block}"));
    go_on(&disk, block);
}

/// Fills the cache with what has no place; the flush says so.
pub fn flush() {
    let disk = disk();
    let safe = 20;
    for block in 0..safe {
        check!(write(&disk, block).is_ok(), "block {block}");
    }
    check!(disk.flush_blocking() == Ok(()), "these have a place");
    let end = disk.sectors() / SECTORS;
    // Some of it may be refused at once, where the kernel has seen already that there is no place.
    let mut refused = (safe..end).any(|block| write(&disk, block).is_err());
    refused |= disk.flush_blocking().is_err();
    check!(refused, "there is no place for all");
    say(format_args!("full at {safe}"));
    go_on(&disk, safe);
}

/// Marks the disk, and writes on from a block when there is room again.
fn go_on(disk: &Disk, block: u64) {
    let mark = disk.write_blocking(0, buffer(0xee));
    check!(mark.is_ok(), "the mark");
    // The first flush may still tell of what was lost before.
    while disk.flush_blocking().is_err() {}
    let last = block + MORE;
    for block in block..=last {
        while write(disk, block).is_err() || disk.flush_blocking().is_err() {}
    }
    for written in 1..=last {
        check!(is_written(disk, written), "block {written}");
    }
    say(format_args!("on to {last}"));
}
