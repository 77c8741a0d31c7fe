//! A Unix stream socket as what a card is connected to: the frames of another program, such as passt, a switch, or a second VM.
//!
//! While the other end is away there is no link, and what the guest sends is dropped. An end that is connected to is looked for again and again, ever more
//! rarely; one that connects is waited for.

use super::framing::{Incoming, Next, Outgoing};
use super::peer::{Connection, Peer};
use super::{Backend, HEADER, Sent};
use crate::Error;
use crate::io::Sources;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use vmm_sys_util::epoll::EventSet;

/// What is watched.
mod token {
    pub const CONNECTION: u32 = 0;
    pub const TIMER: u32 = 1;
    pub const LISTENER: u32 = 2;
}

/// How long after it was lost an end is looked for, and the longest time between two looks.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The backend.
pub(crate) struct Stream {
    peer: Peer,
    connection: Option<Connection>,
    incoming: Incoming,
    outgoing: Outgoing,
    is_readable: bool,
    is_writable: bool,
    /// Whether the other end sends no more than what is there.
    is_ending: bool,
    /// Whether the connection is of no use any more, and to be dropped at the end of the batch.
    is_lost: bool,
    timer: OwnedFd,
    wait: Duration,
    dropped: u64,
}

impl Stream {
    /// Connects to a socket.
    ///
    /// # Errors
    /// [`Error::Os`]: nobody listens there, and what would help.
    pub fn connect(path: &Path) -> Result<Stream, Error> {
        let peer = Peer::At(path.to_owned());
        let connection = peer.reach().map_err(|source| {
            let at = path.display();
            let what = match source.kind() {
                ErrorKind::NotFound => format!(
                    "there is no socket {at}; start the program that the network card is connected to first, or write stream = {{ listen = \"PATH\" }} to be connected to"
                ),
                ErrorKind::ConnectionRefused => {
                    format!("nobody listens at {at}; start the program that the network card is connected to first")
                }
                _ => format!("connecting to {at}"),
            };
            Error::Os { what, source }
        })?;
        Stream::new(peer, Some(connection))
    }

    /// Waits to be connected to at a path.
    ///
    /// # Errors
    /// [`Error::Os`]: it cannot listen there, and what would help.
    pub fn listen(path: &Path) -> Result<Stream, Error> {
        Stream::new(Peer::listen(path)?, None)
    }

    fn new(peer: Peer, connection: Option<Connection>) -> Result<Stream, Error> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, flags).map_err(|source| Error::Os {
                what: "making the timer of a network card".into(),
                source: source.into(),
            })?;
        Ok(Stream {
            peer,
            connection,
            incoming: Incoming::new(),
            outgoing: Outgoing::new(),
            is_readable: true,
            is_writable: true,
            is_ending: false,
            is_lost: false,
            timer,
            wait: FIRST_WAIT,
            dropped: 0,
        })
    }

    /// Looks for the other end, and for when to look again.
    fn reach(&mut self, sources: &mut Sources) {
        if self.connection.is_some() {
            return;
        }
        let found = self.peer.reach();
        let found = found.and_then(|connection| watch(&connection, sources).map(|()| connection));
        match found {
            Ok(connection) => {
                self.connection = Some(connection);
                (self.is_readable, self.is_writable) = (true, true);
                self.wait = FIRST_WAIT;
            }
            // One that listens hears of the next.
            Err(_) if matches!(self.peer, Peer::Heard(..)) => {}
            Err(_) => {
                set(&self.timer, self.wait);
                self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
            }
        }
    }

    /// Lets a connection go that is of no use any more.
    fn lose(&mut self, sources: &mut Sources) {
        if let Some(connection) = self.connection.take() {
            sources.forget(&connection);
        }
        self.incoming.clear();
        self.outgoing.clear();
        (self.is_lost, self.is_ending) = (false, false);
        match &self.peer {
            Peer::At(_) => set(&self.timer, self.wait),
            // Somebody may have been waiting all the time.
            Peer::Heard(..) => self.reach(sources),
        }
    }

    /// Writes what there is room for.
    fn drain(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        if !self.is_writable || self.outgoing.is_empty() {
            return;
        }
        match self.outgoing.drain(|bytes| connection.write(bytes)) {
            Ok(all) => self.is_writable = all,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
            Err(error) => self.is_lost = error.kind() != ErrorKind::Interrupted,
        }
    }

    /// Reads what is there.
    fn fill(&mut self) {
        let Some(connection) = &self.connection else {
            self.is_readable = false;
            return;
        };
        match self.incoming.fill(|room| connection.read(room)) {
            Ok((0, _)) => self.is_lost = true,
            // Less than there was room for is all there is, unless the end is near: that comes without another edge.
            Ok((_, all)) => self.is_readable = all || self.is_ending,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
            Err(error) => self.is_lost = error.kind() != ErrorKind::Interrupted,
        }
    }
}

