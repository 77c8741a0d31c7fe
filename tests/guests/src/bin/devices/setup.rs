//! Setting a device up, in order and out of order. The device is the one that gives random numbers.

use alloc::vec;
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use guest_sdk::rng::Rng;
use hypercall_abi::device::{QueueSetup, feature, kind};
use hypercall_abi::vcpu::event::DEVICE_BASE;
use hypercall_abi::{Gpa, Status, call as number, map};
use test_guests::ring::{self, Descriptor, FEATURES, Ring, WRITE};
use test_guests::{answers, arg_number, boot, call, check, vcpu};

pub static RING: Ring = Ring::empty();

/// Bytes that the device fills.
struct Bytes(UnsafeCell<[u8; 64]>);

// SAFETY: one vCPU looks at them, when the device has answered.
unsafe impl Sync for Bytes {}

static BYTES: Bytes = Bytes(UnsafeCell::new([0; 64]));

/// Asks for random bytes and waits for them.
pub fn ask() {
    // SAFETY: the device is not asked to write there now.
    unsafe { *BYTES.0.get() = [0; 64] };
    let buffer = Descriptor {
        address: BYTES.0.get() as u64,
        len: 64,
        flags: WRITE,
        next: 0,
    };
    RING.describe(0, buffer);
    let before = RING.used.load(Ordering::Acquire);
    RING.used_event.store(before, Ordering::SeqCst);
    let device = ring::device(0);
    vcpu::clear(1 << device.event);
    RING.offer(0);
    ring::ring(device.doorbell);
    answers!(
        call(number::WAIT, &[1 << device.event, u64::MAX]),
        OK,
        "waiting"
    );
    check!(
        RING.used.load(Ordering::Acquire) == before.wrapping_add(1),
        "one answer"
    );
    let answer = &RING.answers[usize::from(before) % ring::SIZE];
    check!(
        answer[0].load(Ordering::Relaxed) == 0,
        "of the chain that was offered"
    );
    check!(
        answer[2].load(Ordering::Relaxed) == 64,
        "and as long as the buffer"
    );
    // SAFETY: the device has answered.
    let bytes = unsafe { *BYTES.0.get() };
    check!(bytes != [0; 64], "the bytes are random");
}

/// What the table says, and a request.
pub fn random() {
    check!(boot().devices == 1, "one device");
    let device = ring::device(0);
    check!(
        (device.kind, device.instance, device.queues) == (kind::RNG, 0, 1),
        "{device:?}"
    );
    check!(
        u32::from(device.event) == DEVICE_BASE && device.features == FEATURES,
        "{device:?}"
    );
    check!(device.name.starts_with(b"rng\0"), "{device:?}");
    ring::start(0, &RING);
    ask();
    ask();
    check!(ring::device(0).broken == 0, "nothing is broken");
}

/// After a reset a device can be used anew.
pub fn again() {
    for _ in 0..5 {
        // Indices begin at 0 again.
        RING.available.store(0, Ordering::SeqCst);
        RING.used.store(0, Ordering::SeqCst);
        ring::start(0, &RING);
        ask();
        answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
    }
}

/// Every call out of its order, and with what it must refuse.
pub fn order() {
    let setup = RING.setup(0);
    let queue =
        |setup: &QueueSetup| ring::ask(number::QUEUE_SETUP, 0, core::ptr::from_ref(setup) as u64);
    let features = |bits| ring::ask(number::DEVICE_FEATURES, 0, bits);
    let start = || ring::ask(number::DEVICE_START, 0, 0);
    for what in [
        number::DEVICE_RESET,
        number::DEVICE_FEATURES,
        number::DEVICE_START,
    ] {
        for device in [1, 24, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            answers!(call(what, &[device, FEATURES]), NOT_FOUND, "no such device");
        }
    }
    answers!(start(), BAD_ARGUMENT, "a start without features");
    answers!(queue(&setup), BAD_ARGUMENT, "a queue without features");
    let refused = answers!(
        features(FEATURES | 1 << 63),
        UNSUPPORTED,
        "what is not offered"
    );
    check!(refused.result == FEATURES, "the answer is what is offered");
    answers!(
        features(feature::EVENT_IDX),
        UNSUPPORTED,
        "without version 1"
    );
    answers!(features(FEATURES), OK, "features");
    answers!(start(), BAD_ARGUMENT, "a start without queues");
    for bad in [
        map::BOOT_PAGE,
        map::RAM_BASE - 1,
        boot().memory_bytes - 8,
        u64::MAX,
    ] {
        answers!(
            ring::ask(number::QUEUE_SETUP, 0, bad),
            BAD_ADDRESS,
            "a set-up at {bad:#x}"
        );
    }
    let end = boot().memory_bytes;
    let bad: [(QueueSetup, Status); 11] = [
        (QueueSetup { queue: 1, ..setup }, Status::NOT_FOUND),
        (QueueSetup { vcpu: 1, ..setup }, Status::NOT_FOUND),
        (QueueSetup { size: 0, ..setup }, Status::BAD_ARGUMENT),
        (QueueSetup { size: 3, ..setup }, Status::BAD_ARGUMENT),
        (
            QueueSetup {
                size: 0x8000,
                ..setup
            },
            Status::BAD_ARGUMENT,
        ),
        (
            QueueSetup {
                descriptors: Gpa(setup.descriptors.0 + 8),
                ..setup
            },
            Status::BAD_ARGUMENT,
        ),
        (
            QueueSetup {
                available: Gpa(setup.available.0 + 1),
                ..setup
            },
            Status::BAD_ARGUMENT,
        ),
        (
            QueueSetup {
                used: Gpa(setup.used.0 + 2),
                ..setup
            },
            Status::BAD_ARGUMENT,
        ),
        (
            QueueSetup {
                descriptors: Gpa(map::VCPU_PAGES),
                ..setup
            },
            Status::BAD_ADDRESS,
        ),
        (
            QueueSetup {
                used: Gpa(end - 64),
                ..setup
            },
            Status::BAD_ADDRESS,
        ),
        (
            QueueSetup {
                available: Gpa(!0xfff),
                ..setup
            },
            Status::BAD_ADDRESS,
        ),
    ];
    for (setup, status) in bad {
        let answer = queue(&setup);
        check!(answer.status == status, "{setup:?}: {:?}", answer.status);
    }
    answers!(queue(&setup), OK, "a queue");
    answers!(queue(&setup), BUSY, "the same queue again");
    answers!(features(FEATURES), BUSY, "features after a queue");
    answers!(start(), OK, "start");
    answers!(start(), BUSY, "another start");
    answers!(queue(&setup), BUSY, "a queue after the start");
    ask();
}

/// As many buffers of 4 KiB as the argument says, by the SDK's driver.
pub fn fill() {
    let rng = Rng::open().expect("a device");
    let mut bytes = vec![0; 4096];
    for _ in 0..arg_number(2) {
        bytes.fill(0);
        rng.fill(&mut bytes).expect("a device");
        check!(bytes.iter().any(|byte| *byte != 0), "nothing but zeros");
    }
}
