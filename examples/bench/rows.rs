//! The work. Each is a function that sets up what it needs and hands one round to the loop; what a row means, in which VM it
//! does this work, and what it is compared with, is said in the host's table.

use crate::block::{Run, now};
use crate::window::{MOST_PAGES, Window};
use crate::wire::Kick;
use crate::{disk, program, sockets, trapped, wire};
use core::arch::x86_64::__cpuid;
use core::hint::{black_box, spin_loop};
use core::sync::atomic::{AtomicBool, Ordering};
use guest_sdk::batch::{Batch, Command};
use guest_sdk::event::{self, current_vcpu};
use guest_sdk::time::now_ns;
use guest_sdk::{calls, platform, thread};

/// One row's name and function.
type Row = (&'static str, fn(&mut Run));

/// Every row.
pub const ROWS: &[Row] = &[
    ("nothing", |run| run.over(|| ())),
    ("null", |run| run.over(|| done(calls::null()))),
    ("null/rare", rare),
    ("null/hog", |run| run.over(|| done(calls::null()))),
    ("idle", idle),
    ("batch/1", |run| batch(run, 1)),
    ("batch/8", |run| batch(run, 8)),
    ("batch/64", |run| batch(run, 64)),
    ("batch/512", |run| batch(run, 512)),
    ("bell/1", |run| bells(run, 1)),
    ("bell/64", |run| bells(run, 64)),
    ("random/64", |run| random::<64>(run)),
    ("random/4096", |run| random::<4096>(run)),
    ("console/1", |run| write::<1>(run)),
    ("console/64", |run| write::<64>(run)),
    ("console/4096", |run| write::<4096>(run)),
    ("clock", |run| run.over(|| _ = black_box(now_ns()))),
    ("timer", timer),
    ("identify/page", |run| run.over(identify_by_page)),
    ("identify/cpuid", |run| run.over(identify_by_cpuid)),
    ("remap/1", |run| remap(run, 1)),
    ("remap/64", |run| remap(run, 64)),
    ("remap/1024", |run| remap(run, MOST_PAGES)),
    ("notify/call", |run| {
        run.over(|| done(calls::notify(1, UNHEARD)))
    }),
    ("notify/word", |run| ping(run, spin_for)),
    ("notify/wait", |run| ping(run, wait_for)),
    ("mask/word", |run| run.over(mask_and_unmask)),
    ("disk/1", disk::one),
    ("disk/32", disk::many),
    ("disk/ata", disk::by_ports),
    ("program/called", program::called),
    ("program/trapped", program::trapped),
    ("touch", program::touch),
    ("net/request", |run| wire::request(run, Kick::Asked)),
    ("net/ping", |run| wire::ping(run, Kick::Asked)),
    ("net/ping/trapped", |run| wire::ping(run, Kick::Trapped)),
    ("net/stream", |run| wire::stream(run, Kick::Asked)),
    ("net/request/trapped", |run| {
        wire::request(run, Kick::Trapped)
    }),
    ("net/stream/trapped", |run| wire::stream(run, Kick::Trapped)),
    ("vsock/request", sockets::request),
    ("vsock/stream", sockets::stream),
    ("uart/1", trapped::write::<1>),
    ("uart/64", trapped::write::<64>),
    ("uart/4096", trapped::write::<4096>),
    ("pit/read", trapped::clock_by_pit),
    ("rtc/read", trapped::clock_by_rtc),
    ("pit/timer", trapped::timer),
    ("cli", trapped::mask),
    ("rdmsr", trapped::identify),
    ("pic/end", trapped::notify),
    ("invlpg/1", |run| trapped::remap(run, 1)),
    ("invlpg/64", |run| trapped::remap(run, 64)),
    ("invlpg/1024", |run| trapped::remap(run, MOST_PAGES)),
    ("cr3/1024", |run| trapped::remap_by_root(run, MOST_PAGES)),
];

/// What answers on the other vCPU, and the answer.
const PING: u64 = 1 << 40;
const PONG: u64 = 1 << 41;
const STOP: u64 = 1 << 42;
/// An event that nobody waits for.
const UNHEARD: u64 = 1 << 43;

/// Calls that are queued before their results are waited for, where a doorbell submits them: as many as the host's table says.
const RUNG: usize = 64;

/// A refused call has measured nothing.
pub fn done<T>(answer: Result<T, guest_sdk::abi::Status>) {
    if let Err(status) = answer {
        panic!("a call was refused: {status}");
    }
}

/// Bytes go in: to standard output, which leads nowhere here, so that the call is all there is.
fn write<const BYTES: usize>(run: &mut Run) {
    let bytes = [b'.'; BYTES];
    run.over(|| {
        done(calls::console_write(
            calls::STREAM_OUTPUT,
            black_box(&bytes),
        ))
    });
}

/// A call after a while without any, so long that no poller waits for it.
fn rare(run: &mut Run) {
    const QUIET_NS: u64 = 1_000_000;
    run.timed(|| {
        let end = now_ns() + QUIET_NS;
        while now_ns() < end {
            spin_loop();
        }
        let start = now();
        done(calls::null());
        now() - start
    });
}

/// Calls that do nothing, queued one by one and submitted together.
fn batch(run: &mut Run, calls: usize) {
    let Ok(mut batch) = Batch::new(calls) else {
        panic!("no batches here");
    };
    run.over(|| {
        for _ in 0..calls {
            _ = black_box(batch.push(Command::null()));
        }
        match batch.submit() {
            Ok(results) => assert_eq!(results.done(), calls),
            Err(error) => panic!("a batch was refused: {error}"),
        }
    });
}

/// Calls that do nothing, with a doorbell after so many of them, and a wait for the last of [`RUNG`].
fn bells(run: &mut Run, calls: usize) {
    let Ok(mut batch) = Batch::to_start(RUNG) else {
        panic!("no doorbells here");
    };
    run.over(|| {
        for _ in 0..RUNG / calls {
            for _ in 0..calls {
                _ = black_box(batch.push(Command::null()));
            }
            // Nobody looks at its results before the last.
            let _ = batch.start();
        }
        match batch.start().wait() {
            Ok(results) => assert_eq!(results.done(), RUNG),
            Err(error) => panic!("a batch was refused: {error}"),
        }
    });
}

/// Bytes come out.
fn random<const BYTES: usize>(run: &mut Run) {
    let mut bytes = [0; BYTES];
    run.over(|| done(calls::random(black_box(&mut bytes))));
}

/// How much later than asked a wait ends.
fn timer(run: &mut Run) {
    run.timed(|| {
        lateness(|ahead_ns| {
            // Timed out: that is what it is for.
            let _ = calls::wait(0, now_ns() + ahead_ns);
        })
    });
}

/// Nothing to do for a second.
fn idle(run: &mut Run) {
    const WHILE_NS: u64 = 1_000_000_000;
    run.over(|| {
        let end = now_ns() + WHILE_NS;
        while now_ns() < end {
            // Timed out, or woken for nothing.
            let _ = calls::wait(0, end);
        }
    });
}

/// By how many ticks something takes longer than the time it is to wait for, which it is told in nanoseconds.
pub fn lateness(wait: impl FnOnce(u64)) -> u64 {
    const AHEAD_NS: u64 = 100_000;
    let (start, start_ns) = (now(), now_ns());
    wait(AHEAD_NS);
    let (ticks, ns) = (now() - start, now_ns() - start_ns);
    // By the rule of three.
    let late = u128::from(ns.saturating_sub(AHEAD_NS)) * u128::from(ticks) / u128::from(ns.max(1));
    late as u64
}

/// Masks events, or unmasks them, in a word of the guest's own, which whoever delivers them looks at.
pub fn mask(masked: bool) {
    static MASKED: AtomicBool = AtomicBool::new(false);
    // A word that nobody seems to read would not be written.
    black_box(&MASKED).store(masked, Ordering::SeqCst);
}

fn mask_and_unmask() {
    mask(true);
    mask(false);
}

fn identify_by_page() {
    let page = black_box(platform::boot());
    black_box((page.vcpus, page.memory_bytes, page.features));
}

fn identify_by_cpuid() {
    black_box(__cpuid(black_box(0)));
}

/// Moves a window, with one call.
fn remap(run: &mut Run, pages: usize) {
    let window = Window::new(pages);
    let mut turn = 0;
    run.over(|| {
        turn ^= 1;
        window.map(turn);
        window.check(turn);
    });
}

/// Waits on this vCPU for some of its events, and takes them.
type Wait = fn(u64) -> u64;

fn spin_for(events: u64) -> u64 {
    loop {
        // A look before the taking, which would claim the line from who writes it.
        if event::pending() & events != 0 {
            return event::take(events);
        }
        spin_loop();
    }
}

fn wait_for(events: u64) -> u64 {
    event::wait(events, None).unwrap_or(0)
}

/// A ping to the other vCPU and its pong.
fn ping(run: &mut Run, wait: Wait) {
    let here = current_vcpu();
    let other = thread::spawn(move || {
        while wait(PING | STOP) & STOP == 0 {
            _ = event::notify(here, PONG);
        }
    });
    let Ok(other) = other else {
        panic!("there is no second vCPU");
    };
    run.over(|| {
        _ = event::notify(1, PING);
        wait(PONG);
    });
    _ = event::notify(1, STOP);
    other.join();
}
