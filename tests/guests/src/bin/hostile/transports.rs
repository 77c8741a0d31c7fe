//! Call lines and batch rings, abused.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use hypercall_abi::batch::{BatchEntry, MAX_ENTRIES};
use hypercall_abi::vcpu::{BatchRing, CallLine, CallTimes, VcpuPage};
use hypercall_abi::{Status, call as number, info, map};
use test_guests::{call, fail};

/// A word of a vCPU's page, by its offset.
fn word(vcpu: u32, offset: usize) -> &'static AtomicU32 {
    // SAFETY: vCPU pages are mapped writable for as long as the guest runs; the offsets are those of 4-byte fields.
    unsafe { AtomicU32::from_ptr((map::vcpu_page(vcpu) + offset as u64) as *mut u32) }
}

fn line(vcpu: u32, field: usize) -> &'static AtomicU32 {
    word(vcpu, core::mem::offset_of!(VcpuPage, line) + field)
}

fn argument(vcpu: u32, index: usize) -> &'static AtomicU64 {
    let offset =
        core::mem::offset_of!(VcpuPage, line) + core::mem::offset_of!(CallLine, args) + index * 8;
    // SAFETY: as in `word`, for an 8-byte field.
    unsafe { AtomicU64::from_ptr((map::vcpu_page(vcpu) + offset as u64) as *mut u64) }
}

fn awake() -> bool {
    let offset = core::mem::offset_of!(info::SharedInfo, poller_awake);
    // SAFETY: the shared-info page is mapped for as long as the guest runs; the host writes the word atomically.
    let word = unsafe { AtomicU32::from_ptr((map::SHARED_INFO + offset as u64) as *mut u32) };
    word.load(Ordering::Relaxed) != 0
}

/// Wakes the poller, where the host has one to spare.
fn rouse() {
    for _ in 0..50 {
        if awake() {
            return;
        }
        call(number::NULL, &[]);
    }
}

fn now() -> u64 {
    // SAFETY: guests may execute it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Posts without end, never waiting, every number and argument there is, rewritten while the host reads.
pub fn scribbled_line() {
    let posts = line(0, core::mem::offset_of!(CallLine, post));
    let numbers = line(0, core::mem::offset_of!(CallLine, number));
    let mut x = 0x9e37_79b9_u32;
    for round in 0..300 {
        rouse();
        let began = now();
        while now() - began < 300_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            numbers.store(x >> 20, Ordering::Relaxed);
            argument(0, (x >> 8) as usize % 6).store(u64::from(x) << (x % 40), Ordering::Relaxed);
            // Forged: rising, falling, standing still.
            posts.store(x >> (round % 32), Ordering::Release);
        }
        call(number::LINE, &[]);
    }
}

/// Posts to lines of vCPUs that are not there or not started; nobody answers them.
pub fn foreign_lines() {
    for vcpu in 1..4 {
        line(vcpu, core::mem::offset_of!(CallLine, number)).store(number::NULL, Ordering::Relaxed);
        line(vcpu, core::mem::offset_of!(CallLine, post)).store(7, Ordering::Release);
    }
    for _ in 0..100 {
        rouse();
        call(number::LINE, &[]);
    }
    for vcpu in 1..4 {
        if line(vcpu, core::mem::offset_of!(CallLine, answered)).load(Ordering::Acquire) != 0 {
            fail(format_args!(
                "vCPU {vcpu} does not run, and its line was answered"
            ));
        }
    }
}

/// Posts in the line of a vCPU that the VM does not have: there is no page for it.
pub fn missing_line() {
    let vcpu = test_guests::boot().vcpus;
    line(vcpu, core::mem::offset_of!(CallLine, post)).store(7, Ordering::Release);
    fail(format_args!("vCPU {vcpu} has a line"));
}

/// A post is served once, by the poller or by `LINE`, however often `LINE` is called.
pub fn once_only() {
    let posts = line(0, core::mem::offset_of!(CallLine, post));
    let answered = line(0, core::mem::offset_of!(CallLine, answered));
    let status = line(0, core::mem::offset_of!(CallLine, status));
    for post in 1..=2_000_u32 {
        line(0, core::mem::offset_of!(CallLine, number)).store(number::NULL, Ordering::Relaxed);
        status.store(99, Ordering::Relaxed);
        posts.store(post, Ordering::Release);
        call(number::LINE, &[]);
        if answered.load(Ordering::Acquire) != post || status.load(Ordering::Relaxed) != 0 {
            fail(format_args!("post {post} was not answered"));
        }
        status.store(99, Ordering::Relaxed);
        call(number::LINE, &[]);
        if status.load(Ordering::Relaxed) != 99 {
            fail(format_args!("post {post} was served twice"));
        }
    }
}

/// Notes lengths that cannot be, one for each call, none, and many.
pub fn forged_times() {
    let times = core::mem::offset_of!(VcpuPage, times);
    let count = word(0, times + core::mem::offset_of!(CallTimes, count));
    let length = |field: usize, half: usize| word(0, times + field + half * 4);
    let mut x = 0x9e37_79b9_u32;
    for round in 0..2_000_u32 {
        rouse();
        call(number::NULL, &[]);
        for field in [
            core::mem::offset_of!(CallTimes, carried),
            core::mem::offset_of!(CallTimes, own),
        ] {
            for half in [0, 1] {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let forged = [0, 1, u32::MAX, x][(x >> 16) as usize % 4];
                length(field, half).store(forged, Ordering::Relaxed);
            }
        }
        let step = [0, 1, 1, 1, 2, u32::MAX][round as usize % 6];
        count.fetch_add(step, Ordering::Release);
    }
}

