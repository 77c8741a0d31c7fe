//! The host's side of a call line: what the handshake of [`hypercall_abi::line`] needs to know of guest memory.

use crate::calls::{Answer, Caller, carried};
use crate::memory::{LineWords, copy};
use crate::stats::Carried;
use crate::timing::Timing;
use hypercall_abi::line::{Look, Shared};
use hypercall_abi::{Status, call};
use std::sync::atomic::Ordering;

/// Looks at a vCPU's line, and serves what is new there.
#[inline]
pub(crate) fn look(caller: &mut Caller) -> Look {
    let shared = caller.shared;
    match shared.memory.line(caller.index) {
        Ok(words) => caller.slot.claim.serve(&mut Line {
            words,
            caller,
            served: None,
        }),
        Err(_) => Look::Nothing,
    }
}

struct Line<'l, 'c> {
    words: &'l LineWords,
    caller: &'l mut Caller<'c>,
    /// The call that was served, until it has been recorded.
    served: Option<Served>,
}

struct Served {
    number: u32,
    args: [u64; 6],
    status: Status,
    result: u64,
}

impl Shared for Line<'_, '_> {
    #[inline]
    fn post(&self) -> u32 {
        self.words.post.load(Ordering::Acquire)
    }

    #[inline]
    fn act(&mut self) -> bool {
        let number = self.words.number.load(Ordering::Relaxed);
        let row = call::row(number);
        let args = copy(&self.words.args);
        let began = self.caller.slot.timing.begin();
        match carried(self.caller, number, row, &args) {
            Answer::Is(status, result) => {
                // Before the answer: a guest that has its answer may end, and then every call has been counted.
                Timing::served(self.caller, began, row, Carried::Polled);
                self.caller.slot.tally.count_polled(row, status);
                self.words.args[0].store(result, Ordering::Relaxed);
                self.words.status.store(status.0, Ordering::Relaxed);
                self.served = Some(Served {
                    number,
                    args,
                    status,
                    result,
                });
                true
            }
            Answer::Elsewhere => false,
        }
    }

    #[inline]
    fn answer(&mut self, post: u32) {
        self.words.answered.store(post, Ordering::Release);
        // While the answer is on its way.
        if let Some(Served {
            number,
            args,
            status,
            result,
        }) = self.served.take()
        {
            let recent = &self.caller.slot.recent;
            recent.answer(recent.push(number, &args), status, result);
        }
    }
}

#[cfg(test)]
mod tests;
