//! Queues as a fuzz target: any memory, at any moment. A chain that a queue gives out can be held; what cannot is [`Broken`](super::Broken), and never a panic.

use super::peer::{Peer, SIZE, setup};
use super::{Chain, Queue};
use crate::fuzz::{Ram, Source};
use hypercall_abi::Gpa;
use hypercall_abi::device::QueueSetup;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE};
use std::sync::Arc;

/// The most entries that [`Peer::queue`] allows.
const MOST: u16 = 64;

/// What a driver can do to the queue itself.
pub(crate) fn queues(source: &mut Source) {
    let peer = Peer::new();
    let memory = Arc::clone(&peer.memory);
    let mut ram = Ram::new(&memory);
    ram.allow(RAM_BASE..MIN_MEMORY);
    let (mut chain, mut held) = (Chain::default(), false);
    let mut asked = setup(0);
    let mut queue = set_up(&peer, &mut asked, source);
    let mut scratch = vec![0; 0x2_0000];
    while source.step() {
        let sound = match source.below(8) {
            0 | 1 => {
                descriptor(&mut ram, &peer, &asked, source);
                Ok(())
            }
            2 => {
                available(&mut ram, &peer, &asked, source);
                Ok(())
            }
            3 => queue.arm().map(drop),
            4 => queue.announce(),
            5 if held => {
                let (from, len) = (source.odd(), source.below(scratch.len() as u64) as usize);
                let bytes = &mut scratch[..len];
                let read = queue.read(&chain, from, bytes).map(|read| {
                    assert!(read as u64 <= chain.readable_bytes().saturating_sub(from));
                });
                read.and_then(|()| queue.write(&chain, from, bytes).map(drop))
            }
            6 if held => {
                held = false;
                queue.push(&chain, source.odd() as u32)
            }
            _ => queue.pop(&mut chain).map(|found| {
                held = found;
                let segments = chain.readable.len() + chain.writable.len();
                assert!(!found || (1..=usize::from(MOST)).contains(&segments));
                assert!(!found || chain.head < asked.size);
                if found && source.once_in(8) {
                    queue.unpop(&mut chain);
                    held = false;
                }
            }),
        };
        if sound.is_err() {
            held = false;
            queue = set_up(&peer, &mut asked, source);
        }
    }
    ram.check(&memory);
}

/// A queue, mostly where one can be.
fn set_up(peer: &Peer, asked: &mut QueueSetup, source: &mut Source) -> Queue {
    loop {
        *asked = setup(0);
        if source.once_in(4) {
            let mut odd = |gpa: &mut Gpa| {
                if source.once_in(2) {
                    gpa.0 = source.near(RAM_BASE, MIN_MEMORY);
                }
            };
            odd(&mut asked.descriptors);
            odd(&mut asked.available);
            odd(&mut asked.used);
            asked.size = source.pick(&[1, 2, SIZE, MOST, 0, 3, u16::MAX]);
        }
        if let Ok(queue) = peer.queue(asked) {
            return queue;
        }
    }
}

/// Writes any descriptor, mostly of the queue's table.
fn descriptor(ram: &mut Ram, peer: &Peer, asked: &QueueSetup, source: &mut Source) {
    let table = match source.once_in(4) {
        true => RAM_BASE + 0x8_0000,
        false => asked.descriptors.0,
    };
    let mut bytes = match source.below(4) {
        0 => source.near(RAM_BASE, MIN_MEMORY),
        1 => RAM_BASE + 0x8_0000,
        _ => RAM_BASE + 0x9_0000 + source.below(0x1_0000),
    }
    .to_le_bytes()
    .to_vec();
    let len = match source.below(4) {
        0 => source.odd() as u32,
        1 => 16 * source.below(40) as u32,
        _ => source.below(0x2000) as u32,
    };
    bytes.extend(len.to_le_bytes());
    bytes.extend((source.below(9) as u16).to_le_bytes());
    bytes.extend(
        source
            .pick(&[0, 1, 2, 3, SIZE, MOST, u16::MAX])
            .to_le_bytes(),
    );
    write(
        ram,
        peer,
        table + source.below(u64::from(SIZE)) * 16,
        &bytes,
    );
}

/// Writes what a driver has available: heads, the index, the event.
fn available(ram: &mut Ram, peer: &Peer, asked: &QueueSetup, source: &mut Source) {
    let at = asked.available.0;
    let index: u16 = peer.memory.load(Gpa(at + 2)).unwrap_or(0);
    let head = source.pick(&[0, 0, 1, 2, 3, SIZE - 1, asked.size, u16::MAX]);
    let entry = u64::from(index & asked.size.wrapping_sub(1));
    write(ram, peer, at + 4 + 2 * entry, &head.to_le_bytes());
    let index = match source.once_in(16) {
        true => source.any() as u16,
        false => index.wrapping_add(1),
    };
    write(ram, peer, at + 2, &index.to_le_bytes());
    let event = at + 4 + 2 * u64::from(asked.size);
    write(ram, peer, event, &(source.odd() as u16).to_le_bytes());
}

fn write(ram: &mut Ram, peer: &Peer, at: u64, bytes: &[u8]) {
    if at >= RAM_BASE && at <= MIN_MEMORY - bytes.len() as u64 {
        ram.write(&peer.memory, at, bytes);
    }
}
