//! Class `batch`: many calls, one submission.

use super::{Answer, Caller, carried};
use crate::memory::copy;
use crate::shared::lock;
use crate::vcpu::Vcpu;
use hypercall_abi::batch::{MAX_ENTRIES, flags};
use hypercall_abi::map::vcpu_page;
use hypercall_abi::vcpu::{BatchRing, VcpuPage};
use hypercall_abi::{Gpa, Status, call};
use std::mem::offset_of;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;

/// A registered ring. The host's own: the guest's registration was read once.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: Gpa,
    count: u32,
    stop_on_error: bool,
    /// Entries served so far, wrapping.
    served: u32,
}

/// The registration and the indices in a vCPU's page.
fn registration(index: u32) -> Gpa {
    Gpa(vcpu_page(index).wrapping_add(offset_of!(VcpuPage, ring) as u64))
}

pub(super) fn setup(vcpu: &mut Vcpu) -> Result<u64, Status> {
    let shared = &vcpu.shared;
    let slot = shared.slot(vcpu.index).ok_or(Status::NOT_FOUND)?;
    let at = registration(vcpu.index);
    let told: BatchRing = shared.memory.load(at)?;
    let ring = match told.entries {
        0 => None,
        count if !count.is_power_of_two() || count > MAX_ENTRIES => {
            return Err(Status::BAD_ARGUMENT);
        }
        _ if told.flags & !flags::ALL != 0 => return Err(Status::BAD_ARGUMENT),
        count => {
            shared.memory.entries(told.entries_gpa, count)?;
            Some(Ring {
                entries: told.entries_gpa,
                count,
                stop_on_error: told.flags & flags::STOP_ON_ERROR != 0,
                served: 0,
            })
        }
    };
    let queued = at.0.wrapping_add(offset_of!(BatchRing, queued) as u64);
    shared.memory.store_word32(Gpa(queued), 0)?;
    publish(vcpu.index, &shared.memory, 0)?;
    *lock(&slot.ring) = ring;
    Ok(0)
}

fn publish(index: u32, memory: &crate::memory::Memory, served: u32) -> Result<(), Status> {
    let at = registration(index)
        .0
        .wrapping_add(offset_of!(BatchRing, served) as u64);
    Ok(memory.store_word32(Gpa(at), served)?) // release: the guest sees the answers before the count
}

/// Serves what is queued now. An entry that only a thread that may block can serve ends it, as if no more were queued: that thread
/// goes on where this one stopped.
pub(super) fn submit(caller: &mut Caller) -> Answer {
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
    let shared = caller.shared;
    let at = registration(caller.index)
        .0
        .wrapping_add(offset_of!(BatchRing, queued) as u64);
    let (Ok(queued), Ok(entries)) = (
        shared.memory.load_word32(Gpa(at)),
        shared.memory.entries(ring.entries, ring.count),
    ) else {
        return Status::BAD_ADDRESS.into();
    };
    let waiting = queued.wrapping_sub(ring.served);
    if waiting > ring.count {
        return Status::BAD_ARGUMENT.into();
    }
    let mut done = 0;
    let mut answer = None;
    while done < waiting {
        let place = ring.served & ring.count.wrapping_sub(1);
        let Some(entry) = entries.get(place as usize) else {
            break;
        };
        let number = entry.number.load(Ordering::Relaxed);
        let args = copy(&entry.args);
        let (status, result) = match number {
            call::BATCH_SUBMIT => (Status::TRAP_ONLY, 0),
            _ => match carried(caller, number, &args) {
                Answer::Is(status, result) => (status, result),
                Answer::Elsewhere => {
                    answer = Some(Answer::Elsewhere);
                    break;
                }
            },
        };
        slot.tally.count_batched(number, status);
        entry.result.store(result, Ordering::Relaxed);
        entry.status.store(status.0, Ordering::Relaxed);
        ring.served = ring.served.wrapping_add(1);
        done = done.wrapping_add(1);
        if ring.stop_on_error && status != Status::OK {
            break;
        }
    }
    if let Err(status) = publish(caller.index, &shared.memory, ring.served) {
        return status.into();
    }
    answer.unwrap_or(Answer::Is(Status::OK, done.into()))
}
