//! Rings as no driver may write them, on the device that gives random numbers. Each ends in an answer or in a broken device; after a reset it is
//! as good as new.

use crate::setup::{RING, ask};
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use hypercall_abi::{call as number, map};
use test_guests::ring::{self, Descriptor, INDIRECT, NEXT, SIZE, WRITE};
use test_guests::{answers, arg, boot, call, check, say, vcpu};

/// More entries than a queue.
const ENTRIES: usize = SIZE + 4;

/// A table that descriptors lead to, and a page to fill.
#[repr(C, align(4096))]
struct Own {
    page: [u8; 4096],
    table: [Descriptor; ENTRIES],
}

struct Area(UnsafeCell<Own>);

// SAFETY: the case writes it while the device is not asked to look, or means to be seen half done.
unsafe impl Sync for Area {}

// SAFETY: it consists of integers, for which all zeros are a value.
static AREA: Area = Area(UnsafeCell::new(unsafe { core::mem::zeroed() }));

fn page() -> u64 {
    AREA.0.get() as u64
}

fn table() -> u64 {
    // SAFETY: a field's address inside the area.
    (unsafe { &raw const (*AREA.0.get()).table }) as u64
}

fn buffer(address: u64, len: u32, flags: u16, next: u16) -> Descriptor {
    Descriptor {
        address,
        len,
        flags,
        next,
    }
}

/// Describes and offers chain 0, of one buffer.
fn one(address: u64, len: u32, flags: u16) {
    RING.describe(0, buffer(address, len, flags, 0));
    RING.offer(0);
}

/// Offers a table that begins with these entries; the descriptor that leads there is as told.
fn indirect(entries: &[Descriptor], address: u64, len: u32, flags: u16) {
    for (place, entry) in entries.iter().enumerate() {
        let at = table() as *mut Descriptor;
        // SAFETY: inside the table; nobody else looks at it yet.
        unsafe { at.add(place % ENTRIES).write_volatile(*entry) };
    }
    one(address, len, INDIRECT | flags);
}

/// Writes what the case is called for.
fn arrange(case: &str) {
    let sound = buffer(page(), 64, WRITE, 0);
    let end = boot().memory_bytes;
    match case {
        "loop" => {
            RING.describe(0, buffer(page(), 8, WRITE | NEXT, 1));
            RING.describe(1, buffer(page(), 8, WRITE | NEXT, 0));
            RING.offer(0);
        }
        "next-outside" => {
            RING.describe(0, buffer(page(), 8, WRITE | NEXT, SIZE as u16));
            RING.offer(0);
        }
        "head-outside" => RING.offer(SIZE as u16),
        "head-far-outside" => RING.offer(u16::MAX),
        "index-jumps" => RING.available.store(SIZE as u16 + 1, Ordering::SeqCst),
        "index-goes-back" => RING.available.store(u16::MAX, Ordering::SeqCst),
        "wraps" => one(u64::MAX - 7, 64, WRITE),
        "platform-area" => one(map::BOOT_PAGE, 64, WRITE),
        "into-the-platform-area" => one(map::RAM_BASE - 8, 64, WRITE),
        "past-the-end" => one(end - 8, 64, WRITE),
        "far-away" => one(1 << 62, 64, WRITE),
        "four-gib" => one(page(), u32::MAX, WRITE),
        "no-bytes" => one(page(), 0, WRITE),
        "wrong-direction" => one(page(), 64, 0),
        "unknown-flags" => one(page(), 64, WRITE | 0xfff8),
        "read-after-write" => {
            RING.describe(0, buffer(page(), 8, WRITE | NEXT, 1));
            RING.describe(1, buffer(page(), 8, 0, 0));
            RING.offer(0);
        }
        "reused-head" => {
            one(page(), 64, WRITE);
            RING.offer(0);
        }
        "used-index-overwritten" => {
            RING.used.store(77, Ordering::SeqCst);
            one(page(), 64, WRITE);
        }
        "indirect" => indirect(&[sound], table(), 16, 0),
        "indirect-misaligned" => {
            let shifted = page() + 8;
            // SAFETY: inside the page; nobody else looks at it yet.
            unsafe { (shifted as *mut [u64; 2]).write_volatile([page() + 64, 64 | 2 << 32]) };
            one(shifted, 16, INDIRECT);
        }
        "indirect-nested" => {
            indirect(&[buffer(table(), 16, INDIRECT, 0)], table(), 16, 0);
        }
        "indirect-in-part" => indirect(&[sound], table(), 24, 0),
        "indirect-empty" => indirect(&[sound], table(), 0, 0),
        "indirect-huge" => indirect(&[sound], table(), !15, 0),
        "indirect-and-next" => {
            RING.describe(1, sound);
            indirect(&[sound], table(), 16, NEXT);
        }
        "indirect-overlong" => {
            let entry = |place: usize| match place + 1 {
                ENTRIES => sound,
                next => buffer(page(), 8, WRITE | NEXT, next as u16),
            };
            let entries: [Descriptor; ENTRIES] = core::array::from_fn(entry);
            indirect(&entries, table(), 16 * ENTRIES as u32, 0);
        }
        "indirect-loop" => {
            indirect(&[buffer(page(), 8, WRITE | NEXT, 0)], table(), 16, 0);
        }
        "indirect-in-the-platform-area" => one(map::BOOT_PAGE, 16, INDIRECT),
        other => test_guests::fail(format_args!("no ring is called {other:?}")),
    }
}

