//! Processor time, by the threads' own clocks.

use std::time::Duration;

/// The calling thread's number.
pub fn this_thread() -> u32 {
    rustix::thread::gettid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
}

/// What a thread of this process has used until now; nothing for one that is gone.
pub(crate) fn used_by(thread: u32) -> Duration {
    Duration::from_nanos(cpu_ns(thread_clock(thread)))
}

/// The clock of a thread by its number, as `<linux/posix-timers.h>` makes it: one thread's, of scheduled time.
pub(crate) fn thread_clock(thread: u32) -> libc::clockid_t {
    (!(thread as libc::clockid_t) << 3) | 4 | 2
}

/// What a CPU clock says, in nanoseconds; 0 for a thread that is gone.
pub(crate) fn cpu_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the struct, or fails.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs(),
        _ => 0,
    }
}

/// How often the kernel has given the calling thread's processor to another one that wanted it.
pub(crate) fn preemptions() -> u64 {
    // SAFETY: a struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: writes the struct, or fails.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nivcsw.unsigned_abs()
}
