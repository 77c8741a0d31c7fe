//! The device driven by hand: packets out and packets in.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, Ordering};
use hypercall_abi::call as number;
use hypercall_abi::vsock::{HOST_CID, Header, MAX_PAYLOAD, RECEIVE, SEND, STREAM, op};
use test_guests::ring::{self, Descriptor, FEATURES, Ring, SIZE, WRITE};
use test_guests::{answers, call, check, vcpu};

pub const CID: u64 = 3;
pub const HEADER: usize = size_of::<Header>();
pub const ROOM: usize = 4096;
/// A port of the host's where a program listens that reads nothing, and one where nobody does.
pub const DUMB: u32 = 6000;
pub const NOBODY: u32 = 6001;

pub static RX: Ring = Ring::empty();
pub static TX: Ring = Ring::empty();

#[repr(align(4096))]
pub struct Bytes<const LEN: usize>(pub UnsafeCell<[u8; LEN]>);

// SAFETY: one vCPU uses them, while the device does not.
unsafe impl<const LEN: usize> Sync for Bytes<LEN> {}

pub static IN: [Bytes<ROOM>; SIZE] = [const { Bytes(UnsafeCell::new([0; ROOM])) }; SIZE];
pub static OUT: Bytes<{ HEADER + MAX_PAYLOAD as usize + 8 }> = Bytes(UnsafeCell::new([0; _]));

/// Sets the device up, with a buffer in every place for packets.
pub fn start() {
    answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
    answers!(
        ring::ask(number::DEVICE_FEATURES, 0, FEATURES),
        OK,
        "features"
    );
    ring::set_up(0, &RX.setup(RECEIVE));
    ring::set_up(0, &TX.setup(SEND));
    SEEN.store(0, Ordering::Relaxed);
    for ring in [&RX, &TX] {
        ring.available.store(0, Ordering::SeqCst);
        ring.used.store(0, Ordering::SeqCst);
    }
    answers!(ring::ask(number::DEVICE_START, 0, 0), OK, "start");
    (0..SIZE).for_each(offer);
}

pub fn offer(place: usize) {
    let buffer = Descriptor {
        address: IN[place].0.get() as u64,
        len: ROOM as u32,
        flags: WRITE,
        next: 0,
    };
    RX.describe(place, buffer);
    RX.offer(place as u16);
}

pub fn header(op: u16) -> Header {
    Header {
        src_cid: CID,
        dst_cid: HOST_CID,
        src_port: 77,
        dst_port: DUMB,
        kind: STREAM,
        op,
        buf_alloc: 4096,
        ..Header::default()
    }
}

/// Sends a header with so many bytes behind it, and waits until the device has taken it.
pub fn send(header: &Header, data: u32) {
    // SAFETY: any bytes are bytes; the device does not look at the buffer now.
    unsafe { OUT.0.get().cast::<Header>().write_unaligned(*header) };
    send_raw(OUT.0.get() as u64, HEADER as u32 + data);
}

pub fn send_raw(address: u64, len: u32) {
    let chain = Descriptor {
        address,
        len,
        flags: 0,
        next: 0,
    };
    TX.describe(0, chain);
    let before = TX.used.load(Ordering::Acquire);
    TX.used_event.store(before, Ordering::SeqCst);
    TX.offer(0);
    ring::ring(ring::device(0).doorbell + u32::from(SEND));
    wait(|| TX.used.load(Ordering::Acquire) != before || ring::device(0).broken != 0);
}

pub fn wait(done: impl Fn() -> bool) {
    let event = 1 << ring::device(0).event;
    loop {
        vcpu::clear(event);
        if done() {
            return;
        }
        answers!(call(number::WAIT, &[event, u64::MAX]), OK, "waiting");
    }
}

/// How many packets from the host were looked at, wrapping.
pub static SEEN: AtomicU16 = AtomicU16::new(0);

/// Whether there is another packet from the host.
pub fn has_next() -> bool {
    RX.used.load(Ordering::Acquire) != SEEN.load(Ordering::Relaxed)
}

/// The next packet from the host: its header, and how long it is in all.
pub fn next() -> (Header, u32) {
    let seen = SEEN.load(Ordering::Relaxed);
    RX.used_event.store(seen, Ordering::SeqCst);
    wait(has_next);
    let answer = &RX.answers[usize::from(seen) % SIZE];
    let place = usize::from(answer[0].load(Ordering::Relaxed)) % SIZE;
    let len = u32::from(answer[2].load(Ordering::Relaxed));
    // SAFETY: the device has written there and is done; any bytes are a header.
    let header = unsafe { IN[place].0.get().cast::<Header>().read_unaligned() };
    SEEN.store(seen.wrapping_add(1), Ordering::Relaxed);
    offer(place);
    (header, len)
}

/// The next packet is a header with an operation, from a port of the host's.
pub fn expect(op: u16, port: u32) -> Header {
    let (header, len) = next();
    let (got, from) = (header.op, header.src_port);
    check!(
        got == op && from == port && len as usize == HEADER,
        "{header:?} instead of {op} from {port}"
    );
    header
}

/// Has a connection made.
pub fn connect() {
    send(&header(op::REQUEST), 0);
    let answer = expect(op::RESPONSE, DUMB);
    let (to, room) = (answer.dst_port, answer.buf_alloc);
    check!(to == 77 && room > 0, "{answer:?}");
}
