//! Two threads of this process that answer each other: through one cache line, as a polled call does; through a ring of them, as a batch
//! does; and through pipes.
//!
//! The first two do what guest and poller do to the memory between them, access by access and pause by pause (`guest_sdk::line` and
//! `guest_sdk::batch`; `crate::line`, `crate::calls::batch` and `crate::poller`), and nothing else: no hint to read, nobody to charge, no call to carry out.

use super::super::block::Run;
use super::super::host::{Cores, pin, this_thread};
use crate::Error;
use crate::memory::{claim, copy};
use hypercall_abi::line::{is_answered, post};
use hypercall_abi::words::{EntryWords, LineWords, RingWords};
use std::hint::{black_box, spin_loop};
use std::io::{Read, Write, pipe};
use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::thread;

/// Entries of the ring, all of which are submitted at once.
pub const BATCH: u32 = 64;

/// How many entries ahead each side claims, as it does where it is guest or host.
const GUEST_AHEAD: u32 = 8;
const HOST_AHEAD: u32 = 12;

/// What is posted: a call, everything in the ring, the end.
const CALL: u32 = 0;
const SUBMIT: u32 = 1;
const STOP: u32 = 2;

/// What two threads share.
struct Pair {
    line: LineWords,
    ring: RingWords,
    entries: Box<[EntryWords]>,
}

/// One thread posts a call, the other answers, each looking at the line until the other has written it.
pub fn ping_pong(run: &mut Run, cores: Cores) -> Result<(), Error> {
    with_partner(cores, |pair| run.over(|| pair.ask(CALL)));
    Ok(())
}

/// One thread fills the ring and posts that once, the other answers every entry.
pub fn ring(run: &mut Run, cores: Cores) -> Result<(), Error> {
    with_partner(cores, |pair| {
        let mut pushed = 0_u32;
        run.over(|| {
            for _ in 0..BATCH {
                pair.push(pushed);
                pushed = pushed.wrapping_add(1);
            }
            pair.ring.queued.store(pushed, Ordering::Release); // after the entries; pairs with `serve`
            pair.ask(SUBMIT);
            let served = pair.ring.served.load(Ordering::Acquire);
            (0..GUEST_AHEAD).for_each(|ahead| pair.claim(pushed.wrapping_add(ahead)));
            assert_eq!(served, pushed, "every entry is answered");
        });
    });
    Ok(())
}

/// Does something with a partner that answers on the second processor.
fn with_partner(cores: Cores, ask: impl FnOnce(&Pair)) {
    let pair = Pair {
        line: LineWords::default(),
        ring: RingWords::default(),
        entries: (0..BATCH).map(|_| EntryWords::default()).collect(),
    };
    let there = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(this_thread(), &[cores.second]);
            there.wait();
            pair.answer();
        });
        there.wait(); // asleep: it begins on this processor
        ask(&pair);
        pair.ask(STOP);
    });
}

impl Pair {
    /// Posts and waits for the answer.
    #[inline]
    fn ask(&self, number: u32) {
        let line = &self.line;
        for (word, arg) in line.args.iter().zip(black_box([0; 6])) {
            word.store(arg, Ordering::Relaxed);
        }
        line.number.store(number, Ordering::Relaxed);
        let this = post(&line.post);
        while !is_answered(&line.answered, this) {
            spin_loop();
        }
        let status = line.status.load(Ordering::Relaxed);
        black_box((status, line.args[0].load(Ordering::Relaxed)));
    }

    /// Answers until it is posted to stop.
    fn answer(&self) {
        let line = &self.line;
        let (mut answered, mut served) = (0, 0);
        loop {
            let post = line.post.load(Ordering::Acquire);
            if post == answered {
                spin_loop();
                continue;
            }
            let number = line.number.load(Ordering::Relaxed);
            black_box(copy(&line.args));
            if number == SUBMIT {
                served = self.serve(served);
            }
            line.args[0].store(0, Ordering::Relaxed);
            line.status.store(0, Ordering::Relaxed);
            answered = post;
            line.answered.store(post, Ordering::Release); // after the result; pairs with `ask`
            if number == STOP {
                return;
            }
            // As the poller does: the line is left to who asks.
            spin_loop();
            spin_loop();
        }
    }

    /// Queues an entry.
    #[inline]
    fn push(&self, place: u32) {
        self.claim(place.wrapping_add(GUEST_AHEAD));
        let Some(entry) = self.entry(place) else {
            return;
        };
        entry.number.store(CALL, Ordering::Relaxed);
        for (word, arg) in entry.args.iter().zip(black_box([0; 6])) {
            word.store(arg, Ordering::Relaxed);
        }
    }

    /// Answers what is queued behind the first `served` entries, and says how many are answered then.
    fn serve(&self, mut served: u32) -> u32 {
        let queued = self.ring.queued.load(Ordering::Acquire);
        (0..HOST_AHEAD).for_each(|ahead| self.claim(served.wrapping_add(ahead)));
        while let Some(entry) = self.entry(served)
            && served != queued
        {
            if queued.wrapping_sub(served) > HOST_AHEAD {
                self.claim(served.wrapping_add(HOST_AHEAD));
            }
            black_box((entry.number.load(Ordering::Relaxed), copy(&entry.args)));
            entry.result.store(0, Ordering::Relaxed);
            entry.status.store(0, Ordering::Relaxed);
            served = served.wrapping_add(1);
        }
        self.ring.served.store(served, Ordering::Release); // after the answers; pairs with `ring`
        served
    }

    #[inline]
    fn entry(&self, place: u32) -> Option<&EntryWords> {
        self.entries.get((place % BATCH) as usize)
    }

    #[inline]
    fn claim(&self, place: u32) {
        self.entry(place).into_iter().for_each(claim);
    }
}

/// A byte through one pipe and back through another, with a thread at the far end that sleeps in between.
pub fn pipes(run: &mut Run, cores: Cores) -> Result<(), Error> {
    let os = |source| Error::Os {
        what: "a pipe between two threads".to_owned(),
        source,
    };
    let (mut its_input, mut to_it) = pipe().map_err(os)?;
    let (mut from_it, mut its_output) = pipe().map_err(os)?;
    thread::scope(|scope| {
        scope.spawn(move || {
            pin(this_thread(), &[cores.second]);
            let mut byte = [0];
            while matches!(its_input.read(&mut byte), Ok(1)) && its_output.write_all(&byte).is_ok()
            {
            }
        });
        let done = run.try_over(|| {
            to_it.write_all(&[0])?;
            from_it.read_exact(&mut [0])
        });
        drop(to_it); // the far end sees the end of its input, and ends
        done.map_err(os)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_claimed_as_calls_claim_them() {
        for (ahead, source) in [
            (
                GUEST_AHEAD,
                include_str!("../../../../guest-sdk/src/batch.rs"),
            ),
            (HOST_AHEAD, include_str!("../../calls/batch.rs")),
        ] {
            assert!(source.contains(&format!("const AHEAD: u32 = {ahead};")));
        }
    }
}