fn watch(connection: &Connection, sources: &mut Sources) -> io::Result<()> {
    let events = EventSet::IN | EventSet::OUT | EventSet::READ_HANG_UP | EventSet::EDGE_TRIGGERED;
    sources.watch(connection, token::CONNECTION, events)
}

/// Has the timer's descriptor become readable once, after this long.
fn set(timer: &OwnedFd, wait: Duration) {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let once = Itimerspec {
        it_interval: zero,
        it_value: Timespec::try_from(wait).unwrap_or(zero),
    };
    // Fails only for times that are none.
    let _ = timerfd_settime(timer, TimerfdTimerFlags::empty(), &once);
}

impl Backend for Stream {
    fn watch(&mut self, _: u64, sources: &mut Sources) -> io::Result<()> {
        sources.watch(&self.timer, token::TIMER, EventSet::IN)?;
        if let Peer::Heard(listener) = &self.peer {
            sources.watch(
                listener,
                token::LISTENER,
                EventSet::IN | EventSet::EDGE_TRIGGERED,
            )?;
        }
        (self.is_readable, self.is_writable) = (true, true);
        match &self.connection {
            Some(connection) => watch(connection, sources)?,
            None => self.reach(sources),
        }
        Ok(())
    }

    fn forget(&mut self, sources: &mut Sources) {
        sources.forget(&self.timer);
        if let Peer::Heard(listener) = &self.peer {
            sources.forget(listener);
        }
        if let Some(connection) = &self.connection {
            sources.forget(connection);
        }
    }

    fn ready(&mut self, token: u32, events: EventSet, sources: &mut Sources) {
        match token {
            token::CONNECTION => {
                self.is_readable = true;
                self.is_writable = true;
                self.is_ending |=
                    events.intersects(EventSet::HANG_UP | EventSet::READ_HANG_UP | EventSet::ERROR);
            }
            token::TIMER => {
                // It may have been set anew meanwhile, and not be readable.
                let _ = rustix::io::read(&self.timer, &mut [0; 8]);
                self.reach(sources);
            }
            _ => self.reach(sources),
        }
    }

    fn send(&mut self, packet: &[u8]) -> Sent {
        let frame = packet.get(HEADER..).unwrap_or_default();
        if self.connection.is_none() || self.is_lost {
            return Sent::Dropped;
        }
        if self.outgoing.push(frame) {
            return Sent::Taken;
        }
        self.drain();
        match self.outgoing.push(frame) {
            true => Sent::Taken,
            false => Sent::Full,
        }
    }

    fn flush(&mut self, sources: &mut Sources) {
        self.drain();
        if self.is_lost {
            self.lose(sources);
        }
    }

    fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn receive(&mut self, room: &mut [u8]) -> Option<usize> {
        let (header, frame) = room.split_at_mut_checked(HEADER)?;
        header.fill(0);
        loop {
            match self.incoming.next(frame) {
                Next::Frame(len) => return Some(len.saturating_add(HEADER)),
                Next::Short => self.dropped = self.dropped.wrapping_add(1),
                Next::Lost => {
                    self.dropped = self.dropped.wrapping_add(1);
                    self.is_lost = true;
                    return None;
                }
                Next::None if self.is_readable && !self.is_lost => self.fill(),
                Next::None => return None,
            }
        }
    }

    fn has_link(&self) -> bool {
        self.connection.is_some()
    }
}
