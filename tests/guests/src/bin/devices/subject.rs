//! The device at the head of the table, whatever it is, and one of its queues: how it is started, and what a sound chain on that queue is.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use hypercall_abi::device::kind;
use hypercall_abi::vsock::{Header, op};
use hypercall_abi::{call as number, console, net, vsock};
use test_guests::ring::{self, Descriptor, FEATURES, NEXT, Ring, WRITE};
use test_guests::{answers, arg_number, call, check, vcpu};

/// The most queues that are used.
const QUEUES: u16 = 4;
/// Bytes of a buffer that every device finds long enough.
pub const ROOM: u32 = 4096;

static RINGS: [Ring; QUEUES as usize] = [const { Ring::empty() }; QUEUES as usize];

/// Memory that devices read or write: one buffer for each purpose.
#[repr(align(4096))]
pub struct Page(UnsafeCell<[u8; ROOM as usize]>);

// SAFETY: the vCPU and the device use it in turns, or the case means them not to.
unsafe impl Sync for Page {}

impl Page {
    const fn new() -> Page {
        Page(UnsafeCell::new([0; _]))
    }

    pub fn address(&self) -> u64 {
        self.0.get() as u64
    }

    pub fn bytes(&self) -> [u8; ROOM as usize] {
        // SAFETY: bytes, whoever wrote them.
        unsafe { self.0.get().read_volatile() }
    }

    /// Fills it with these bytes, and zeros after them.
    pub fn fill(&self, bytes: &[u8]) {
        let mut page = [0; ROOM as usize];
        page[..bytes.len()].copy_from_slice(bytes);
        // SAFETY: as above.
        unsafe { self.0.get().write_volatile(page) };
    }
}

/// What the queue's chains are about.
pub static BODY: Page = Page::new();
/// What a disk reads before that, and what it writes after it.
static HEAD: Page = Page::new();
static STATUS: Page = Page::new();
/// What the other queues' chains are about.
static OUT: Page = Page::new();
static IN: Page = Page::new();

/// A device's queue.
#[derive(Clone, Copy)]
pub struct Subject {
    kind: u32,
    queue: u16,
}

impl Subject {
    /// The device of row 0, and the queue that the guest's third argument names.
    pub fn of_arguments() -> Subject {
        Subject {
            kind: ring::device(0).kind,
            queue: arg_number(3) as u16,
        }
    }

