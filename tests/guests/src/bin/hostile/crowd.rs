//! Many vCPUs, against the host and against each other. Where a case takes all vCPUs, there are as many as the boot
//! page says.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use hypercall_abi::call as number;
use hypercall_abi::vcpu::event;
use test_guests::{answers, arg_number, boot, call, check, exit, vcpu};

/// Starts every other vCPU at a function, with its index.
fn start_all(entry: extern "C" fn(u64) -> !) {
    for index in 1..u64::from(boot().vcpus) {
        answers!(vcpu::start(index, entry, index), OK, "vcpu_start {index}");
    }
}

/// Clears events and waits until one of the mask is pending, or the deadline in guest nanoseconds.
fn wait_for(mask: u64, deadline: u64) {
    answers!(
        call(number::WAIT, &[mask, deadline]),
        OK | TIMED_OUT,
        "wait"
    );
}

/// A tight loop on every vCPU.
pub fn spin() {
    extern "C" fn run(_: u64) -> ! {
        loop {
            core::hint::spin_loop();
        }
    }
    start_all(run);
    test_guests::say(format_args!("spinning"));
    run(0)
}

/// Every vCPU waits: for as many guest milliseconds as the second argument says, for ever if it is 0. The waiter on
/// the first vCPU then ends the VM.
pub fn wait() {
    extern "C" fn run(_: u64) -> ! {
        loop {
            wait_for(0, u64::MAX);
        }
    }
    start_all(run);
    test_guests::say(format_args!("waiting"));
    let deadline = match arg_number(2) {
        0 => u64::MAX,
        ms => ms.saturating_mul(1_000_000),
    };
    answers!(call(number::WAIT, &[0, deadline]), TIMED_OUT, "wait");
}

/// Starts what runs already.
pub fn start_twice() {
    extern "C" fn run(_: u64) -> ! {
        loop {
            wait_for(0, u64::MAX);
        }
    }
    answers!(vcpu::start(0, run, 0), BUSY, "starting oneself");
    answers!(vcpu::start(1, run, 0), OK, "starting");
    answers!(vcpu::start(1, run, 0), BUSY, "starting twice");
    answers!(vcpu::start(1 << 32 | 1, run, 0), NOT_FOUND, "a far index");
}

/// Starts a vCPU that stops at once, over and over, as often as the second argument says.
pub fn start_storm() {
    static STOPPED: AtomicU32 = AtomicU32::new(0);
    static STARTED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn run(value: u64) -> ! {
        STARTED.fetch_add(value, SeqCst);
        vcpu::stop(STOPPED.as_ptr() as u64)
    }
    let times = arg_number(2);
    for time in 0..times {
        STOPPED.store(0, SeqCst);
        answers!(vcpu::start(1, run, 3), OK, "start {time}");
        while STOPPED.load(SeqCst) == 0 {
            wait_for(event::VCPU_STOPPED, u64::MAX);
            vcpu::clear(event::VCPU_STOPPED);
        }
    }
    let sum = STARTED.load(SeqCst);
    check!(sum == 3 * times, "{sum} of {times} times 3");
}

/// Asks for a running vCPU to be started, as often as the second argument says.
pub fn busy_storm() {
    extern "C" fn run(_: u64) -> ! {
        loop {
            wait_for(0, u64::MAX);
        }
    }
    start_all(run);
    for _ in 0..arg_number(2) {
        answers!(vcpu::start(1, run, 0), BUSY, "start");
    }
}

/// Every vCPU flushes all the others, as often as the second argument says.
pub fn flush_storm() {
    static DONE: AtomicU32 = AtomicU32::new(0);
    extern "C" fn run(_: u64) -> ! {
        for _ in 0..arg_number(2) {
            answers!(call(number::MMU_FLUSH, &[]), OK, "flush");
        }
        DONE.fetch_add(1, SeqCst);
        vcpu::stop(0)
    }
    start_all(run);
    for _ in 0..arg_number(2) {
        answers!(call(number::MMU_FLUSH, &[]), OK, "flush");
    }
    while DONE.load(SeqCst) + 1 < boot().vcpus {
        wait_for(event::VCPU_STOPPED, u64::MAX);
        vcpu::clear(event::VCPU_STOPPED);
    }
}

/// The first vCPU flushes the others, which never come back from where they are: they spin.
pub fn flush_spinners() {
    extern "C" fn run(_: u64) -> ! {
        loop {
            core::hint::spin_loop();
        }
    }
    start_all(run);
    for _ in 0..arg_number(2) {
        answers!(call(number::MMU_FLUSH, &[]), OK, "flush");
    }
}

/// Starts a vCPU at the address of the second argument, and waits.
pub fn start_nowhere() {
    let started = call(
        number::VCPU_START,
        &[1, arg_number(2), vcpu::stack_top(1), 0],
    );
    answers!(started, OK, "vcpu_start");
    wait_for(0, u64::MAX);
}

/// Every vCPU ends the VM, each with its own code above 10.
pub fn exit_race() {
    static READY: AtomicU32 = AtomicU32::new(0);
    extern "C" fn run(index: u64) -> ! {
        READY.fetch_add(1, SeqCst);
        while READY.load(SeqCst) < boot().vcpus {
            core::hint::spin_loop();
        }
        exit(10 + index as u8)
    }
    start_all(run);
    run(0)
}

/// One vCPU writes from memory that another one changes and unmaps all the while.
pub fn shifting_buffer() {
    #[repr(align(4096))]
    struct Page(core::cell::UnsafeCell<[u8; 4096]>);
    // SAFETY: it is raced for on purpose; nobody makes a reference to it.
    unsafe impl Sync for Page {}
    static PAGE: Page = Page(core::cell::UnsafeCell::new([b'a'; 4096]));
    extern "C" fn run(_: u64) -> ! {
        let page = PAGE.0.get() as u64;
        let Some(entry) = test_guests::memory::entry(page) else {
            test_guests::fail(format_args!("no table maps the page"))
        };
        let mapped = entry.load(SeqCst);
        loop {
            entry.store(0, SeqCst);
            entry.store(mapped, SeqCst);
        }
    }
    answers!(vcpu::start(1, run, 0), OK, "vcpu_start");
    for _ in 0..arg_number(2) {
        let at = PAGE.0.get() as u64;
        let answer = call(number::CONSOLE_WRITE, &[number::STREAM_OUTPUT, at, 4096]);
        answers!(answer, OK | BAD_ADDRESS, "console_write");
    }
}

/// Every vCPU adds its share of the numbers up to the second argument; the sum is checked.
pub fn sum() {
    static SUM: AtomicU64 = AtomicU64::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    extern "C" fn run(index: u64) -> ! {
        add(index);
        vcpu::stop(0)
    }
    fn add(index: u64) {
        let step = u64::from(boot().vcpus);
        let share: u64 = (index..=arg_number(2)).step_by(step as usize).sum();
        SUM.fetch_add(share, SeqCst);
        DONE.fetch_add(1, SeqCst);
    }
    start_all(run);
    add(0);
    while DONE.load(SeqCst) < boot().vcpus {
        wait_for(event::VCPU_STOPPED, u64::MAX);
        vcpu::clear(event::VCPU_STOPPED);
    }
    let (sum, last) = (SUM.load(SeqCst), arg_number(2));
    check!(sum == last * (last + 1) / 2, "the sum is {sum}");
}
