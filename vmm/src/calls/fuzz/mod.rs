//! Calls, call lines and batch rings as fuzz targets: any number, argument, post and count, at any moment a host thread may look.
//!
//! After every answer: its status is one that the call's row in the ABI names, and no more was done than was asked for. At the end: the
//! host wrote nowhere but where it may.

mod contract;
mod ring;

use super::{Answer, carried};
use crate::fuzz::{Ram, Source};
use crate::line::look;
use crate::memory::{Memory, copy};
use crate::shared::pending;
use crate::stage::Stage;
use crate::stats::Stats;
use contract::{any_call, check};
use hypercall_abi::batch::BatchEntry;
use hypercall_abi::call;
use hypercall_abi::class::Classes;
use hypercall_abi::line::Look;
use hypercall_abi::map::{MIN_MEMORY, RAM_BASE, vcpu_page};
use hypercall_abi::vcpu::{BatchRing, CallLine, VcpuPage};
use hypercall_abi::{Gpa, Status};
use ring::Ring;
use std::mem::offset_of;
use std::ops::Range;
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// vCPUs that run; there is one more, which does not.
const RUNNING: u32 = 2;
/// Where most buffers lie.
const BUFFERS: Range<u64> = RAM_BASE + 0x4_0000..RAM_BASE + 0xc_0000;
/// Bytes of console input there are.
const INPUT: usize = 4096;

/// Calls in call lines.
pub(crate) fn lines(source: &mut Source) {
    play(source, false);
}

/// Batches, submitted by each transport.
pub(crate) fn rings(source: &mut Source) {
    play(source, true);
}

fn play(source: &mut Source, rings: bool) {
    let mut guest = Guest::new(source);
    while source.step() {
        let vcpu = source.below(RUNNING.into()) as u32;
        match source.below(if rings { 10 } else { 5 }) {
            0 if rings => guest.post(source, vcpu, (call::BATCH_SUBMIT, [0; 6])),
            0 | 1 => {
                let call = any_call(source);
                guest.post(source, vcpu, call);
            }
            2 => guest.look(vcpu, false),
            3 => guest.look(vcpu, true),
            4 => guest.call(source, vcpu),
            5 => guest.register(source, vcpu),
            6..=8 => guest.queue(source, vcpu),
            _ => guest.submit(vcpu),
        }
    }
    guest.finish();
}

/// A call that is about to be made.
#[derive(Clone, Copy)]
struct Asked {
    number: u32,
    args: [u64; 6],
    /// What is queued in the ring.
    queued: u32,
}

/// The guest, and what it knows that the host must have done.
struct Guest {
    stage: Stage,
    ram: Ram,
    classes: Classes,
    rings: [Option<Ring>; RUNNING as usize],
    /// The last post that was served, by vCPU.
    posts: [u32; RUNNING as usize],
    served: u64,
    batched: u64,
}

/// Somewhere in a vCPU's page.
fn place(vcpu: u32, offset: usize) -> u64 {
    vcpu_page(vcpu) + offset as u64
}

const LINE: usize = offset_of!(VcpuPage, line);
const RING: usize = offset_of!(VcpuPage, ring);

impl Guest {
    fn new(source: &mut Source) -> Guest {
        let classes = match source.once_in(4) {
            true => Classes(source.any() | 1),
            false => Classes::ALL,
        };
        let input = source.bytes(INPUT);
        let stage = Stage::new(RUNNING + 1, classes, &input);
        let mut ram = Ram::new(&stage.shared.memory);
        for vcpu in 0..=RUNNING {
            // Of the pending events the guest's own half: nothing else happens here.
            ram.allow(pending(vcpu).0 + 4..pending(vcpu).0 + 8);
        }
        for vcpu in 0..RUNNING {
            let mut may =
                |start: usize, len: usize| ram.allow(place(vcpu, start)..place(vcpu, start + len));
            may(LINE + offset_of!(CallLine, args), 8);
            may(LINE + offset_of!(CallLine, status), 4);
            may(LINE + offset_of!(CallLine, answered), 4);
            may(RING + offset_of!(BatchRing, queued), 4);
            may(RING + offset_of!(BatchRing, served), 4);
        }
        Guest {
            stage,
            ram,
            classes,
            rings: [None; RUNNING as usize],
            posts: [0; RUNNING as usize],
            served: 0,
            batched: 0,
        }
    }

    fn memory(&self) -> &Memory {
        &self.stage.shared.memory
    }

    fn write(&mut self, at: u64, value: &(impl IntoBytes + zerocopy::Immutable)) {
        self.ram
            .write(&self.stage.shared.memory, at, value.as_bytes());
    }

    /// Writes a call into a line, and posts it, as the SDK does or in any way.
    fn post(&mut self, source: &mut Source, vcpu: u32, (number, args): (u32, [u64; 6])) {
        self.write(place(vcpu, LINE + offset_of!(CallLine, number)), &number);
        self.write(place(vcpu, LINE + offset_of!(CallLine, args)), &args);
        let post = self
            .memory()
            .line(vcpu)
            .unwrap()
            .post
            .load(Ordering::Relaxed);
        let post = match source.once_in(4) {
            true => source.odd() as u32,
            false => post.wrapping_add(1),
        };
        self.write(place(vcpu, LINE + offset_of!(CallLine, post)), &post);
        if source.once_in(8) {
            self.write(
                place(vcpu, LINE + offset_of!(CallLine, status)),
                &(source.odd() as u32),
            );
            self.write(
                place(vcpu, LINE + offset_of!(CallLine, answered)),
                &(source.odd() as u32),
            );
        }
    }

