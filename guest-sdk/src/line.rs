//! The call line: a call without an exit, while the host polls.
//!
//! Owns the guest's side of the handshake in [`abi::line`](hypercall_abi::line), and the choice between line and gate. It is made at every call,
//! by one word that the host writes: nothing here has to know how the host decides.

use crate::gate::{self, Answer};
use crate::platform::{Vcpu, Word, patience, poller_awake, timed};
use crate::stopwatch::Stopwatch;
use core::hint::spin_loop;
use core::sync::atomic::Ordering;
use hypercall_abi::words::LineWords;
use hypercall_abi::{Status, call, line};

/// Looks at the line before the first look at the time: a microsecond or so, in which a poller that is there answers.
const SOON: u32 = 32;
/// Looks at the line between two later looks at the time.
const LOOKS: u32 = 8;

/// Makes a call: posted in this vCPU's line while the host polls, through the gate otherwise.
///
/// # Safety
/// As [`gate::call`], of a call whose table entry says *any*.
#[inline]
pub unsafe fn call(number: u32, args: [u64; 6]) -> Answer {
    if timed() {
        // SAFETY: the caller's promise.
        return unsafe { timed_call(number, args) };
    }
    // SAFETY: the caller's promise.
    unsafe { carry::<false>(number, args) }
}

/// # Safety
/// As [`call`].
#[cold]
unsafe fn timed_call(number: u32, args: [u64; 6]) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { carry::<true>(number, args) }
}

/// # Safety
/// As [`call`].
#[inline]
unsafe fn carry<const TIMED: bool>(number: u32, args: [u64; 6]) -> Answer {
    let mut watch = Stopwatch::<TIMED>::begin();
    if poller_awake() {
        // SAFETY: the caller's promise.
        if let Some(answer) = unsafe { posted(Vcpu::current(), number, args, &mut watch) } {
            watch.note();
            return answer;
        }
    }
    watch.handed();
    // SAFETY: the caller's promise.
    let answer = unsafe { gate::call(number, 0, args) };
    watch.answered();
    watch.note();
    answer
}

/// Posts a call and waits for its answer; `None` where the line is in use, by what a fault handler has interrupted.
///
/// # Safety
/// As [`call`].
#[inline]
unsafe fn posted<const TIMED: bool>(
    vcpu: Vcpu,
    number: u32,
    args: [u64; 6],
    watch: &mut Stopwatch<TIMED>,
) -> Option<Answer> {
    let in_use = vcpu.word(Word::LineInUse);
    if in_use.load(Ordering::Relaxed) != 0 {
        return None;
    }
    in_use.store(1, Ordering::Relaxed); // only this vCPU looks, so that program order is enough
    let words = vcpu.line();
    for (word, arg) in words.args.iter().zip(args) {
        word.store(arg, Ordering::Relaxed);
    }
    words.number.store(number, Ordering::Relaxed);
    watch.handed();
    // What the arguments point at is written before the post as well: it is a release.
    let post = line::post(&words.post);
    wait(words, post);
    watch.answered();
    let answer = Answer {
        status: Status(words.status.load(Ordering::Relaxed)),
        result: words.args[0].load(Ordering::Relaxed),
    };
    in_use.store(0, Ordering::Relaxed);
    Some(answer)
}

/// Returns when the post is answered.
#[inline]
fn wait(words: &LineWords, post: u32) {
    // Nobody answers sooner, and a first look now would only keep the line from who is to take it.
    spin_loop();
    for _ in 0..SOON {
        if line::is_answered(&words.answered, post) {
            return;
        }
        spin_loop(); // not looking leaves the line to who is to write it
    }
    wait_on(words, post);
}

/// Looks until patience ends, and then has the line served through the gate.
#[cold]
fn wait_on(words: &LineWords, post: u32) {
    let began = now();
    let patience = u64::from(patience());
    while now().wrapping_sub(began) < patience {
        for _ in 0..LOOKS {
            if line::is_answered(&words.answered, post) {
                return;
            }
            spin_loop();
        }
    }
    while !line::is_answered(&words.answered, post) {
        // SAFETY: no arguments; what it has served was promised to be fit for that when it was posted.
        let _ = unsafe { gate::call(call::LINE, 0, [0; 6]) };
    }
}

fn now() -> u64 {
    // SAFETY: every x86-64 processor has it, and guests may execute it.
    unsafe { core::arch::x86_64::_rdtsc() }
}
