//! How a vCPU's thread sleeps on the host, and is woken: for an event, a stop, a restart.
//!
//! Every sleep is one `poll` on this bell's descriptor, perhaps beside the console's. A sleeper says that it listens, *then* looks
//! for what it waits for, then polls; whoever makes that true does so *before* ringing. So no ring is lost.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A vCPU thread's bell.
pub(crate) struct Bell {
    fd: OwnedFd,
    listening: AtomicBool,
}

/// Why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// Somebody rang, or a signal came: look again.
    Rung,
    /// The other descriptor is ready, or broken: try it.
    Ready,
    /// The time is over.
    Late,
}

/// Which way the other descriptor is to be ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    In,
    Out,
}

impl Bell {
    pub fn new() -> io::Result<Bell> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell {
            fd,
            listening: AtomicBool::new(false),
        })
    }

    /// Begins a sleep: whatever happens from now on ends the next [`sleep`](Bell::sleep).
    pub fn listen(&self) {
        // SeqCst, before the sleeper looks for its reason to wake: the partner is `ring`.
        self.listening.store(true, Ordering::SeqCst);
    }

    /// Wakes the sleeper, if there is one. What it will look for has been written, with SeqCst or a fence.
    pub fn ring(&self) {
        // SeqCst, after that write: either this sees `listening`, or the sleeper sees the write.
        if self.listening.load(Ordering::SeqCst) {
            // Only fails when the counter is full, and then it is readable all the same.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }

    /// Sleeps until rung, until `other` is ready, or for `time`. [`listen`](Bell::listen) came before.
    pub fn sleep(&self, time: Option<Duration>, other: Option<(BorrowedFd<'_>, Way)>) -> Woken {
        let time = time.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let own = PollFd::new(&self.fd, PollFlags::IN);
        let woken = match other {
            None => one(poll(&mut [own], time.as_ref()), || false),
            Some((fd, way)) => {
                let flags = if way == Way::In {
                    PollFlags::IN
                } else {
                    PollFlags::OUT
                };
                let mut fds = [own, PollFd::from_borrowed_fd(fd, flags)];
                let polled = poll(&mut fds, time.as_ref());
                one(polled, || !fds[1].revents().is_empty())
            }
        };
        self.listening.store(false, Ordering::Relaxed);
        if woken != Woken::Late {
            let _ = rustix::io::read(&self.fd, &mut [0; 8]);
        }
        woken
    }
}

fn one(polled: Result<usize, Errno>, ready: impl FnOnce() -> bool) -> Woken {
    match polled {
        Ok(0) => Woken::Late,
        Ok(_) if ready() => Woken::Ready,
        _ => Woken::Rung,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_ring_between_listen_and_sleep_is_not_lost() {
        let bell = Bell::new().unwrap();
        bell.listen();
        bell.ring();
        assert_eq!(bell.sleep(None, None), Woken::Rung);
        bell.listen();
        assert_eq!(
            bell.sleep(Some(Duration::ZERO), None),
            Woken::Late,
            "one ring, one waking"
        );
    }

    #[test]
    fn nobody_listening_costs_nothing() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.listen();
        assert_eq!(bell.sleep(Some(Duration::ZERO), None), Woken::Late);
    }

    #[test]
    fn the_other_descriptor_wakes_too() {
        let bell = Bell::new().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        bell.listen();
        assert_eq!(
            bell.sleep(None, Some((writer.as_fd(), Way::Out))),
            Woken::Ready
        );
        drop(writer);
        bell.listen();
        assert_eq!(
            bell.sleep(None, Some((reader.as_fd(), Way::In))),
            Woken::Ready,
            "end of input"
        );
    }
}
