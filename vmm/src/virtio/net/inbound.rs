//! Packets on their way to the guest: from a backend into the buffers that the driver has queued.
//!
//! A packet for which there is no room waits; the driver is asked for a kick only then. The buffers that were taken from the queue for it meanwhile
//! stay taken, so that what the queue holds is always more than was there before.

use super::{BATCH, Backend, HEADER, LEAST_FRAME, MOST_FRAME, charge};
use crate::rate::Limit;
use crate::virtio::{Broken, Chain, Queue};
use hypercall_abi::net::{Header, feature};
use std::mem::offset_of;

/// The shortest packet.
const LEAST: usize = HEADER + LEAST_FRAME;
/// Where the header says how many buffers there are: at its end.
const COUNT: usize = offset_of!(Header, num_buffers);

const SHORT: Broken = Broken("a buffer for received packets is shorter than a packet's header");

/// A packet on its way, and the buffers for it.
pub(super) struct Inbound {
    packet: Box<[u8]>,
    /// Bytes of the packet that waits; 0: none does.
    len: usize,
    /// The buffers that were taken from the queue, in order, and behind them `Chain`s to reuse.
    chains: Vec<Chain>,
    taken: usize,
    /// Bytes of their room.
    room: u64,
    /// Whether a packet may lie in several.
    is_merged: bool,
}

impl Default for Inbound {
    fn default() -> Inbound {
        Inbound {
            packet: vec![0; HEADER.saturating_add(MOST_FRAME)].into_boxed_slice(),
            len: 0,
            chains: Vec::new(),
            taken: 0,
            room: 0,
            is_merged: false,
        }
    }
}

impl Inbound {
    /// A driver with these features comes, or goes: nothing is on its way.
    pub fn start(&mut self, features: u64) {
        self.len = 0;
        self.taken = 0;
        self.room = 0;
        self.is_merged = features & feature::MRG_RXBUF != 0;
    }

    /// Whether a packet waits for buffers.
    pub fn is_starved(&self) -> bool {
        self.len != 0
    }

    /// Moves packets until there is none or no room; says whether any was moved.
    pub fn receive(
        &mut self,
        backend: &mut dyn Backend,
        queue: &mut Queue,
        limit: &mut Limit,
    ) -> Result<bool, Broken> {
        let mut did = false;
        for _ in 0..BATCH {
            if !limit.admits() {
                break;
            }
            if self.len == 0 {
                let Some(len) = backend.receive(&mut self.packet) else {
                    break;
                };
                if !(LEAST..=self.packet.len()).contains(&len) {
                    queue.counts.dropped = queue.counts.dropped.wrapping_add(1);
                    continue;
                }
                self.len = len;
            }
            if !self.gather(queue)? {
                break;
            }
            charge(limit, self.len as u64);
            self.deliver(queue)?;
            did = true;
        }
        let dropped = backend.take_dropped();
        queue.counts.dropped = queue.counts.dropped.wrapping_add(dropped);
        if did {
            queue.announce()?;
        }
        Ok(did)
    }

    /// Takes buffers from the queue until the packet fits, or as many as one may have; `false`: there are not enough yet.
    fn gather(&mut self, queue: &mut Queue) -> Result<bool, Broken> {
        let most = match self.is_merged {
            true => usize::from(queue.size()),
            false => 1,
        };
        while self.room < self.len as u64 && self.taken < most {
            if self.taken == self.chains.len() {
                self.chains.push(Chain::default());
            }
            let Some(chain) = self.chains.get_mut(self.taken) else {
                return Ok(false);
            };
            if !queue.pop(chain)? {
                return Ok(false);
            }
            let room = chain.writable_bytes();
            if room < HEADER as u64 {
                return Err(SHORT);
            }
            self.room = self.room.saturating_add(room);
            self.taken = self.taken.saturating_add(1);
        }
        Ok(true)
    }

    /// Writes the packet into the buffers that were taken and gives those back that it needed; drops it if they are too short all together.
    fn deliver(&mut self, queue: &mut Queue) -> Result<(), Broken> {
        let len = std::mem::take(&mut self.len);
        if self.room < len as u64 {
            queue.counts.dropped = queue.counts.dropped.wrapping_add(1);
            // What was taken is there for the next packet.
            return Ok(());
        }
        let taken = self.chains.get_mut(..self.taken).unwrap_or_default();
        let (mut used, mut room) = (0_u16, 0_u64);
        for chain in &*taken {
            if room >= len as u64 {
                break;
            }
            room = room.saturating_add(chain.writable_bytes());
            used = used.saturating_add(1);
        }
        if let Some(place) = self.packet.get_mut(COUNT..HEADER) {
            place.copy_from_slice(&used.to_le_bytes());
        }
        let used = usize::from(used);
        let mut rest = self.packet.get(..len).unwrap_or_default();
        for chain in taken.iter().take(used) {
            let written = queue.write(chain, 0, rest)?;
            rest = rest.get(written..).unwrap_or_default();
            queue.push(chain, u32::try_from(written).unwrap_or(0))?;
        }
        taken.rotate_left(used.min(taken.len()));
        self.taken = self.taken.saturating_sub(used);
        self.room = self.room.saturating_sub(room);
        Ok(())
    }
}
