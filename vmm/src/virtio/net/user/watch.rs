//! What the network waits for: its sockets, each with a name, and a time. One descriptor is readable while any of it has come.

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use smoltcp::time::Instant;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Whose a descriptor is. Numbers of things are never used again, so that what comes late is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Time,
    Stream(u64),
    Datagrams(u64),
    /// A forward, by its index.
    Forward(u64),
}

const KIND: u32 = 56;

impl Source {
    fn to_word(self) -> u64 {
        let (kind, number) = match self {
            Source::Time => (0, 0),
            Source::Stream(number) => (1, number),
            Source::Datagrams(number) => (2, number),
            Source::Forward(index) => (3, index),
        };
        kind << KIND | number
    }

    fn of_word(word: u64) -> Source {
        let number = word & !(u64::MAX << KIND);
        match word >> KIND {
            1 => Source::Stream(number),
            2 => Source::Datagrams(number),
            3 => Source::Forward(number),
            _ => Source::Time,
        }
    }
}

/// What can be done with a descriptor now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Readiness {
    pub readable: bool,
    pub writable: bool,
}

/// Most events taken at once.
const EVENTS: usize = 64;

/// The set.
pub(super) struct Watch {
    set: OwnedFd,
    timer: OwnedFd,
    /// When the timer goes off.
    armed: Option<Instant>,
    numbers: u64,
}

impl Watch {
    /// An empty set.
    ///
    /// # Errors
    /// The host's, where it has no descriptor to give.
    pub fn new() -> io::Result<Watch> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let name = EventData::new_u64(Source::Time.to_word());
        epoll::add(&set, &timer, name, EventFlags::IN)?;
        Ok(Watch {
            set,
            timer,
            armed: None,
            numbers: 0,
        })
    }

    /// Readable while something has come.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    /// A number that nothing had before.
    pub fn number(&mut self) -> u64 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// Watches a descriptor for becoming readable or writable, until it is closed.
    ///
    /// # Errors
    /// The host's.
    pub fn add(&self, descriptor: &OwnedFd, source: Source) -> Result<(), Errno> {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let name = EventData::new_u64(source.to_word());
        epoll::add(&self.set, descriptor, name, interest)
    }

    /// What has come since the last look, each once.
    pub fn look(&mut self, found: &mut Vec<(Source, Readiness)>) {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        loop {
            let mut room = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
            let events = match epoll::wait(&self.set, &mut room, Some(&none)) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let count = events.len();
            for event in events {
                let flags = event.flags;
                let ended = flags.intersects(EventFlags::ERR | EventFlags::HUP);
                let readiness = Readiness {
                    readable: ended || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
                    writable: ended || flags.contains(EventFlags::OUT),
                };
                let source = Source::of_word(event.data.u64());
                if source == Source::Time {
                    // How often it went off does not matter.
                    let _ = read(&self.timer, &mut [0; 8]);
                    self.armed = None;
                }
                found.push((source, readiness));
            }
            if count < EVENTS {
                return;
            }
        }
    }

    /// Has [`Source::Time`] come at a time, or before it.
    pub fn by(&mut self, at: Instant, now: Instant) {
        if self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        let wait = at.total_micros().saturating_sub(now.total_micros()).max(1);
        let it_value = Timespec {
            tv_sec: wait.wrapping_div(1_000_000),
            tv_nsec: wait.wrapping_rem(1_000_000).saturating_mul(1000),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value,
        };
        // Fails for no time that `Timespec` can hold.
        if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok() {
            self.armed = Some(at);
        }
    }
}
