//! The random number device as a fuzz target: buffers of any number, length and place.
//!
//! Of each chain as many bytes are new as the answer says, and no others; after a reset the device is as new.

use super::{MOST, Rng};
use crate::config;
use crate::fuzz::{Ram, Source};
use crate::io::{Sources, with_sources};
use crate::virtio::peer::{self, Descriptor, NEXT, Peer, SIZE, WRITE};
use crate::virtio::{Broken, Device, Queue};
use hypercall_abi::Gpa;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use std::collections::VecDeque;

/// The most descriptors of a chain.
const PARTS: u16 = 4;

/// Chains of a guest.
pub(crate) fn buffers(source: &mut Source) {
    with_sources(|sources| {
        let mut play = Play::new();
        while source.step() {
            let broken = match source.below(8) {
                0..=3 => {
                    play.ask(source);
                    Ok(())
                }
                4 => play.rng.arm(&mut play.queues).map(drop),
                5 if source.once_in(4) => {
                    play.restart(sources);
                    Ok(())
                }
                _ => play.serve(sources),
            };
            play.hear();
            if broken.is_err() {
                assert!(play.asked.iter().any(|chain| chain.is_odd), "{broken:?}");
                // The one that broke it was perhaps begun.
                for chain in std::mem::take(&mut play.asked) {
                    play.allow(&chain.buffers, MOST as u64);
                }
                play.restart(sources);
            }
        }
        play.restart(sources);
        play.soundly(sources);
    });
}

/// A chain that is not answered yet.
struct Asked {
    head: u16,
    /// What the device may write, in order.
    buffers: Vec<Descriptor>,
    /// Whether something is wrong with it.
    is_odd: bool,
}

/// Both ends.
struct Play {
    rng: Rng,
    peer: Peer,
    ram: Ram,
    queues: Vec<Option<Queue>>,
    asked: VecDeque<Asked>,
}

impl Play {
    fn new() -> Play {
        let mut peer = Peer::new();
        let ram = Ram::new(&peer.memory);
        let queues = peer.queues(1);
        let mut play = Play {
            rng: Rng::open(&config::Rng::default()).unwrap(),
            peer,
            ram,
            queues,
            asked: VecDeque::new(),
        };
        play.begin();
        play
    }

    /// Everything that is written now is the driver's.
    fn begin(&mut self) {
        self.queues = self.peer.queues(1);
        self.ram = Ram::of(&self.peer.memory);
        self.ram.allow(peer::answered(0));
    }

    /// A reset: nothing that was asked for before is written any more.
    fn restart(&mut self, sources: &mut Sources) {
        self.rng.reset(sources);
        assert_eq!(self.peer.answers(0), [], "answered by a reset");
        self.asked.clear();
        self.ram.check(&self.peer.memory);
        self.begin();
    }

    fn serve(&mut self, sources: &mut Sources) -> Result<(), Broken> {
        self.rng.serve(0, &mut self.queues, sources).map(drop)
    }

    /// Offers a chain, if there is a place for one, in most cases a good one.
    fn ask(&mut self, source: &mut Source) {
        let heads = (0..SIZE).step_by(PARTS.into());
        let is_free = |head: &u16| self.asked.iter().all(|chain| chain.head != *head);
        let Some(head) = heads.into_iter().find(is_free) else {
            return;
        };
        let mut is_odd = false;
        let count = 1 + source.below(PARTS.into()) as u16;
        let read = match source.once_in(10) {
            true => source.below(u64::from(count) + 1) as u16,
            false => 0,
        };
        let mut buffers = Vec::new();
        for place in head..head + count {
            let is_last = place + 1 == head + count;
            let mut descriptor = Descriptor {
                address: peer::buffer(0, place),
                len: match source.once_in(4) {
                    true => 0,
                    false => source.below(0x1000) as u32,
                },
                flags: if place - head < read { 0 } else { WRITE },
                next: place + 1,
            };
            if !is_last {
                descriptor.flags |= NEXT;
            }
            match source.below(60) {
                0 => descriptor.address = source.near(RAM_BASE, MIN_MEMORY),
                1 => descriptor.address = source.odd(),
                2 => descriptor.len = source.odd() as u32,
                // Where it ends is told by what follows.
                3 => descriptor.flags ^= 2 << source.below(15),
                4 => descriptor.next = source.pick(&[head, SIZE, u16::MAX]),
                _ => {
                    self.peer.describe(0, place, &descriptor);
                    buffers.push(descriptor);
                    continue;
                }
            }
            // Not into its own rings, after which nothing can be told.
            if descriptor.address < peer::answered(0).end && descriptor.address >= RAM_BASE {
                descriptor.address = RAM_BASE - 1;
            }
            is_odd = true;
            self.peer.describe(0, place, &descriptor);
            buffers.push(descriptor);
        }
        self.peer.offer(0, head);
        self.ram.follow(&self.peer.memory, peer::offered(0));
        buffers.retain(|buffer| buffer.flags & WRITE != 0);
        self.asked.push_back(Asked {
            head,
            buffers,
            is_odd,
        });
    }

    /// The device may have written the first `most` bytes of these buffers.
    fn allow(&mut self, buffers: &[Descriptor], most: u64) {
        let mut left = most;
        for buffer in buffers {
            let here = left.min(buffer.len.into());
            left -= here;
            if (RAM_BASE..MIN_MEMORY).contains(&buffer.address) {
                let inside = here.min(MIN_MEMORY - buffer.address);
                self.ram.allow_buffer(buffer.address, inside);
            }
        }
    }

    /// Takes the answers.
    fn hear(&mut self) {
        for (head, written) in self.peer.answers(0) {
            let chain = self.asked.pop_front().expect("an answer to nothing");
            assert_eq!(head, u32::from(chain.head), "in order");
            let room: u64 = chain.buffers.iter().map(|part| u64::from(part.len)).sum();
            assert!(u64::from(written) <= room.min(MOST as u64));
            assert!(chain.is_odd || u64::from(written) == room.min(MOST as u64));
            self.allow(&chain.buffers, written.into());
        }
    }

    /// Whatever came before: a buffer is filled, differently each time.
    fn soundly(&mut self, sources: &mut Sources) {
        for place in 0..2 {
            self.peer.ask(0, place, 64);
        }
        self.serve(sources).unwrap();
        assert_eq!(self.peer.answers(0), [(0, 64), (1, 64)]);
        let bytes = |place| {
            let at = Gpa(peer::buffer(0, place));
            self.peer.memory.load::<[u8; 64]>(at).unwrap()
        };
        assert_ne!(bytes(0), bytes(1));
    }
}