/// Keeps the poller awake and never stops: ended by the time limit.
pub fn keep_awake() -> ! {
    loop {
        rouse();
        let posts = line(0, core::mem::offset_of!(CallLine, post));
        line(0, core::mem::offset_of!(CallLine, number)).store(number::NULL, Ordering::Relaxed);
        posts.store(
            posts.load(Ordering::Relaxed).wrapping_add(1),
            Ordering::Release,
        );
    }
}

fn ring(field: usize) -> &'static AtomicU32 {
    word(0, core::mem::offset_of!(VcpuPage, ring) + field)
}

fn register(gpa: u64, entries: u32, flags: u32) -> Status {
    ring(core::mem::offset_of!(BatchRing, entries_gpa)).store(gpa as u32, Ordering::Relaxed);
    ring(core::mem::offset_of!(BatchRing, entries_gpa) + 4)
        .store((gpa >> 32) as u32, Ordering::Relaxed);
    ring(core::mem::offset_of!(BatchRing, entries)).store(entries, Ordering::Relaxed);
    ring(core::mem::offset_of!(BatchRing, flags)).store(flags, Ordering::Relaxed);
    call(number::BATCH_SETUP, &[]).status
}

fn submit(queued: u32) -> test_guests::Answer {
    ring(core::mem::offset_of!(BatchRing, queued)).store(queued, Ordering::Release);
    call(number::BATCH_SUBMIT, &[])
}

#[repr(align(64))]
struct Entries([BatchEntry; 4]);

static mut ENTRIES: Entries = Entries(
    [BatchEntry {
        number: number::NULL,
        status: 99,
        args: [0; 6],
        result: 99,
    }; 4],
);

fn entries() -> u64 {
    &raw mut ENTRIES as u64
}

/// Rings that cannot be, and counts that cannot be.
pub fn bad_rings() {
    let expect = |what: &str, is: Status, right: Status| {
        if is != right {
            fail(format_args!("{what}: {is:?}, not {right:?}"));
        }
    };
    expect("no ring", submit(1).status, Status::NOT_FOUND);
    let end = test_guests::boot().memory_bytes;
    for gpa in [
        64,
        map::BOOT_PAGE,
        map::VCPU_PAGES,
        map::RAM_BASE - 64,
        end,
        end - 64,
        end - 192,
        entries() + 8,
        u64::MAX - 63,
        1 << 63,
    ] {
        expect("ring address", register(gpa, 4, 0), Status::BAD_ADDRESS);
    }
    for count in [3, 5, 6, MAX_ENTRIES * 2, MAX_ENTRIES + 1, u32::MAX, 1 << 31] {
        expect(
            "ring size",
            register(entries(), count, 0),
            Status::BAD_ARGUMENT,
        );
    }
    expect(
        "ring flags",
        register(entries(), 4, 1 << 31),
        Status::BAD_ARGUMENT,
    );
    expect(
        "a refused ring is no ring",
        submit(1).status,
        Status::NOT_FOUND,
    );

    expect("a ring", register(entries(), 4, 0), Status::OK);
    for queued in [5, 1000, u32::MAX, 1 << 31] {
        expect(
            "more than it holds",
            submit(queued).status,
            Status::BAD_ARGUMENT,
        );
    }
    expect("what it holds", submit(4).status, Status::OK);
    expect("backwards", submit(3).status, Status::BAD_ARGUMENT);
    if submit(4).result != 0 {
        fail(format_args!("entries were served twice"));
    }
    expect("taken back", register(0, 0, 0), Status::OK);
    expect("no ring any more", submit(1).status, Status::NOT_FOUND);
}

/// Entries that may not travel in a batch: a trap call, a batch, an unknown number.
pub fn bad_entries() {
    if register(entries(), 4, 0) != Status::OK {
        fail(format_args!("the ring was refused"));
    }
    let numbers = [number::EXIT, number::BATCH_SUBMIT, 0xfff, number::VCPU_STOP];
    for (index, number) in numbers.into_iter().enumerate() {
        // SAFETY: the ring is this guest's own memory, and nothing is queued.
        unsafe { (&raw mut ENTRIES.0[index].number).write_volatile(number) };
    }
    if submit(4).result != 4 {
        fail(format_args!("a refused entry stopped the others"));
    }
    for (index, right) in [
        Status::TRAP_ONLY,
        Status::TRAP_ONLY,
        Status::UNKNOWN_CALL,
        Status::TRAP_ONLY,
    ]
    .into_iter()
    .enumerate()
    {
        // SAFETY: as above, and the host is done.
        let is = Status(unsafe { (&raw const ENTRIES.0[index].status).read_volatile() });
        if is != right {
            fail(format_args!("entry {index}: {is:?}, not {right:?}"));
        }
    }
}

/// The ring's memory is its own entries' target: a batch that overwrites itself while it is served.
pub fn self_eating_batch() {
    if register(entries(), 4, 0) != Status::OK {
        fail(format_args!("the ring was refused"));
    }
    for round in 0..200_u32 {
        for index in 0..4 {
            // SAFETY: the ring is this guest's own memory, and nothing is queued.
            unsafe {
                let entry = &raw mut ENTRIES.0[index];
                (&raw mut (*entry).number).write_volatile(number::RANDOM);
                (&raw mut (*entry).args).write_volatile([entries(), 256, 0, 0, 0, 0]);
            }
        }
        // Whatever the random bytes say.
        submit((round + 1) * 4);
    }
}
