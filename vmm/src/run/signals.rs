//! SIGINT, SIGTERM and SIGHUP, passed on to the VM that runs.
//!
//! One thread of the process sleeps until one comes, and is left asleep when the VM has ended: waking it to end it would cost a short run
//! more than anything else here does.

use crate::shared::lock;
use crate::{Error, StopReason, Stopper};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{iterator, low_level};
use std::sync::Mutex;
use std::thread;

/// SIGTERM.
pub(super) const TERMINATE: i32 = SIGTERM;
/// SIGHUP.
pub(super) const HANG_UP: i32 = SIGHUP;

/// What the thread needs: it formats nothing and calls little.
const STACK_BYTES: usize = 64 * 1024;

/// The VM that signals go to.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

/// Whether the thread has been started.
static STARTED: Mutex<bool> = Mutex::new(false);

struct Running {
    stopper: Stopper,
    /// The first signal that came for it.
    first: Option<i32>,
}

/// A VM's time of being the one that signals go to.
pub(super) struct Signals(());

impl Signals {
    /// The first signal asks the guest to end, which gives it its grace period; every further SIGINT or SIGTERM stops it.
    pub fn forward_to(stopper: Stopper) -> Result<Signals, Error> {
        *lock(&RUNNING) = Some(Running {
            stopper,
            first: None,
        });
        let signals = Signals(());
        let mut started = lock(&STARTED);
        if !*started {
            start().map_err(|source| Error::Os {
                what: "waiting for signals".to_owned(),
                source,
            })?;
            *started = true;
        }
        Ok(signals)
    }

    /// The first signal, if one came.
    pub fn first(&self) -> Option<i32> {
        lock(&RUNNING).as_ref().and_then(|running| running.first)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        *lock(&RUNNING) = None;
    }
}

fn start() -> std::io::Result<()> {
    let mut signals = iterator::Signals::new([SIGINT, SIGTERM])?;
    // Who started this with `nohup` wants it to outlive the terminal.
    if !is_ignored(HANG_UP) {
        signals.add_signal(HANG_UP)?;
    }
    let sleep = move || signals.forever().for_each(pass_on);
    thread::Builder::new()
        .name("signals".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(sleep)
        .map(drop)
}

/// Does with a signal what it is for.
fn pass_on(signal: i32) {
    match lock(&RUNNING).as_mut() {
        // One closed terminal is announced by the kernel and by the shell: the second time is nobody's impatience.
        Some(running) if running.first.is_some() && signal == HANG_UP => {}
        Some(running) if running.first.is_some() => running.stopper.stop(StopReason::Requested),
        Some(running) => {
            running.first = Some(signal);
            running.stopper.request_shutdown();
        }
        // Between two VMs a signal is for the process. It cannot fail for these.
        None => drop(low_level::emulate_default_handler(signal)),
    }
}

/// Whether this process ignores a signal. Where there is no `/proc` it is taken not to.
fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, signal))
}

/// Whether a process with this status does.
fn ignores(status: &str, signal: i32) -> bool {
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    let bit = u32::try_from(signal - 1)
        .ok()
        .and_then(|at| 1_u64.checked_shl(at));
    set.unwrap_or(0) & bit.unwrap_or(0) != 0
}

/// A signal's name.
pub(super) fn name(signal: i32) -> &'static str {
    low_level::signal_name(signal).unwrap_or("a signal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_ignores_is_in_its_status() {
        let status =
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000004002\n";
        assert!(ignores(status, SIGHUP));
        for signal in [SIGINT, SIGTERM, 0, 65] {
            assert!(!ignores(status, signal), "{signal}");
        }
        assert!(!ignores("", SIGHUP));
        // Rust's runtime ignores it.
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
    }
}
