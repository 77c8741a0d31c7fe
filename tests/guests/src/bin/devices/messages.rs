//! Messages about ports as no driver may send them, on the console.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use hypercall_abi::console::{CONTROL_IN, CONTROL_OUT, Control, event, feature, port_in};
use hypercall_abi::{call as number, map};
use test_guests::ring::{self, Descriptor, FEATURES, Ring, SIZE, WRITE};
use test_guests::{answers, call, check, say, vcpu};

static IN: Ring = Ring::empty();
static OUT: Ring = Ring::empty();
static PORT: Ring = Ring::empty();

#[repr(align(4096))]
struct Bytes(UnsafeCell<[u8; 4096]>);

// SAFETY: one vCPU uses them, while the device does not.
unsafe impl Sync for Bytes {}

static SENT: Bytes = Bytes(UnsafeCell::new([0; 4096]));
static HEARD: Bytes = Bytes(UnsafeCell::new([0; 4096]));

/// The console as after boot, with one port's output and the queues of messages, and buffers for messages.
fn fresh() {
    answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
    for ring in [&IN, &OUT, &PORT] {
        ring.available.store(0, Ordering::SeqCst);
        ring.used.store(0, Ordering::SeqCst);
        ring.used_event.store(0, Ordering::SeqCst);
    }
    let features = FEATURES | feature::MULTIPORT;
    answers!(
        ring::ask(number::DEVICE_FEATURES, 0, features),
        OK,
        "features"
    );
    ring::set_up(0, &IN.setup(CONTROL_IN));
    ring::set_up(0, &OUT.setup(CONTROL_OUT));
    ring::set_up(0, &PORT.setup(port_in(0) + 1));
    answers!(ring::ask(number::DEVICE_START, 0, 0), OK, "start");
    for place in 0..SIZE {
        IN.describe(
            place,
            Descriptor {
                address: HEARD.0.get() as u64 + 64 * place as u64,
                len: 64,
                flags: WRITE,
                next: 0,
            },
        );
        IN.offer(place as u16);
    }
    vcpu::clear(1 << ring::device(0).event);
}

/// Offers a buffer on a queue, kicks, and waits until it was answered or the device is broken.
fn offer(ring: &Ring, queue: u16, address: u64, len: u32, flags: u16) {
    let before = ring.used.load(Ordering::Acquire);
    ring.used_event.store(before, Ordering::SeqCst);
    let next = 0;
    ring.describe(
        0,
        Descriptor {
            address,
            len,
            flags,
            next,
        },
    );
    ring.offer(0);
    let device = ring::device(0);
    ring::ring(device.doorbell + u32::from(queue));
    while ring.used.load(Ordering::Acquire) == before && ring::device(0).broken == 0 {
        let wanted = [1 << device.event, u64::MAX];
        answers!(call(number::WAIT, &wanted), OK, "waiting");
        vcpu::clear(1 << device.event);
    }
}

fn message(id: u32, event: u16, value: u16, len: u32) {
    let message = Control { id, event, value };
    // SAFETY: the device has answered whatever was sent before.
    unsafe { SENT.0.get().cast::<Control>().write_volatile(message) };
    offer(&OUT, CONTROL_OUT, SENT.0.get() as u64, len, 0);
    check!(
        ring::device(0).broken == 0,
        "{message:?} of {len} bytes breaks nothing"
    );
}

/// Whether the host says what there is, which it does after it has answered the question.
fn is_told() -> bool {
    (0..100_000_000).any(|_| IN.used.load(Ordering::Acquire) == 1)
}

/// What the specification does not have is passed over, and buffers that cannot be break the console until it is reset.
pub fn hostile() {
    fresh();
    for id in [1, 16, 0xffff, 0x1_0000, u32::MAX] {
        for event in 1..10 {
            message(id, event, 1, 8);
        }
    }
    for value in [0, 2, u16::MAX] {
        message(0, event::DEVICE_READY, value, 8);
        message(0, event::PORT_READY, value, 8);
        message(0, u16::MAX, value, 8);
    }
    for len in [0, 1, 7] {
        message(0, event::DEVICE_READY, 1, len);
    }
    check!(IN.used.load(Ordering::Acquire) == 0, "nothing was asked");
    message(0, event::DEVICE_READY, 1, 4096);
    check!(is_told(), "there is one port");
    // SAFETY: the device has written it.
    let heard = unsafe { HEARD.0.get().cast::<Control>().read_volatile() };
    check!((heard.id, heard.event) == (0, event::ADD), "{heard:?}");
    offer(&OUT, CONTROL_OUT, SENT.0.get() as u64, 8, WRITE);
    offer(&PORT, 1, SENT.0.get() as u64, 8, WRITE);
    offer(&PORT, 1, SENT.0.get() as u64, 0, 0);
    check!(ring::device(0).broken == 0, "the wrong way breaks nothing");
    for (address, len) in [
        (map::BOOT_PAGE, 8),
        (u64::MAX - 3, 8),
        (1 << 50, u32::MAX),
        (SENT.0.get() as u64, u32::MAX),
    ] {
        for (ring, queue) in [(&OUT, CONTROL_OUT), (&PORT, 1)] {
            // A message's first bytes are all that is read of it.
            let is_read = queue == CONTROL_OUT && address == SENT.0.get() as u64;
            offer(ring, queue, address, len, 0);
            check!(
                (ring::device(0).broken == 0) == is_read,
                "{address:#x} and {len:#x} bytes on queue {queue}"
            );
            fresh();
        }
    }
    message(0, event::DEVICE_READY, 1, 8);
    check!(is_told(), "as good as new");
    say(format_args!("done"));
}
