//! What no driver may do with a queue, done with every queue of every device.

use crate::subject::{BODY, ROOM, Subject, linked, part};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use hypercall_abi::vcpu::event::VCPU_STOPPED;
use hypercall_abi::{call as number, map};
use test_guests::ring::{self, Descriptor, INDIRECT, NEXT, SIZE, WRITE};
use test_guests::{answers, arg, arg_number, boot, call, check, say, vcpu};

/// Runs what the second argument names.
pub fn every() {
    let subject = Subject::of_arguments();
    match arg(2) {
        "rings" => rings(subject),
        "changing" => changing(subject),
        "in-flight" => in_flight(subject),
        "config" => config(),
        other => test_guests::fail(format_args!("nothing is called {other:?}")),
    }
}

/// A name, and what is written into the ring.
type Case = (&'static str, fn(Subject));

/// Offers a chain whose body lies elsewhere.
fn body_at(subject: Subject, address: u64) {
    let body = subject.body();
    subject.offer(Descriptor { address, ..body });
}

const CASES: &[Case] = &[
    ("a loop", |subject| {
        let ring = subject.ring();
        ring.describe(0, linked(subject.body(), 1));
        ring.describe(1, linked(subject.body(), 0));
        ring.offer(0);
    }),
    ("a loop of one", |subject| {
        subject.ring().describe(0, linked(subject.body(), 0));
        subject.ring().offer(0);
    }),
    ("a chain that is too long", |subject| {
        const ENTRIES: usize = SIZE + 4;
        let entry = part(BODY.address() + 2048, 1, subject.body().flags);
        let table: [Descriptor; ENTRIES] = core::array::from_fn(|place| match place + 1 {
            ENTRIES => entry,
            next => linked(entry, next as u16),
        });
        let at = BODY.address() as *mut [Descriptor; ENTRIES];
        // SAFETY: aligned, shorter than the page, and the device is not asked to look yet.
        unsafe { at.write_volatile(table) };
        let len = size_of_val(&table) as u32;
        subject
            .ring()
            .describe(0, part(BODY.address(), len, INDIRECT));
        subject.ring().offer(0);
    }),
    ("a next that is not there", |subject| {
        let nowhere = linked(subject.body(), SIZE as u16);
        subject.ring().describe(0, nowhere);
        subject.ring().offer(0);
    }),
    ("a head that is not there", |subject| {
        subject.ring().offer(SIZE as u16);
    }),
    ("a head far away", |subject| subject.ring().offer(u16::MAX)),
    ("an index too far on", |subject| {
        let index = SIZE as u16 + 1;
        subject.ring().available.store(index, Ordering::SeqCst);
    }),
    ("an index that went back", |subject| {
        subject.ring().available.store(u16::MAX, Ordering::SeqCst);
    }),
    ("to read after to write", |subject| {
        let ring = subject.ring();
        ring.describe(0, linked(part(BODY.address(), 8, WRITE), 1));
        ring.describe(1, part(BODY.address(), 8, 0));
        ring.offer(0);
    }),
    ("half a table", |subject| {
        subject
            .ring()
            .describe(0, part(BODY.address(), 24, INDIRECT));
        subject.ring().offer(0);
    }),
    ("a table in the platform area", |subject| {
        subject
            .ring()
            .describe(0, part(map::BOOT_PAGE, 16, INDIRECT));
        subject.ring().offer(0);
    }),
    ("a buffer that wraps", |subject| {
        body_at(subject, u64::MAX - 7)
    }),
    ("in the platform area", |subject| {
        body_at(subject, map::BOOT_PAGE);
    }),
    ("from the platform area on", |subject| {
        body_at(subject, map::RAM_BASE - 1);
    }),
    ("across the end", |subject| {
        body_at(subject, boot().memory_bytes - 7);
    }),
    ("far away", |subject| body_at(subject, 1 << 62)),
    ("4 GiB", |subject| {
        // Where nothing else is: a device may write to it as much as it has.
        subject.offer(Descriptor {
            address: boot().memory_bytes / 2,
            len: u32::MAX,
            ..subject.body()
        });
    }),
    ("no bytes", |subject| {
        let body = subject.body();
        subject.offer(Descriptor { len: 0, ..body });
    }),
    ("the wrong way", |subject| {
        let body = subject.body();
        let flags = body.flags ^ WRITE;
        subject.offer(Descriptor { flags, ..body });
    }),
    ("a head again", |subject| {
        subject.offer(subject.body());
        subject.ring().offer(0);
    }),
];

/// Each of them, and a sound chain after it.
fn rings(subject: Subject) {
    for (name, write) in CASES {
        subject.fresh();
        write(subject);
        subject.kick();
        match subject.wait(1) {
            true => say(format_args!("{name}: answered")),
            false => {
                check!(
                    subject.ring().used.load(Ordering::SeqCst) == 0,
                    "{name}: an answer to what breaks it"
                );
                say(format_args!("{name}: broken"));
                for what in [number::DEVICE_START, number::DEVICE_FEATURES] {
                    let again = ring::ask(what, 0, ring::FEATURES);
                    answers!(again, BUSY, "{name}: not before a reset");
                }
            }
        }
        subject.works();
    }
}

static GO: AtomicBool = AtomicBool::new(true);
static STOPPED: AtomicU32 = AtomicU32::new(0);

extern "C" fn flip(_: u64) -> ! {
    let subject = Subject::of_arguments();
    let body = subject.body();
    let mut turn = 0_u64;
    loop {
        turn += 1;
        let (address, len) = match turn % 4 {
            0 => (map::BOOT_PAGE, body.len),
            1 => (u64::MAX - 3, u32::MAX),
            _ => (body.address, body.len),
        };
        let flags = [body.flags, body.flags | NEXT, body.flags, INDIRECT][(turn / 4 % 4) as usize];
        let next = subject.place() as u16 * 2;
        let changed = Descriptor {
            address,
            len,
            flags: flags | (NEXT * subject.place() as u16),
            next,
        };
        subject.ring().describe(subject.place(), changed);
        if !GO.load(Ordering::Relaxed) {
            vcpu::stop(STOPPED.as_ptr() as u64);
        }
    }
}

/// A chain that another vCPU changes while it is read: an answer or a stop each time.
fn changing(subject: Subject) {
    subject.works();
    answers!(vcpu::start(1, flip, 0), OK, "a second vCPU");
    for _ in 0..arg_number(4) {
        subject.fresh();
        subject.offer(subject.body());
        subject.kick();
        subject.wait(1);
    }
    GO.store(false, Ordering::Relaxed);
    while STOPPED.load(Ordering::Acquire) == 0 {
        answers!(
            call(number::WAIT, &[VCPU_STOPPED, u64::MAX]),
            OK,
            "its stop"
        );
    }
    subject.works();
}

/// What a driver may not do while chains are on their way is refused; and after a reset the device has let go of them.
fn in_flight(subject: Subject) {
    for round in 0..arg_number(4) {
        subject.fresh();
        subject.describe(subject.body());
        for _ in 0..SIZE {
            subject.ring().offer(0);
        }
        subject.kick();
        let size = SIZE as u16 / 2;
        let smaller = hypercall_abi::device::QueueSetup {
            size,
            ..subject.ring().setup(arg_number(3) as u16)
        };
        let place = core::ptr::from_ref(&smaller) as u64;
        answers!(
            ring::ask(number::QUEUE_SETUP, 0, place),
            BUSY,
            "another size"
        );
        let features = ring::ask(number::DEVICE_FEATURES, 0, ring::FEATURES);
        answers!(features, BUSY, "other features");
        answers!(ring::ask(number::DEVICE_START, 0, 0), BUSY, "another start");
        // Every other time they are all still there when it is reset.
        check!(round % 2 == 0 || subject.wait(1), "they are answered");
        answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
        let used = subject.ring().used.load(Ordering::SeqCst);
        let mark = [0xaa; ROOM as usize];
        BODY.fill(&mark);
        for _ in 0..100 {
            core::hint::spin_loop();
        }
        let now = subject.ring().used.load(Ordering::SeqCst);
        check!(now == used && BODY.bytes() == mark, "the device has let go");
    }
    subject.works();
}

/// Writes what of a device only the host may: its configuration space, or its row where it has none.
fn config() {
    let device = ring::device(0);
    let place = match device.config_len {
        0 => map::DEVICES,
        _ => device.config.0,
    };
    // SAFETY: what this case is about: the host answers with a fault.
    unsafe { (place as *mut u64).write_volatile(1 << 40) };
}
