//! Requests that a queue may hold, and that are wrong or odd.

use crate::hand::{self, DATA, FLUSH, HEADER, IN, OUT, RING, STATUS, describe, header, part};
use core::sync::atomic::Ordering;
use hypercall_abi::call as number;
use test_guests::ring::{self, NEXT, WRITE};
use test_guests::{answers, check};

const OK: u8 = 0;
const FAILED: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// A request's status.
fn status(kind: u32, sector: u64, len: u32, flags: u16) -> u8 {
    hand::start();
    header(kind, sector);
    describe(0, (DATA.address(), len), flags);
    hand::ask()
}

/// Each is answered as the specification has it.
pub fn odd() {
    let sectors = test_guests::arg_number(2);
    for (name, kind, sector, len, flags, expected) in [
        ("the last sector", IN, sectors - 1, 512, WRITE, OK),
        ("past the end", IN, sectors, 512, WRITE, FAILED),
        ("across the end", IN, sectors - 1, 1024, WRITE, FAILED),
        ("far away", IN, u64::MAX, 512, WRITE, FAILED),
        ("far enough to wrap", OUT, 1 << 55, 512, 0, FAILED),
        ("a read that is to be read", IN, 0, 512, 0, FAILED),
        ("a write that is to be written", OUT, 0, 512, WRITE, FAILED),
        ("no bytes", IN, 0, 0, WRITE, OK),
        ("no bytes to write", OUT, 0, 0, 0, OK),
        ("a part of a sector", IN, 0, 511, WRITE, FAILED),
        ("a sector and a byte", OUT, 0, 513, 0, FAILED),
        ("a flush", FLUSH, 0, 0, WRITE, OK),
        ("a flush with data", FLUSH, 0, 512, WRITE, FAILED),
        ("an old command", 2, 0, 512, WRITE, UNSUPPORTED),
        ("another", 7, 0, 512, WRITE, UNSUPPORTED),
        ("what was not offered", 14, 0, 16, 0, UNSUPPORTED),
        ("what never was", u32::MAX, 0, 512, WRITE, UNSUPPORTED),
    ] {
        let status = status(kind, sector, len, flags);
        check!(status == expected, "{name}: status {status}");
    }

    hand::start();
    header(IN, 4);
    describe(0, (DATA.address(), 512), WRITE);
    RING.describe(0, part(HEADER.address(), 15, NEXT, 1));
    check!(hand::ask() == FAILED, "a header that is too short");

    hand::start();
    header(IN, 4);
    RING.describe(0, part(HEADER.address(), 5, NEXT, 1));
    RING.describe(1, part(HEADER.address() + 5, 11, NEXT, 2));
    RING.describe(2, part(DATA.address(), 511, NEXT | WRITE, 3));
    RING.describe(3, part(DATA.address() + 511, 2, WRITE, 0));
    RING.offer(0);
    hand::kick();
    let data = DATA.bytes();
    check!(
        data[..512] == [4; 512] && data[512] == OK,
        "parts of any size"
    );

    reused();
    hand::works(11);
}

/// The same head several times: each is a request.
fn reused() {
    hand::start();
    header(IN, 6);
    describe(0, (DATA.address(), 512), WRITE);
    for _ in 0..ring::SIZE {
        RING.offer(0);
    }
    hand::kick();
    while RING.used.load(Ordering::SeqCst) != ring::SIZE as u16 {
        check!(hand::device().broken == 0, "heads again");
    }
    check!(STATUS.bytes()[0] == OK, "each is served");
}

/// A write to a disk that is read-only.
pub fn read_only() {
    let status = status(OUT, 0, 512, 0);
    check!(status == FAILED, "status {status}");
    hand::works(0);
}

/// Resets with requests in flight: afterwards the device writes nothing.
pub fn reset() {
    for round in 0..test_guests::arg_number(2) {
        hand::start();
        header(IN, round % 200);
        describe(0, (DATA.address(), 4096), WRITE);
        for _ in 0..8 {
            RING.offer(0);
        }
        ring::ring(hand::device().doorbell);
        answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
        DATA.fill(&[0xaa; 4096]);
        for _ in 0..100 {
            core::hint::spin_loop();
        }
        check!(
            DATA.bytes() == [0xaa; 4096],
            "round {round}: written after the reset"
        );
    }
    hand::works(1);
}
