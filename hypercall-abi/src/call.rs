//! How a call travels, and the table of calls.
//!
//! # The gate
//! The guest loads registers and executes a near `call` to [`map::HYPERCALL_PAGE`](crate::map::HYPERCALL_PAGE). What is behind that
//! address is the host's choice on this machine at this moment; a guest never looks.
//!
//! | register | in | out |
//! |---|---|---|
//! | `rax` | low half: call number; high half: retry token, 0 at first | status, zero-extended |
//! | `rdi` `rsi` `rdx` `r10` `r8` `r9` | arguments 0 to 5 | `rdx`: result; the others undefined |
//! | `rcx` `r11`, flags | - | undefined |
//! | `rbx` `rbp` `rsp` `r12` to `r15`, `xmm`, `ymm`, `zmm`, `fs`, `gs` | - | preserved |
//!
//! Arguments that a call does not name are ignored. The stack needs 8 bytes for the return address
//! and no alignment. A debug build of the host fills the undefined registers with
//! [`POISON`], so that a guest that relies on them is found early.
//!
//! # Numbers
//! A number is `class << 8 | index`. The [class](crate::class) is the unit of permission: an operator grants a VM
//! some classes, the boot page says which, and a call of another class answers
//! [`DENIED`](crate::Status::DENIED). A number that the table does not have answers
//! [`UNKNOWN_CALL`](crate::Status::UNKNOWN_CALL), whatever its class.
//!
//! # Carriers
//! A call marked *trap* acts on the calling vCPU itself and always travels through the gate. A
//! call marked *any* may also be posted in a [call line](crate::vcpu::CallLine) or a
//! [batch](crate::batch), with the same arguments, statuses and permission checks.

/// What a debug build of the host writes into registers that are undefined after a call.
pub const POISON: u64 = 0xdead_ca11_dead_ca11;

/// The longest buffer one call moves, in bytes. A longer one is cut where the call's result says how
/// much was done, and refused with [`TOO_LONG`](crate::Status::TOO_LONG) where it does not.
pub const MAX_TRANSFER: u64 = 64 * 1024;

/// How a call may travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Through the gate only.
    Trap,
    /// Gate, call line or batch.
    Any,
}

/// One row of the call table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The call's number.
    pub number: u32,
    /// Its name, as reports and statistics print it.
    pub name: &'static str,
    /// How it may travel.
    pub carrier: Carrier,
}

/// The index of a call number's row in [`TABLE`], or `None` where there is no such call.
#[must_use]
#[inline]
pub fn row(number: u32) -> Option<usize> {
    let place = (number >> 8) as usize * INDICES + (number & 0xff) as usize;
    let known = number & 0xff < INDICES as u32 && place < ROWS.len();
    match known.then(|| ROWS[place]) {
        None | Some(0) => None,
        Some(row) => Some(row as usize - 1),
    }
}

/// Indices that a class can have so far.
const INDICES: usize = 16;

/// For each possible number its row in [`TABLE`], plus one; 0 where there is none. Looking a call up takes no search.
const ROWS: [u8; crate::class::CLASSES.len() * INDICES] = {
    let mut rows = [0; crate::class::CLASSES.len() * INDICES];
    let mut row = 0;
    while row < TABLE.len() {
        let number = TABLE[row].number as usize;
        assert!(
            number & 0xff < INDICES,
            "a class has more calls than `row` knows of"
        );
        rows[(number >> 8) * INDICES + (number & 0xff)] = row as u8 + 1;
        row += 1;
    }
    rows
};

/// The table's row for a call number, or `None` where there is no such call.
#[must_use]
#[inline]
pub fn entry(number: u32) -> Option<&'static Entry> {
    TABLE.get(row(number)?)
}

