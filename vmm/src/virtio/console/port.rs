//! One port: bytes between its two queues and the host's end.

use super::end::{self, End};
use super::request::Owed;
use crate::io::Sources;
use crate::rate::Limit;
use crate::virtio::{Broken, Chain, Queue};
use vmm_sys_util::epoll::EventSet;

/// Requests of one direction between two looks at anything else.
const BATCH: usize = 64;
/// Tokens that a port has: its end's, and that of its limit's timer.
pub(super) const TOKENS: u32 = end::TOKENS + 1;
pub(super) const TIMER: u32 = end::TOKENS;

/// The port.
pub(super) struct Port {
    pub name: String,
    end: Box<dyn End>,
    pub owed: Owed,
    is_guest_open: bool,
    /// Whether there may be output left that the guest wrote before it closed its side.
    has_output: bool,
    /// The guest's output that is being written, if `is_held`: so many bytes of it are.
    outgoing: Chain,
    is_held: bool,
    written: u64,
    incoming: Chain,
    /// What may be written and read in a second.
    pub limit: Limit,
}

impl Port {
    pub fn new(name: String, end: Box<dyn End>, limit: Limit) -> Port {
        Port {
            name,
            end,
            owed: Owed::default(),
            is_guest_open: false,
            has_output: false,
            outgoing: Chain::default(),
            is_held: false,
            written: 0,
            incoming: Chain::default(),
            limit,
        }
    }

    /// There is a driver. `is_guest_open`: it has no way to say that it opens the port.
    pub fn start(&mut self, first: u32, is_guest_open: bool, sources: &mut Sources) {
        self.end.watch(first, sources);
        self.limit.watch(first.saturating_add(TIMER), sources);
        self.is_guest_open = is_guest_open;
        self.settle(sources);
    }

    /// The driver is gone.
    pub fn reset(&mut self, sources: &mut Sources) {
        self.end.forget(sources);
        self.limit.forget(sources);
        self.owed = Owed::default();
        (self.is_guest_open, self.has_output, self.is_held) = (false, false, false);
    }

    /// The guest opens its side, or closes it, which counts when what it wrote before has been taken.
    pub fn open(&mut self, is_open: bool, sources: &mut Sources) {
        self.has_output |= self.is_guest_open;
        self.is_guest_open = is_open;
        self.settle(sources);
    }

    pub fn ready(&mut self, token: u32, events: EventSet) {
        match token {
            TIMER => self.limit.rung(),
            token => self.end.ready(token, events),
        }
    }

    /// After some work: what became of the host's side?
    pub fn settle(&mut self, sources: &mut Sources) {
        let is_wanted = self.is_guest_open || self.has_output;
        if self.end.settle(is_wanted, sources) {
            self.owed.update(false);
        }
        self.owed.update(self.end.is_open());
    }

    /// Whether output can be written that the guest has yet to queue.
    pub fn wants_output(&self) -> bool {
        !self.is_held && !self.limit.is_waiting()
    }

    /// Whether there is input, or may be, for which the guest has given no buffer.
    pub fn is_starved(&self) -> bool {
        self.has_input() && !self.limit.is_waiting()
    }

    fn has_input(&self) -> bool {
        self.is_guest_open && self.end.may_read()
    }

    /// Writes what the guest has queued, until the end takes no more.
    pub fn send(&mut self, queue: &mut Queue, scratch: &mut [u8]) -> Result<bool, Broken> {
        let (mut did, mut answered) = (false, false);
        for _ in 0..BATCH {
            if !self.limit.admits() {
                break;
            }
            if !self.is_held {
                if !queue.pop(&mut self.outgoing)? {
                    self.has_output = false;
                    break;
                }
                (self.is_held, self.written) = (true, 0);
            }
            let read = queue.read(&self.outgoing, self.written, scratch)?;
            let bytes = scratch.get(..read).unwrap_or_default();
            let taken = match bytes.is_empty() {
                true => 0,
                false => self.end.write(bytes),
            };
            self.written = self.written.saturating_add(taken as u64);
            let is_rest = self.written < self.outgoing.readable_bytes();
            if is_rest && taken == 0 {
                break;
            }
            self.limit.charge(taken as u64);
            if is_rest {
                did = true;
                continue;
            }
            self.is_held = false;
            queue.push(&self.outgoing, 0)?;
            (did, answered) = (true, true);
        }
        if answered {
            queue.announce()?;
        }
        Ok(did)
    }

    /// Reads for the guest, as far as it has given buffers.
    pub fn receive(&mut self, queue: &mut Queue, scratch: &mut [u8]) -> Result<bool, Broken> {
        let mut did = false;
        for _ in 0..BATCH {
            let may = self.has_input() && self.limit.admits();
            if !may || !queue.pop(&mut self.incoming)? {
                break;
            }
            let room = usize::try_from(self.incoming.writable_bytes()).unwrap_or(usize::MAX);
            let room = room.min(scratch.len());
            let scratch = scratch.get_mut(..room).unwrap_or_default();
            let read = self.end.read(scratch);
            // A buffer of no bytes is answered as it is.
            if read == 0 && room != 0 {
                queue.unpop(&mut self.incoming);
                break;
            }
            self.limit.charge(read as u64);
            let bytes = scratch.get(..read).unwrap_or_default();
            let written = queue.write(&self.incoming, 0, bytes)?;
            queue.push(&self.incoming, u32::try_from(written).unwrap_or(0))?;
            did = true;
        }
        if did {
            queue.announce()?;
        }
        Ok(did)
    }
}
