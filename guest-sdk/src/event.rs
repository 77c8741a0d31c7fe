//! Events: bits in the vCPU page that the host and other vCPUs set, and the one blocking call that waits for them, which [`next`]
//! makes for many tasks at once.
//!
//! Owns the handshake between who sets a bit and who waits for it. What the host's bits mean is
//! [`abi::vcpu::event`](hypercall_abi::vcpu::event)'s.
//!
//! ```
//! use guest_sdk::{event, time::{Duration, Instant}};
//! let mine = 1 << 40;
//! event::notify(event::current_vcpu(), mine)?;
//! assert_eq!(event::wait(mine, None), Ok(mine));
//! let soon = Instant::now() + Duration::from_micros(10);
//! assert_eq!(event::wait(mine, Some(soon)), Err(event::TimedOut));
//! # Ok::<(), event::NotifyError>(())
//! ```

mod next;

use crate::calls;
use crate::platform::Vcpu;
use crate::shutdown;
use crate::time::{Instant, now_ns};
use core::fmt;
use core::sync::atomic::Ordering;
use hypercall_abi::Status;

pub use hypercall_abi::vcpu::event::{CONSOLE_INPUT, GENERATION, SHUTDOWN, VCPU_STOPPED};
pub use next::{Next, next};

/// [`thread::park`](crate::thread::park) waits for this.
pub(crate) const UNPARK: u64 = 1 << 32;
/// Whoever is blocked in [`sync`](crate::sync) waits for this.
pub(crate) const WAKE: u64 = 1 << 33;
/// An [`executor`](mod@crate::executor)'s tasks are to be polled.
pub(crate) const TASKS: u64 = 1 << 34;
/// The future that an executor's loop runs for is to be polled.
pub(crate) const ROOT: u64 = 1 << 35;
/// The bits a guest program may [`notify`] and wait for, for purposes of its own.
pub const USER_EVENTS: u64 =
    hypercall_abi::vcpu::event::GUEST_EVENTS & !(UNPARK | WAKE | TASKS | ROOT);

/// The deadline passed before anything happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimedOut;

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed")
    }
}

impl core::error::Error for TimedOut {}

/// Why a notification was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotifyError {
    /// The VM has no vCPU with that index.
    NoSuchVcpu,
    /// Some of the bits are not in [`USER_EVENTS`].
    ReservedEvents,
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotifyError::NoSuchVcpu => "no such vCPU",
            NotifyError::ReservedEvents => "only the bits of USER_EVENTS may be raised",
        })
    }
}

impl core::error::Error for NotifyError {}

/// The index of the vCPU that runs this.
#[must_use]
pub fn current_vcpu() -> u32 {
    Vcpu::current().index()
}

/// The events pending on this vCPU.
#[must_use]
pub fn pending() -> u64 {
    Vcpu::current().pending().load(Ordering::Acquire)
}

/// Clears some of this vCPU's pending events and returns those that were pending. Look for what they announce afterwards.
pub fn take(events: u64) -> u64 {
    // Pairs with the OR in `raise`: what was done before a bit was set is visible after it was taken.
    Vcpu::current()
        .pending()
        .fetch_and(!events, Ordering::SeqCst)
        & events
}

/// Blocks until one of `events` is pending on this vCPU; takes and returns those that are.
///
/// A [shutdown request](crate::shutdown::on_request) is served meanwhile.
///
/// # Errors
/// [`TimedOut`] when the deadline passes first.
pub fn wait(events: u64, deadline: Option<Instant>) -> Result<u64, TimedOut> {
    loop {
        let taken = take(events);
        if taken != 0 {
            return Ok(taken);
        }
        rest(events, deadline)?;
    }
}

/// Raises some of [`USER_EVENTS`] on a vCPU. Costs a call only if that vCPU waits.
///
/// # Errors
/// See [`NotifyError`].
pub fn notify(vcpu: u32, events: u64) -> Result<(), NotifyError> {
    if events & !USER_EVENTS != 0 {
        return Err(NotifyError::ReservedEvents);
    }
    let vcpu = Vcpu::get(vcpu).ok_or(NotifyError::NoSuchVcpu)?;
    raise(vcpu, events);
    Ok(())
}

/// Sets bits on a vCPU, and wakes it if it waits.
pub(crate) fn raise(vcpu: Vcpu, events: u64) {
    vcpu.pending().fetch_or(events, Ordering::SeqCst);
    // The OR is ordered before this load, as `block` stores `waiting` before it looks at `pending`:
    // at least one of the two sees the other.
    if vcpu.waiting().load(Ordering::SeqCst) != 0 {
        // Refused only for a vCPU that does not exist, and `Vcpu` is one that does.
        let _ = calls::notify(vcpu.index(), 0);
    }
}

/// Blocks as [`block`] does, where a program that waits expects to serve a shutdown request. May return early.
pub(crate) fn rest(events: u64, deadline: Option<Instant>) -> Result<(), TimedOut> {
    if shutdown::serve() {
        // The handler may have taken what this waits for: let the caller look again.
        return Ok(());
    }
    block(events | shutdown::interest(), deadline)?;
    shutdown::serve();
    Ok(())
}

/// Blocks until one of `events` is pending on this vCPU, without taking it. May return early.
pub(crate) fn block(events: u64, deadline: Option<Instant>) -> Result<(), TimedOut> {
    let vcpu = Vcpu::current();
    let deadline_ns = deadline.map_or(calls::FOREVER, Instant::as_nanos);
    // A fault handler may interrupt a wait to wait itself: it leaves the word as it found it.
    let before = vcpu.waiting().swap(1, Ordering::SeqCst);
    // Pairs with `raise`: see there.
    let answer = if vcpu.pending().load(Ordering::SeqCst) & events == 0 {
        calls::wait(events, deadline_ns)
    } else {
        Ok(events)
    };
    vcpu.waiting().store(before, Ordering::Relaxed);
    match answer {
        Ok(_) => Ok(()),
        Err(Status::TIMED_OUT) => Err(TimedOut),
        Err(Status::AGAIN) => Ok(()),
        Err(_) => spin(vcpu, events, deadline_ns),
    }
}

/// What is left to a VM that may not wait.
fn spin(vcpu: Vcpu, events: u64, deadline_ns: u64) -> Result<(), TimedOut> {
    while vcpu.pending().load(Ordering::Acquire) & events == 0 {
        if now_ns() >= deadline_ns {
            return Err(TimedOut);
        }
        core::hint::spin_loop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_user_events_may_be_raised() {
        assert_eq!(notify(0, SHUTDOWN), Err(NotifyError::ReservedEvents));
        assert_eq!(notify(0, WAKE), Err(NotifyError::ReservedEvents));
        assert_eq!(notify(64, 0), Err(NotifyError::NoSuchVcpu));
    }

    #[test]
    fn a_wait_takes_only_what_it_asked_for() {
        let (mine, other) = (1 << 40, 1 << 41);
        notify(current_vcpu(), mine | other).unwrap();
        assert_eq!(wait(mine, None), Ok(mine));
        assert_eq!(pending() & (mine | other), other);
        assert_eq!(take(other), other);
    }

    #[test]
    fn a_notification_wakes_a_waiter() {
        let bit = 1 << 42;
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            tell.send(current_vcpu()).unwrap();
            wait(bit, None)
        });
        notify(told.recv().unwrap(), bit).unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(bit));
    }
}
