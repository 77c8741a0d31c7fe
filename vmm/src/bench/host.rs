//! The measuring process: its threads, where they run, what they have used.

pub use crate::cpu::this_thread;
use crate::cpu::{cpu_ns, thread_clock};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The two processors that everything runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The first vCPU's, and this side's when it is measured.
    pub first: u32,
    /// The partner's: the second vCPU, the poller, the second thread. The first one again where there is no other.
    pub second: u32,
}

impl Cores {
    /// The first two that this process may use.
    pub fn choose(allowed: &[u32]) -> Cores {
        let first = allowed.first().copied().unwrap_or(0);
        let second = allowed.get(1).copied().unwrap_or(first);
        Cores { first, second }
    }

    /// Both.
    pub fn both(self) -> [u32; 2] {
        [self.first, self.second]
    }

    /// Whether there are two.
    pub fn are_two(self) -> bool {
        self.first != self.second
    }
}

/// The threads of this process, by the kernel's numbers.
pub fn threads() -> Vec<u32> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten();
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.flatten().filter_map(number).collect()
}

/// Lets a thread run on some processors only. Without effect on a thread that is gone, or where the host forbids it.
pub fn pin(thread: u32, cores: &[u32]) {
    let mut set = CpuSet::new();
    let known = cores.iter().map(|core| *core as usize);
    known
        .filter(|core| *core < CpuSet::MAX_CPU)
        .for_each(|core| set.set(core));
    let thread = i32::try_from(thread).ok().and_then(Pid::from_raw);
    let _ = sched_setaffinity(thread, &set);
}

/// Lets every thread of this process run on the second processor only, but for the `firsts`: further vCPUs, the poller, I/O threads, partners.
pub fn pin_others(firsts: &[u32], cores: Cores) {
    let others = threads()
        .into_iter()
        .filter(|thread| !firsts.contains(thread));
    others.for_each(|thread| pin(thread, &[cores.second]));
}

/// A path for a socket or a file, which this process has not given away yet.
pub fn free_path() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("trapless-bench-{}-{count}", std::process::id());
    std::env::temp_dir().join(name)
}

/// What threads have used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time of the thread that carries out the operation, in nanoseconds.
    pub own_ns: u64,
    /// CPU time of all other threads but the one that measures, and of programs that were started and have ended, in nanoseconds.
    pub others_ns: u64,
    /// How often the operation's thread had to give up its processor.
    pub preemptions: u64,
    /// For how long it then waited, in nanoseconds.
    pub waited_ns: u64,
}

impl Used {
    /// Reads it, where `own` carries out the operation and the caller is the one that measures, which may be the same. What the
    /// `hogs` use is nobody's.
    pub fn until_now(own: u32, hogs: &[u32]) -> Used {
        let (waited_ns, preemptions) = interruptions(own);
        let own_ns = cpu_ns(thread_clock(own));
        let here_ns = match this_thread() {
            here if here == own => 0,
            here => cpu_ns(thread_clock(here)),
        };
        // The process's clock has the threads that have ended too.
        let hogs_ns: u64 = hogs.iter().map(|hog| cpu_ns(thread_clock(*hog))).sum();
        let all_ns = cpu_ns(libc::CLOCK_PROCESS_CPUTIME_ID) + children_ns();
        Used {
            own_ns,
            others_ns: all_ns.saturating_sub(own_ns + here_ns + hogs_ns),
            preemptions,
            waited_ns,
        }
    }

    /// What was used after an earlier reading.
    pub fn since(&self, before: &Used) -> Used {
        Used {
            own_ns: self.own_ns.saturating_sub(before.own_ns),
            others_ns: self.others_ns.saturating_sub(before.others_ns),
            preemptions: self.preemptions.saturating_sub(before.preemptions),
            waited_ns: self.waited_ns.saturating_sub(before.waited_ns),
        }
    }

    /// Adds what else was used.
    pub fn add(&mut self, more: &Used) {
        self.own_ns += more.own_ns;
        self.others_ns += more.others_ns;
        self.preemptions += more.preemptions;
        self.waited_ns += more.waited_ns;
    }
}

/// The CPU time of this process's children that have been waited for, in nanoseconds.
fn children_ns() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writes the struct, which is integers only: zero is a value.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let ns = |time: libc::timeval| {
        time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_usec.unsigned_abs() * 1000
    };
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// How long a thread has waited for a processor in nanoseconds, and how often it had to give one up.
fn interruptions(thread: u32) -> (u64, u64) {
    let read = |name| fs::read_to_string(format!("/proc/self/task/{thread}/{name}"));
    let waited = read("schedstat").unwrap_or_default();
    let waited = waited.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = read("status").unwrap_or_default();
    let forced = status
        .lines()
        .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))
        .and_then(|count| count.trim().parse().ok());
    (waited.unwrap_or(0), forced.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_work_is_charged_to_it() {
        let here = this_thread();
        assert!(threads().contains(&here));
        let before = Used::until_now(here, &[]);
        let mut sum = 0_u64;
        while cpu_ns(thread_clock(here)) - before.own_ns < 1_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        let used = Used::until_now(here, &[]).since(&before);
        assert!(used.own_ns >= 1_000_000, "{used:?} after {sum} rounds");
    }

    #[test]
    fn two_processors_if_there_are_two() {
        let cores = Cores::choose(&[3, 5, 7]);
        assert_eq!((cores.first, cores.second, cores.are_two()), (3, 5, true));
        assert!(!Cores::choose(&[2]).are_two());
    }
}