    /// Its ring.
    pub fn ring(self) -> &'static Ring {
        &RINGS[usize::from(self.queue)]
    }

    /// Whether the device writes the buffers of this queue.
    pub fn is_written(self) -> bool {
        match (self.kind, self.queue) {
            (kind::BLOCK | kind::RNG, _) => true,
            (_, queue) => queue.is_multiple_of(2),
        }
    }

    fn direction(self) -> u16 {
        if self.is_written() { WRITE } else { 0 }
    }

    /// What the device reads in a sound chain: all of it, or for a disk what comes first.
    fn sound(self) -> ([u8; 128], u32) {
        let mut bytes = [0; 128];
        let len = match (self.kind, self.queue) {
            // A read of sector 0.
            (kind::BLOCK, _) => 16,
            // A header of zeros, and a frame.
            (kind::NET, net::SEND) => {
                bytes[12..26].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
                76
            }
            // What belongs to no connection is answered with a reset.
            (kind::VSOCK, vsock::SEND) => {
                let header = Header {
                    src_cid: 3,
                    dst_cid: vsock::HOST_CID,
                    src_port: 7,
                    dst_port: 7,
                    kind: vsock::STREAM,
                    op: op::RW,
                    ..Header::default()
                };
                let at = bytes.as_mut_ptr().cast::<Header>();
                // SAFETY: a header is shorter than the bytes, and consists of integers.
                unsafe { at.write_unaligned(header) };
                size_of::<Header>() as u32
            }
            // That the driver is there, to which ports are named.
            (kind::CONSOLE, console::CONTROL_OUT) => {
                bytes[6] = 1;
                8
            }
            _ => ROOM,
        };
        (bytes, len)
    }

    /// The device as after boot: its queues empty but for the buffers that the others need.
    pub fn fresh(self) {
        answers!(ring::ask(number::DEVICE_RESET, 0, 0), OK, "reset");
        check!(ring::device(0).broken == 0, "a reset mends it");
        for ring in &RINGS {
            for index in [&ring.available, &ring.used, &ring.used_event] {
                index.store(0, Ordering::SeqCst);
            }
        }
        // Without messages there is one port, which is open.
        let (own, queues) = match (self.kind, self.queue) {
            (kind::CONSOLE, console::CONTROL_IN | console::CONTROL_OUT) => {
                (console::feature::MULTIPORT, 0..4)
            }
            (kind::BLOCK | kind::RNG, _) => (0, 0..1),
            _ => (0, 0..2),
        };
        let wanted = FEATURES | own;
        answers!(
            ring::ask(number::DEVICE_FEATURES, 0, wanted),
            OK,
            "features"
        );
        for queue in queues.clone() {
            ring::set_up(0, &RINGS[usize::from(queue)].setup(queue));
        }
        answers!(ring::ask(number::DEVICE_START, 0, 0), OK, "start");
        for queue in queues {
            // Of the others those that the device writes.
            if queue != self.queue && queue.is_multiple_of(2) {
                let buffer = part(IN.address(), ROOM, WRITE);
                RINGS[usize::from(queue)].describe(0, buffer);
                RINGS[usize::from(queue)].offer(0);
            }
        }
        let (bytes, len) = self.sound();
        match self.kind {
            kind::BLOCK => HEAD.fill(&bytes[..len as usize]),
            _ if !self.is_written() => BODY.fill(&bytes),
            _ => {}
        }
        vcpu::clear(1 << ring::device(0).event);
    }

    /// The descriptor of a sound chain that the chain is about.
    pub fn body(self) -> Descriptor {
        let len = match (self.kind, self.is_written()) {
            (kind::BLOCK, _) => 512,
            (_, true) => ROOM,
            (_, false) => self.sound().1,
        };
        part(BODY.address(), len, self.direction())
    }

    /// The descriptor that has the body in a sound chain: a disk's comes after the request's header, and before its status.
    pub fn place(self) -> usize {
        usize::from(self.kind == kind::BLOCK)
    }

    /// Describes a chain at descriptor 0 with this in place of its body.
    pub fn describe(self, body: Descriptor) {
        if self.kind != kind::BLOCK {
            return self.ring().describe(0, body);
        }
        self.ring()
            .describe(0, linked(part(HEAD.address(), 16, 0), 1));
        self.ring().describe(1, linked(body, 2));
        self.ring().describe(2, part(STATUS.address(), 1, WRITE));
    }

    /// Offers such a chain.
    pub fn offer(self, body: Descriptor) {
        self.describe(body);
        self.ring().offer(0);
    }

    /// Kicks, and sees to it that the device has something for this queue.
    pub fn kick(self) {
        let out = match (self.kind, self.queue) {
            (kind::NET | kind::VSOCK, 0) => Some(1),
            (kind::CONSOLE, console::CONTROL_IN) => Some(console::CONTROL_OUT),
            _ => None,
        };
        if let Some(queue) = out {
            let (bytes, len) = Subject { queue, ..self }.sound();
            OUT.fill(&bytes);
            let ring = &RINGS[usize::from(queue)];
            ring.describe(0, part(OUT.address(), len, 0));
            ring.offer(0);
            ring::ring(ring::device(0).doorbell + u32::from(queue));
        }
        ring::ring(ring::device(0).doorbell + u32::from(self.queue));
    }

    /// Waits until so many chains are answered, or the device has stopped; says whether it goes on.
    pub fn wait(self, count: u16) -> bool {
        let device = ring::device(0);
        loop {
            let used = self.ring().used.load(Ordering::SeqCst);
            self.ring().used_event.store(used, Ordering::SeqCst);
            vcpu::clear(1 << device.event);
            if ring::device(0).broken != 0 {
                return false;
            }
            if self.ring().used.load(Ordering::SeqCst) >= count {
                return true;
            }
            if used == self.ring().used.load(Ordering::SeqCst) {
                let bits = 1 << device.event;
                answers!(call(number::WAIT, &[bits, u64::MAX]), OK, "waiting");
            }
        }
    }

    /// A sound chain is answered.
    pub fn works(self) {
        self.fresh();
        self.offer(self.body());
        self.kick();
        check!(self.wait(1), "it works after a reset");
        if self.kind == kind::BLOCK {
            check!(STATUS.bytes()[0] == 0, "a sector is read");
        }
    }
}

/// A descriptor, the last of its chain.
pub fn part(address: u64, len: u32, flags: u16) -> Descriptor {
    Descriptor {
        address,
        len,
        flags,
        next: 0,
    }
}

/// The same, with another behind it.
pub fn linked(part: Descriptor, next: u16) -> Descriptor {
    Descriptor {
        flags: part.flags | NEXT,
        next,
        ..part
    }
}