/// A device as after boot, with an empty ring.
fn fresh() {
    answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
    RING.available.store(0, Ordering::SeqCst);
    RING.used.store(0, Ordering::SeqCst);
    RING.used_event.store(0, Ordering::SeqCst);
    check!(ring::device(0).broken == 0, "a reset mends it");
    ring::start(0, &RING);
}

/// Kicks and waits until the device says something.
fn kick() {
    let device = ring::device(0);
    ring::ring(device.doorbell);
    answers!(
        call(number::WAIT, &[1 << device.event, u64::MAX]),
        OK,
        "waiting"
    );
    vcpu::clear(1 << device.event);
}

/// One of them, and what comes of it: `broken`, or how much the device says it has written.
pub fn hostile() {
    fresh();
    vcpu::clear(1 << ring::device(0).event);
    arrange(arg(2));
    kick();
    match ring::device(0).broken {
        0 => {
            check!(RING.used.load(Ordering::Acquire) >= 1, "there is an answer");
            let written = RING.answers[0][2].load(Ordering::Relaxed);
            say(format_args!("answered {written}"));
        }
        _ => {
            check!(RING.used.load(Ordering::Acquire) == 0, "and nothing else");
            say(format_args!("broken"));
            for what in [number::DEVICE_START, number::DEVICE_FEATURES] {
                answers!(ring::ask(what, 0, ring::FEATURES), BUSY, "without a reset");
            }
            let setup = RING.setup(0);
            let again = core::ptr::from_ref(&setup) as u64;
            answers!(ring::ask(number::QUEUE_SETUP, 0, again), BUSY, "likewise");
        }
    }
    fresh();
    ask();
}

/// After a reset nothing is written that was asked for before.
pub fn reset_in_flight() {
    for _ in 0..100 {
        fresh();
        for place in 0..SIZE {
            RING.describe(place, buffer(page(), 4096, WRITE, 0));
            RING.offer(place as u16);
        }
        ring::ring(ring::device(0).doorbell);
        answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
        // SAFETY: the device has let go of it.
        unsafe { (page() as *mut [u8; 4096]).write_bytes(0, 1) };
        fresh();
        ask();
        // SAFETY: as before.
        let page = unsafe { (page() as *const [u8; 4096]).read_volatile() };
        check!(page == [0; 4096], "the device has let go");
    }
}
