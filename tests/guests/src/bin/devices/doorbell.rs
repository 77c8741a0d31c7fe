//! Doorbells that nobody should ring so.

use hypercall_abi::{call as number, doorbell};
use test_guests::{answers, call, ring};

/// Numbers that nobody listens to, by the gate and by the call.
pub fn nothing_rings() {
    for bell in [
        0,
        1,
        63,
        doorbell::DEVICES,
        doorbell::DEVICES + 1,
        5000,
        u32::MAX,
    ] {
        ring::ring(bell);
        answers!(
            call(number::DOORBELL, &[bell.into()]),
            NOT_FOUND,
            "doorbell {bell}"
        );
    }
    answers!(
        call(number::DOORBELL, &[1 << 32]),
        NOT_FOUND,
        "a number of more than 32 bits"
    );
}

static RING: ring::Ring = ring::Ring::empty();

/// Rings as fast as it can, with nothing to serve.
pub fn flood() {
    ring::start(0, &RING);
    let bell = ring::device(0).doorbell;
    for _ in 0..test_guests::arg_number(2) {
        ring::ring(bell);
    }
}
