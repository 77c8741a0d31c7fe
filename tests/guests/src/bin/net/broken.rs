//! Rings and frames that no driver should write. What no queue may hold stops the card until it is reset; a frame that cannot be is lost. The other end
//! sends back what arrives.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use hypercall_abi::net::{RECEIVE, SEND};
use hypercall_abi::{call as number, map};
use test_guests::ring::{self, Descriptor, FEATURES, INDIRECT, NEXT, Ring, SIZE, WRITE};
use test_guests::{answers, boot, call, check, vcpu};

static RINGS: [Ring; 2] = [const { Ring::empty() }; 2];

/// A packet's bytes.
struct Bytes(UnsafeCell<[u8; 256]>);

// SAFETY: one vCPU looks at them, and the device when it was told to.
unsafe impl Sync for Bytes {}

static OUT: Bytes = Bytes(UnsafeCell::new([0; 256]));
static IN: Bytes = Bytes(UnsafeCell::new([0; 256]));

/// Bytes of a packet before its frame, and of the frame of which all is right.
const HEADER: usize = 12;
const FRAME: usize = 64;
const PACKET: u32 = (HEADER + FRAME) as u32;

impl Bytes {
    fn address(&self) -> u64 {
        self.0.get() as u64
    }
}

fn rings(queue: u16) -> &'static Ring {
    &RINGS[usize::from(queue)]
}

fn one(queue: u16, address: u64, len: u32, flags: u16) {
    let descriptor = Descriptor {
        address,
        len,
        flags,
        next: 0,
    };
    rings(queue).describe(0, descriptor);
    rings(queue).offer(0);
}

/// A card as after boot, with empty rings.
fn fresh() {
    answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
    for ring in &RINGS {
        for index in [&ring.available, &ring.used, &ring.used_event] {
            index.store(0, Ordering::SeqCst);
        }
    }
    answers!(
        ring::ask(number::DEVICE_FEATURES, 0, FEATURES),
        OK,
        "features"
    );
    for queue in [RECEIVE, SEND] {
        ring::set_up(0, &rings(queue).setup(queue));
    }
    answers!(ring::ask(number::DEVICE_START, 0, 0), OK, "start");
    check!(ring::device(0).broken == 0, "a reset mends it");
}

