//! Rings that no queue may hold: the device stops, says so, and is as new after a reset.

use crate::hand::{self, DATA, HEADER, IN, RING, STATUS, describe, header, part};
use core::sync::atomic::{AtomicBool, Ordering};
use hypercall_abi::{call as number, map};
use test_guests::ring::{self, INDIRECT, NEXT, SIZE, WRITE};
use test_guests::{answers, boot, check, vcpu};

/// What each case writes into the rings.
const CASES: &[(&str, fn())] = &[
    ("a loop", || {
        RING.describe(0, part(HEADER.address(), 16, NEXT, 0));
        RING.offer(0);
    }),
    ("a loop at the end", || {
        for place in 0..SIZE as u16 {
            let next = (place + 1) % SIZE as u16;
            RING.describe(place.into(), part(HEADER.address(), 1, NEXT, next));
        }
        RING.offer(0);
    }),
    ("a head that is not there", || RING.offer(SIZE as u16)),
    ("a head far away", || RING.offer(u16::MAX)),
    ("a next that is not there", || {
        RING.describe(0, part(HEADER.address(), 16, NEXT, SIZE as u16));
        RING.offer(0);
    }),
    ("more than the ring holds", || {
        describe(0, (DATA.address(), 512), WRITE);
        RING.available.store(SIZE as u16 + 1, Ordering::SeqCst);
    }),
    ("an index that went back", || {
        RING.available.store(u16::MAX, Ordering::SeqCst);
    }),
    ("data in the platform area", || {
        describe(0, (map::BOOT_PAGE, 512), WRITE);
        RING.offer(0);
    }),
    ("data that ends above the memory", || {
        describe(0, (boot().memory_bytes - 511, 512), WRITE);
        RING.offer(0);
    }),
    ("data of 4 GiB", || {
        describe(0, (DATA.address(), u32::MAX), WRITE);
        RING.offer(0);
    }),
    ("data that wraps", || {
        describe(0, (u64::MAX - 10, 512), WRITE);
        RING.offer(0);
    }),
    ("a header in the platform area", || {
        describe(0, (DATA.address(), 512), WRITE);
        RING.describe(0, part(map::BOOT_PAGE, 16, NEXT, 1));
        RING.offer(0);
    }),
    ("a status in the platform area", || {
        describe(0, (DATA.address(), 512), WRITE);
        RING.describe(2, part(map::BOOT_PAGE, 1, WRITE, 0));
        RING.offer(0);
    }),
    ("a status to be read", || {
        describe(0, (DATA.address(), 512), 0);
        RING.describe(2, part(STATUS.address(), 1, 0, 0));
        RING.offer(0);
    }),
    ("nothing but a header", || {
        RING.describe(0, part(HEADER.address(), 16, 0, 0));
        RING.offer(0);
    }),
    ("what is read after what is written", || {
        RING.describe(0, part(STATUS.address(), 1, WRITE | NEXT, 1));
        RING.describe(1, part(HEADER.address(), 16, 0, 0));
        RING.offer(0);
    }),
    ("an indirect table of a part", || {
        RING.describe(0, part(DATA.address(), 15, INDIRECT, 0));
        RING.offer(0);
    }),
    ("an indirect table of nothing", || {
        RING.describe(0, part(DATA.address(), 0, INDIRECT, 0));
        RING.offer(0);
    }),
    ("an indirect table in the platform area", || {
        RING.describe(0, part(map::BOOT_PAGE, 64, INDIRECT, 0));
        RING.offer(0);
    }),
    ("an indirect table in itself", || {
        let mut table = [0; 16];
        table[..8].copy_from_slice(&DATA.address().to_le_bytes());
        table[8..12].copy_from_slice(&16_u32.to_le_bytes());
        table[12..14].copy_from_slice(&INDIRECT.to_le_bytes());
        DATA.fill(&table);
        RING.describe(0, part(DATA.address(), 16, INDIRECT, 0));
        RING.offer(0);
    }),
];

/// Each of them, with a request in order before and after.
pub fn broken() {
    let before = DATA.address();
    for (name, write) in CASES {
        hand::works(7);
        hand::start();
        header(IN, 0);
        write();
        hand::kick();
        check!(hand::device().broken != 0, "{name}: the device goes on");
        check!(RING.used.load(Ordering::SeqCst) == 0, "{name}: answered");
        let again = ring::ask(number::DEVICE_START, 0, 0);
        answers!(again, BUSY, "{name}: a start without a reset");
    }
    hand::works(9);
    check!(
        before == DATA.address() && boot().devices == 1,
        "nothing was overwritten"
    );
}

static STOP: AtomicBool = AtomicBool::new(false);

/// Changes a descriptor as fast as it can.
extern "C" fn change(_: u64) -> ! {
    while !STOP.load(Ordering::SeqCst) {
        for address in [map::BOOT_PAGE, DATA.address(), u64::MAX - 3] {
            RING.describe(1, part(address, 512, NEXT | WRITE, 2));
        }
        RING.describe(1, part(DATA.address(), u32::MAX, NEXT, 1));
        RING.describe(1, part(DATA.address(), 512, NEXT | WRITE, 2));
    }
    vcpu::stop(0)
}

/// A chain that another vCPU changes while it is read: an answer or a stop each time.
pub fn changing() {
    hand::start();
    answers!(vcpu::start(1, change, 0), OK, "another vCPU");
    let (mut answered, mut stopped) = (0, 0);
    for _ in 0..test_guests::arg_number(2) {
        hand::start();
        header(IN, 3);
        RING.describe(0, part(HEADER.address(), 16, NEXT, 1));
        RING.describe(2, part(STATUS.address(), 1, WRITE, 0));
        RING.offer(0);
        hand::kick();
        match hand::device().broken {
            0 => answered += 1,
            _ => stopped += 1,
        }
    }
    STOP.store(true, Ordering::SeqCst);
    test_guests::say(format_args!("{answered} answered, {stopped} stopped"));
    hand::works(5);
}
