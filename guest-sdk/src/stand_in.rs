//! What stands in for the hypervisor in the host flavour of a guest crate, where its unit tests run.
//!
//! Owns a set of vCPU pages, one for each thread that asks, and answers the calls that make sense in an
//! ordinary process: console, waiting, random bytes, exit. All others are
//! [`UNSUPPORTED`](Status::UNSUPPORTED): what needs a VM belongs in a VM test, see [`test_main!`](crate::test_main).

use crate::gate::Answer;
use hypercall_abi::boot::{self, BootPage, Bytes};
use hypercall_abi::info::PollerAwake;
use hypercall_abi::map::MAX_VCPUS;
use hypercall_abi::vcpu::VcpuPage;
use hypercall_abi::{Gpa, Status, call, class, version};
use std::boxed::Box;
use std::cell::UnsafeCell;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::vec::Vec;
use zerocopy::FromZeros;

/// The pages of as many vCPUs as a VM can have.
struct Pages([UnsafeCell<VcpuPage>; MAX_VCPUS as usize]);

// SAFETY: `index` is written once, below, before anybody reads; all else is accessed through atomics (`platform`).
unsafe impl Sync for Pages {}

static PAGES: LazyLock<Pages> = LazyLock::new(|| {
    Pages(std::array::from_fn(|index| {
        let mut page = VcpuPage::new_zeroed();
        page.index = index as u32;
        UnsafeCell::new(page)
    }))
});

/// Which vCPU pages belong to a living thread.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A thread's place among the vCPUs.
struct Seat(u32);

impl Seat {
    fn take() -> Seat {
        loop {
            let taken = TAKEN.load(Ordering::Relaxed);
            let free = taken.trailing_ones();
            assert!(
                free < MAX_VCPUS,
                "more than {MAX_VCPUS} threads use guest-sdk at once on the host"
            );
            // Pairs with the release in `drop`: the page's new owner sees what the last one left there.
            if TAKEN
                .compare_exchange(
                    taken,
                    taken | 1 << free,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )
                .is_ok()
            {
                return Seat(free);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
    }
}

std::thread_local! {
    static SEAT: Seat = Seat::take();
}

/// Serializes [`call::WAIT`]'s look at its page with [`call::NOTIFY`], as the hypervisor does.
static WAITERS: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

static BOOT: LazyLock<BootPage> = LazyLock::new(|| {
    let args: Vec<Bytes> = std::env::args().map(leak).collect();
    let env: Vec<Bytes> = std::env::vars()
        .map(|(name, value)| leak(std::format!("{name}={value}")))
        .collect();
    BootPage {
        magic: boot::MAGIC,
        version_major: version::MAJOR,
        version_minor: version::MINOR,
        size: size_of::<BootPage>() as u32,
        classes: class::Classes::ALL.0,
        vcpus: MAX_VCPUS,
        args_count: args.len() as u64,
        args: Gpa(args.leak().as_ptr() as u64),
        env_count: env.len() as u64,
        env: Gpa(env.leak().as_ptr() as u64),
        seed: random_seed(),
        ..BootPage::new_zeroed()
    }
});

fn leak(text: std::string::String) -> Bytes {
    let text: &'static str = Box::leak(text.into_boxed_str());
    Bytes {
        gpa: Gpa(text.as_ptr() as u64),
        len: text.len() as u64,
    }
}

fn random_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let _ = random(&mut seed);
    seed
}

fn random(buffer: &mut [u8]) -> std::io::Result<()> {
    std::fs::File::open("/dev/urandom")?.read_exact(buffer)
}

pub(crate) fn boot_page() -> *const BootPage {
    &*BOOT
}

/// Nobody polls.
pub(crate) fn poller() -> *const PollerAwake {
    static ASLEEP: PollerAwake = PollerAwake {
        awake: 0,
        patience: 0,
        rings: 0,
        timed: 0,
        reserved: [0; 12],
    };
    &raw const ASLEEP
}

pub(crate) fn vcpu_page(index: u32) -> *mut VcpuPage {
    PAGES.0[index as usize].get()
}

pub(crate) fn current_vcpu_page() -> *mut VcpuPage {
    SEAT.with(|seat| vcpu_page(seat.0))
}

/// Nanoseconds since the first look at the clock.
pub(crate) fn now_ns() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// Nanoseconds from the Unix epoch to [`now_ns`]' 0.
pub(crate) fn epoch_ns() -> u64 {
    let now = now_ns();
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    (since_epoch.as_nanos() as u64).saturating_sub(now)
}

/// # Safety
/// As [`gate::call`](crate::gate::call).
pub(crate) unsafe fn call(number: u32, args: [u64; 6]) -> Answer {
    let (status, result) = match number {
        call::NULL => (Status::OK, 0),
        call::EXIT => std::process::exit((args[0] & 0xff) as i32),
        call::CONSOLE_WRITE => {
            // SAFETY: arguments 1 and 2 are a readable slice, by the caller's promise.
            console_write(args[0], unsafe { slice(args[1], args[2]) })
        }
        call::CONSOLE_READ => {
            // SAFETY: arguments 0 and 1 are a slice that is the caller's alone, by its promise.
            match std::io::stdin().read(unsafe { slice_mut(args[0], args[1]) }) {
                Ok(done) => (Status::OK, done as u64),
                Err(_) => (Status::IO, 0),
            }
        }
        call::WAIT => wait(args[0], args[1]),
        call::NOTIFY => notify(args[0], args[1]),
        // SAFETY: as for CONSOLE_READ.
        call::RANDOM => match random(unsafe { slice_mut(args[0], args[1]) }) {
            Ok(()) => (Status::OK, args[1]),
            Err(_) => (Status::IO, 0),
        },
        known if call::entry(known).is_some() => (Status::UNSUPPORTED, 0),
        _ => (Status::UNKNOWN_CALL, 0),
    };
    Answer { status, result }
}

/// # Safety
/// As for [`std::slice::from_raw_parts`].
unsafe fn slice<'a>(address: u64, len: u64) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(address as *const u8, len as usize) }
}