/// A packet to send, with a mark, and with what its header begins with; where that is zeros, all is right.
fn packet(mark: u8, header: [u8; 2]) {
    let mut bytes = [mark; 256];
    bytes[..HEADER].fill(0);
    bytes[..2].copy_from_slice(&header);
    bytes[HEADER..HEADER + 14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    // SAFETY: the device is not asked to look now.
    unsafe { *OUT.0.get() = bytes };
}

/// Rings both doorbells.
fn kick() {
    let bell = ring::device(0).doorbell;
    for queue in [RECEIVE, SEND] {
        ring::ring(bell + u32::from(queue));
    }
}

/// Waits until a queue has answered so many chains, or the card has stopped.
fn wait(queue: u16, count: u16) {
    let event = 1 << ring::device(0).event;
    loop {
        // Looked at once: what is answered after that is told.
        let before = rings(queue).used.load(Ordering::SeqCst);
        if before == count || ring::device(0).broken != 0 {
            return;
        }
        rings(queue).used_event.store(before, Ordering::SeqCst);
        if rings(queue).used.load(Ordering::SeqCst) == before {
            answers!(call(number::WAIT, &[event, u64::MAX]), OK, "waiting");
            vcpu::clear(event);
        }
    }
}

/// A frame there and back.
fn works(mark: u8) {
    fresh();
    packet(mark, [0, 0]);
    one(RECEIVE, IN.address(), 256, WRITE);
    one(SEND, OUT.address(), PACKET, 0);
    kick();
    wait(RECEIVE, 1);
    check!(
        ring::device(0).broken == 0,
        "frame {mark}: the card has stopped"
    );
    // SAFETY: the device has answered.
    let (sent, back) = unsafe { (*OUT.0.get(), *IN.0.get()) };
    let frame = HEADER..HEADER + FRAME;
    check!(
        sent[frame.clone()] == back[frame],
        "frame {mark} is another"
    );
}

/// A name, a queue, and what is done to it.
type Break = (&'static str, u16, fn(u16));

/// What stops the card, by the queue.
const BROKEN: &[Break] = &[
    ("a loop", SEND, looped),
    ("a loop", RECEIVE, looped),
    ("a head that is not there", SEND, |queue| {
        rings(queue).offer(SIZE as u16)
    }),
    ("more than the ring holds", SEND, |queue| {
        rings(queue)
            .available
            .store(SIZE as u16 + 1, Ordering::SeqCst);
    }),
    ("a frame in the platform area", SEND, |queue| {
        one(queue, map::BOOT_PAGE, PACKET, 0)
    }),
    ("a frame above the memory", SEND, |queue| {
        one(queue, boot().memory_bytes - 20, PACKET, 0)
    }),
    ("a frame that wraps", SEND, |queue| {
        one(queue, u64::MAX - 20, PACKET, 0)
    }),
    ("an indirect table of a part", SEND, |queue| {
        one(queue, OUT.address(), 15, INDIRECT)
    }),
    ("room in the platform area", RECEIVE, |queue| {
        one(queue, map::BOOT_PAGE, 256, WRITE)
    }),
    ("room above the memory", RECEIVE, |queue| {
        one(queue, boot().memory_bytes - 20, 256, WRITE)
    }),
    ("room of 4 GiB", RECEIVE, |queue| {
        one(queue, boot().memory_bytes - 20, u32::MAX, WRITE)
    }),
    ("room for less than a header", RECEIVE, |queue| {
        one(queue, IN.address(), 11, WRITE)
    }),
    ("room to be read", RECEIVE, |queue| {
        one(queue, IN.address(), 256, 0)
    }),
];

fn looped(queue: u16) {
    let descriptor = Descriptor {
        address: OUT.address(),
        len: 8,
        flags: NEXT | if queue == RECEIVE { WRITE } else { 0 },
        next: 0,
    };
    rings(queue).describe(0, descriptor);
    rings(queue).offer(0);
}

/// Packets that are lost: where, how long and with which flags, and the header's first bytes.
const LOST: &[(&str, u32, u16, [u8; 2])] = &[
    ("nothing", 0, 0, [0, 0]),
    ("less than a header", 11, 0, [0, 0]),
    ("a header alone", 12, 0, [0, 0]),
    ("too short a frame", 25, 0, [0, 0]),
    ("4 GiB", u32::MAX, 0, [0, 0]),
    ("what the device is to write", PACKET, WRITE, [0, 0]),
    ("a checksum to do that was not agreed on", PACKET, 0, [1, 0]),
    ("a segment to cut that was not agreed on", PACKET, 0, [0, 1]),
    ("a segment of no kind", PACKET, 0, [1, 0xff]),
];

/// Each of them, with a frame in order before and after.
pub fn broken() {
    for (name, queue, write) in BROKEN {
        works(7);
        fresh();
        packet(1, [0, 0]);
        write(*queue);
        if *queue == RECEIVE {
            // Its end comes with a frame.
            one(SEND, OUT.address(), PACKET, 0);
        }
        kick();
        wait(*queue, u16::MAX);
        check!(ring::device(0).broken != 0, "{name}: the card goes on");
        answers!(
            ring::ask(number::DEVICE_START, 0, 0),
            BUSY,
            "without a reset"
        );
    }
    for (name, len, flags, header) in LOST {
        fresh();
        packet(2, *header);
        one(SEND, OUT.address(), *len, *flags);
        kick();
        wait(SEND, 1);
        check!(ring::device(0).broken == 0, "{name}: the card has stopped");
    }
    works(9);
}

/// Resets with frames on their way.
pub fn reset() {
    for mark in 0..100 {
        fresh();
        packet(mark, [0, 0]);
        one(RECEIVE, IN.address(), 256, WRITE);
        for _ in 0..SIZE {
            one(SEND, OUT.address(), PACKET, 0);
        }
        kick();
    }
    fresh();
}
