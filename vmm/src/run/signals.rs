//! SIGINT and SIGTERM, passed on to the VM that runs.
//!
//! One thread of the process sleeps until one comes, and is left asleep when the VM has ended: waking it to end it would cost a short run
//! more than anything else here does.

use crate::shared::lock;
use crate::{Error, StopReason, Stopper};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{iterator, low_level};
use std::sync::Mutex;
use std::thread;

/// SIGTERM.
pub(super) const TERMINATE: i32 = SIGTERM;

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
    /// The first signal asks the guest to end, which gives it its grace period; every further one stops it.
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
        Some(running) if running.first.is_some() => running.stopper.stop(StopReason::Requested),
        Some(running) => {
            running.first = Some(signal);
            running.stopper.request_shutdown();
        }
        // Between two VMs a signal is for the process. It cannot fail for these two.
        None => drop(low_level::emulate_default_handler(signal)),
    }
}

/// A signal's name.
pub(super) fn name(signal: i32) -> &'static str {
    low_level::signal_name(signal).unwrap_or("a signal")
}