/// # Safety
/// As for [`std::slice::from_raw_parts_mut`].
unsafe fn slice_mut<'a>(address: u64, len: u64) -> &'a mut [u8] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(address as *mut u8, len as usize) }
}

/// By `print!`, so that the test harness can capture it.
fn console_write(stream: u64, bytes: &[u8]) -> (Status, u64) {
    let text = std::string::String::from_utf8_lossy(bytes);
    match stream {
        call::STREAM_OUTPUT => {
            std::print!("{text}");
            let _ = std::io::stdout().flush();
        }
        call::STREAM_ERROR => std::eprint!("{text}"),
        _ => return (Status::BAD_ARGUMENT, 0),
    }
    (Status::OK, bytes.len() as u64)
}

fn lock() -> MutexGuard<'static, ()> {
    WAITERS
        .0
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn wait(mask: u64, deadline_ns: u64) -> (Status, u64) {
    let pending = crate::platform::Vcpu::current().pending();
    let mut held = lock();
    loop {
        let wanted = pending.load(Ordering::SeqCst) & mask;
        if wanted != 0 {
            return (Status::OK, wanted);
        }
        let left = deadline_ns.saturating_sub(now_ns());
        if left == 0 {
            return (Status::TIMED_OUT, 0);
        }
        held = match WAITERS.1.wait_timeout(held, Duration::from_nanos(left)) {
            Ok((held, _)) => held,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
}

fn notify(index: u64, events: u64) -> (Status, u64) {
    let Some(vcpu) = u32::try_from(index)
        .ok()
        .and_then(crate::platform::Vcpu::get)
    else {
        return (Status::NOT_FOUND, 0);
    };
    let held = lock();
    vcpu.pending().fetch_or(events, Ordering::SeqCst);
    drop(held);
    WAITERS.1.notify_all();
    (Status::OK, 0)
}