    /// A host thread looks at a line.
    fn look(&mut self, vcpu: u32, may_block: bool) {
        let words = self.memory().line(vcpu).unwrap();
        let post = words.post.load(Ordering::Relaxed);
        let (number, args) = (words.number.load(Ordering::Relaxed), copy(&words.args));
        let asked = self.ask(vcpu, number, args);
        let looked = look(&mut self.stage.caller(vcpu, may_block));
        let served = &mut self.posts[vcpu as usize];
        let right = match post == *served {
            true => looked == Look::Nothing,
            false => looked == Look::Served || looked == Look::Elsewhere && !may_block,
        };
        assert!(
            right,
            "a look at post {post}, {served} being served, came to {looked:?}"
        );
        let words = self.stage.shared.memory.line(vcpu).unwrap();
        let answer = match looked {
            Look::Nothing => return,
            Look::Elsewhere => None,
            Look::Served => {
                *served = post;
                self.served += 1;
                assert_eq!(words.answered.load(Ordering::Relaxed), post);
                Some((
                    Status(words.status.load(Ordering::Relaxed)),
                    words.args[0].load(Ordering::Relaxed),
                ))
            }
        };
        self.answered(vcpu, asked, answer);
    }

    /// A call that came through the gate.
    fn call(&mut self, source: &mut Source, vcpu: u32) {
        let (number, args) = any_call(source);
        self.make(vcpu, number, args);
    }

    /// Submits what is queued, through the gate.
    fn submit(&mut self, vcpu: u32) {
        self.make(vcpu, call::BATCH_SUBMIT, [0; 6]);
    }

    fn make(&mut self, vcpu: u32, number: u32, args: [u64; 6]) {
        let asked = self.ask(vcpu, number, args);
        match carried(
            &mut self.stage.caller(vcpu, true),
            number,
            call::row(number),
            &args,
        ) {
            Answer::Is(status, result) => self.answered(vcpu, asked, Some((status, result))),
            Answer::Elsewhere => panic!("a vCPU's own thread left call {number:#x} to another"),
        }
    }

    /// Before a call: says where the host may write for it.
    fn ask(&mut self, vcpu: u32, number: u32, args: [u64; 6]) -> Asked {
        self.allow(number, &args);
        let queued = self.queued(vcpu);
        if number == call::BATCH_SUBMIT
            && let Some(ring) = self.rings[vcpu as usize]
        {
            let all = ring.entries..ring.entries + u64::from(ring.count) * 64;
            let entries = self
                .stage
                .shared
                .memory
                .entries(Gpa(ring.entries), ring.count)
                .unwrap();
            let mut calls = Vec::new();
            for (entry, at) in entries.iter().zip(all.clone().step_by(64)) {
                self.ram
                    .allow(at + offset_of!(BatchEntry, status) as u64..at + 8);
                self.ram
                    .allow(at + offset_of!(BatchEntry, result) as u64..at + 64);
                calls.push((entry.number.load(Ordering::Relaxed), copy(&entry.args)));
            }
            for (number, args) in calls {
                self.allow(number, &args);
                // One that reads into its own ring may ask for anything from then on.
                if number == call::CONSOLE_READ
                    && args[0] < all.end
                    && args[0].saturating_add(args[1]) > all.start
                {
                    self.ram.allow(RAM_BASE..MIN_MEMORY);
                }
            }
        }
        Asked {
            number,
            args,
            queued,
        }
    }

    /// The host may write a call's buffer.
    fn allow(&mut self, number: u32, args: &[u64; 6]) {
        match number {
            call::CONSOLE_READ => self.ram.allow_buffer(args[0], args[1].min(INPUT as u64)),
            call::RANDOM => self.ram.allow_buffer(args[0], args[1]),
            _ => {}
        }
    }

    /// After a call: `None` where the thread could not serve it.
    fn answered(&mut self, vcpu: u32, asked: Asked, answer: Option<(Status, u64)>) {
        let Asked {
            number,
            args,
            queued,
        } = asked;
        if let Some((status, result)) = answer {
            check(self.classes, number, &args, status, result);
        }
        if number != call::BATCH_SUBMIT {
            assert!(answer.is_some() || number == call::CONSOLE_WRITE);
            return;
        }
        self.submitted(vcpu, queued, answer);
    }

    /// Everything that was served has been counted, and nothing was written that may not be.
    fn finish(&self) {
        let mut stats = Stats::default();
        for slot in &self.stage.shared.slots {
            slot.tally.add_to(&mut stats);
        }
        let carried: u64 = stats
            .calls
            .iter()
            .map(|count| count.polled + count.batched)
            .sum();
        assert_eq!(carried + stats.unknown_calls, self.served + self.batched);
        self.ram.check(self.memory());
    }
}