macro_rules! calls {
    ($($(#[$doc:meta])* $ident:ident = $number:literal, $name:literal, $carrier:ident;)+) => {
        $($(#[$doc])* pub const $ident: u32 = $number;)+
        /// Every call, in order of number.
        pub const TABLE: &[Entry] = &[$(Entry { number: $number, name: $name, carrier: Carrier::$carrier }),+];
    };
}

calls! {
    /// Does nothing and answers OK with result 0. What a call costs by itself.
    NULL = 0x000, "null", Any;
    /// Ends the VM. IN 0: exit code, of which the low 8 bits count. Does not return.
    EXIT = 0x001, "exit", Trap;
    /// Ends the VM with a report. IN 0: Gpa of a [`PanicInfo`](crate::fault::PanicInfo). Does not return. A `PanicInfo` that
    /// cannot be read still ends the VM, with a report that says so.
    PANIC = 0x002, "panic", Trap;
    /// Says which optional features the guest will use. IN 0: feature bits. OUT: the bits now in force.
    /// UNSUPPORTED, with the bits the host offers as the result, where one of them is not offered.
    FEATURES = 0x003, "features", Any;
    /// Has the call posted in this vCPU's [call line](crate::vcpu::CallLine) served, if nobody has served it yet. When it answers, `answered`
    /// equals `post`. OUT: 0.
    LINE = 0x004, "line", Trap;

    /// Writes to the console. IN 0: stream (1 output, 2 error), 1: Gpa, 2: length. OUT: bytes written, at least 1
    /// and at most [`MAX_TRANSFER`] for a length above 0; fewer than asked means "call again with the rest".
    /// Blocks while the host's side is full. BAD_ARGUMENT, BAD_ADDRESS, IO.
    CONSOLE_WRITE = 0x100, "console_write", Any;
    /// Reads from the console. IN 0: Gpa, 1: length. OUT: bytes read, 0 at the end of input or for length 0.
    /// Never blocks: AGAIN where there is none yet, and [`CONSOLE_INPUT`](crate::vcpu::event::CONSOLE_INPUT) is then raised on the calling vCPU, at the latest while
    /// it waits for that bit. BAD_ADDRESS, IO.
    CONSOLE_READ = 0x101, "console_read", Any;

    /// Blocks until a wanted event is pending on this vCPU. IN 0: mask of event bits, 1: deadline in guest
    /// nanoseconds (`u64::MAX`: none). OUT: the wanted bits that are pending; the guest clears them itself.
    /// TIMED_OUT with result 0 after the deadline. A mask of 0 sleeps until the deadline.
    WAIT = 0x200, "wait", Trap;
    /// Raises events on a vCPU and wakes it if it waits. IN 0: vCPU index, 1: event bits, of which only
    /// [`GUEST_EVENTS`](crate::vcpu::event::GUEST_EVENTS) are allowed (0: only wake it). OUT: 0. NOT_FOUND, BAD_ARGUMENT.
    NOTIFY = 0x201, "notify", Any;

    /// Starts a stopped vCPU at ring 3. IN 0: index, 1: entry address, 2: stack pointer, 3: the entry's `rdi`.
    /// It begins with `rsp` 8 below the given pointer and a zero return address there, so the entry may be an
    /// ordinary function when the pointer is 16-byte aligned. OUT: 0. NOT_FOUND, BUSY, BAD_ADDRESS (entry or stack not canonical,
    /// or the stack's top 8 bytes not in memory).
    VCPU_START = 0x300, "vcpu_start", Trap;
    /// Stops the calling vCPU; it may be started again. IN 0: Gpa of a `u32`, or 0. After the vCPU has left its stack for good
    /// the host writes 1 to that word and raises [`VCPU_STOPPED`](crate::vcpu::event::VCPU_STOPPED) on every started vCPU.
    /// Does not return. Stopping the last running vCPU ends the VM as exit code 0 does. BAD_ADDRESS.
    VCPU_STOP = 0x301, "vcpu_stop", Trap;

    /// Makes every vCPU forget its cached address translations. When it answers, no vCPU uses a page-table
    /// entry as it was before the call. OUT: 0.
    MMU_FLUSH = 0x400, "mmu_flush", Trap;

    /// Fills a buffer with cryptographically secure random bytes. IN 0: Gpa, 1: length, at most
    /// [`MAX_TRANSFER`]. OUT: the length. BAD_ADDRESS, TOO_LONG.
    RANDOM = 0x500, "random", Any;

    /// Registers this vCPU's fault handler. IN 0: entry (0: none any more), 1: top of the stack it runs on, 16-byte aligned.
    /// On an exception at ring 3 the host writes a [`FaultFrame`](crate::fault::FaultFrame) below that top and continues at the entry,
    /// with `rdi` = Gpa of the frame and `rsp` as after a `call`. An exception before [`FAULT_RETURN`] ends the VM. OUT: 0. BAD_ADDRESS.
    FAULT_HANDLER = 0x600, "fault_handler", Trap;
    /// Leaves a fault handler. IN 0: Gpa of a [`FaultFrame`](crate::fault::FaultFrame), from which all general registers, `rip` and
    /// `rflags` are loaded. Does not return. BAD_ARGUMENT outside a handler, BAD_ADDRESS.
    FAULT_RETURN = 0x601, "fault_return", Trap;

    /// Registers this vCPU's batch ring, described in its [`BatchRing`](crate::vcpu::BatchRing); 0 entries take it back. Both counts
    /// begin at 0. OUT: 0. BAD_ARGUMENT (not a power of two up to [`MAX_ENTRIES`](crate::batch::MAX_ENTRIES), unknown flags), BAD_ADDRESS.
    BATCH_SETUP = 0x700, "batch_setup", Trap;
    /// Serves what is queued in this vCPU's batch ring, in order. Each entry gets its own status; one whose call is marked *trap*, or is this one, gets
    /// TRAP_ONLY. A refused entry does not stop the others, unless the ring's flags say so. OUT: entries served since a submission by call was last
    /// answered. NOT_FOUND without a ring, BAD_ARGUMENT where more are queued than the ring holds.
    BATCH_SUBMIT = 0x701, "batch_submit", Any;

    /// Returns a device to where it was at boot: no features taken, no queues. IN 0: its index in the [device table](crate::device). When it
    /// answers, the host no longer touches the device's queues or their buffers. OUT: 0. NOT_FOUND.
    DEVICE_RESET = 0x800, "device_reset", Trap;
    /// Says which of a device's features the driver uses, before any queue is set up. IN 0: index, 1: feature bits, of which
    /// [`VERSION_1`](crate::device::feature::VERSION_1) is one. OUT: the bits now in force. UNSUPPORTED, with the bits it offers as the result, where one of them is not
    /// offered or that one is missing; BUSY once a queue is set up, which it stays when the device breaks; NOT_FOUND.
    DEVICE_FEATURES = 0x801, "device_features", Trap;
    /// Sets up one of a device's queues. IN 0: index, 1: Gpa of a [`QueueSetup`](crate::device::QueueSetup). OUT: 0. NOT_FOUND (device, queue or vCPU), BUSY once
    /// the device is started or the queue is set up, and for every queue of a [broken](crate::device::Device::broken) device until that is reset, BAD_ARGUMENT (no
    /// features taken yet, size not a power of two or above the device's most, a part misaligned), BAD_ADDRESS.
    QUEUE_SETUP = 0x802, "queue_setup", Trap;
    /// Starts a device: from now on it serves the queues that were set up. IN 0: index. OUT: 0. NOT_FOUND, BUSY where it is started or broken,
    /// BAD_ARGUMENT where a queue is missing that it cannot do without.
    DEVICE_START = 0x803, "device_start", Trap;
    /// Rings a [doorbell](crate::doorbell): what its own gate does, for who has rather a call. IN 0: its number. OUT: 0; whoever it wakes has then been told, and may
    /// not have looked yet. NOT_FOUND.
    DOORBELL = 0x804, "doorbell", Any;
}

/// Console stream 1: what a guest prints.
pub const STREAM_OUTPUT: u64 = 1;
/// Console stream 2: what it complains.
pub const STREAM_ERROR: u64 = 2;
