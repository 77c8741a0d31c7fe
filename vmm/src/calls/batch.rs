//! Class `batch`: many calls, one submission.

use super::{Answer, Caller, carried};
use crate::memory::{claim, copy};
use crate::shared::{Shared, lock};
use hypercall_abi::batch::{MAX_ENTRIES, flags};
use hypercall_abi::{Gpa, Status, call};
use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};

/// How many entries ahead of its work the host claims their cache lines: they come from another core, one by one otherwise.
const AHEAD: u32 = 12;

/// A registered ring. The host's own: the guest's registration was read once.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: Gpa,
    count: u32,
    stop_on_error: bool,
    by_doorbell: bool,
    /// Entries served so far, wrapping.
    served: u32,
    /// As many of them as submissions have been answered for. One that two threads served is answered for both.
    answered: u32,
}

pub(super) fn setup(shared: &Arc<Shared>, index: u32) -> Result<u64, Status> {
    let slot = shared.slot(index).ok_or(Status::NOT_FOUND)?;
    let memory = &shared.memory;
    let words = memory.ring(index)?;
    let entries = Gpa(words.entries_gpa.load(Ordering::Relaxed));
    let told = words.flags.load(Ordering::Relaxed);
    let ring = match words.entries.load(Ordering::Relaxed) {
        0 => None,
        count if !count.is_power_of_two() || count > MAX_ENTRIES => {
            return Err(Status::BAD_ARGUMENT);
        }
        _ if told & !flags::ALL != 0 => return Err(Status::BAD_ARGUMENT),
        count => {
            memory.entries(entries, count)?;
            Some(Ring {
                entries,
                count,
                stop_on_error: told & flags::STOP_ON_ERROR != 0,
                by_doorbell: told & flags::DOORBELL != 0,
                served: 0,
                answered: 0,
            })
        }
    };
    words.queued.store(0, Ordering::Relaxed);
    words.served.store(0, Ordering::Relaxed);
    let by_doorbell = ring.is_some() && told & flags::DOORBELL != 0;
    let before = std::mem::replace(&mut *lock(&slot.ring), ring);
    if by_doorbell || before.is_some_and(|ring| ring.by_doorbell) {
        let io = shared.io().ok_or(Status::IO)?;
        match io.batch(index, by_doorbell) {
            (Status::OK, _) => {}
            (status, _) => return Err(status),
        }
    }
    Ok(0)
}

/// Serves what is queued now. An entry that only a thread that may block can serve ends it, as if no more were queued: that thread
/// goes on where this one stopped.
pub(crate) fn submit(caller: &mut Caller) -> Answer {
    let slot = caller.slot;
    // Held by the other thread only if the guest submits while a submission of its own is under way.
    let mut ring = match slot.ring.try_lock() {
        Ok(ring) => ring,
        Err(TryLockError::Poisoned(ring)) => ring.into_inner(),
        Err(TryLockError::WouldBlock) => return Status::BUSY.into(),
    };
    let Some(ring) = ring.as_mut() else {
        return Status::NOT_FOUND.into();
    };
    let memory = &caller.shared.memory;
    let (Ok(words), Ok(entries)) = (
        memory.ring(caller.index),
        memory.entries(ring.entries, ring.count),
    ) else {
        return Status::BAD_ADDRESS.into();
    };
    let queued = words.queued.load(Ordering::Acquire); // the entries are seen as they were before it
    let mut served = ring.served;
    let waiting = queued.wrapping_sub(served);
    if waiting > ring.count {
        return Status::BAD_ARGUMENT.into();
    }
    let entry_at = |index: u32| entries.get((index & ring.count.wrapping_sub(1)) as usize);
    (0..waiting.min(AHEAD))
        .filter_map(|ahead| entry_at(served.wrapping_add(ahead)))
        .for_each(claim);
    let mut done = 0;
    let mut answer = None;
    let mut taken = slot.timing.begin();
    while done < waiting {
        let Some(entry) = entry_at(served) else {
            break;
        };
        if waiting.wrapping_sub(done) > AHEAD
            && let Some(later) = entry_at(served.wrapping_add(AHEAD))
        {
            claim(later);
        }
        let number = entry.number.load(Ordering::Relaxed);
        let row = call::row(number);
        let args = copy(&entry.args);
        let called = slot.timing.begin();
        let (status, result) = match number {
            call::BATCH_SUBMIT => (Status::TRAP_ONLY, 0),
            _ => match carried(caller, number, row, &args) {
                Answer::Is(status, result) => (status, result),
                Answer::Elsewhere => {
                    answer = Some(Answer::Elsewhere);
                    break;
                }
            },
        };
        taken = slot.timing.entry(taken, called, row);
        slot.tally.count_batched(row, status);
        entry.result.store(result, Ordering::Relaxed);
        entry.status.store(status.0, Ordering::Relaxed);
        served = served.wrapping_add(1);
        done = done.wrapping_add(1);
        if ring.stop_on_error && status != Status::OK {
            break;
        }
    }
    ring.served = served;
    words.served.store(served, Ordering::Release); // the guest sees the answers before the count
    answer.unwrap_or_else(|| {
        let since = served.wrapping_sub(ring.answered);
        ring.answered = served;
        Answer::Is(Status::OK, since.into())
    })
}

#[cfg(test)]
mod tests;
