//! Class `vcpu`: starting and stopping vCPUs.

use super::Reply;
use crate::Error;
use crate::shared::{Start, lock};
use crate::vcpu::{Next, Vcpu, is_canonical};
use hypercall_abi::{Gpa, Status};
use std::sync::atomic::Ordering;

/// The first start of a vCPU makes it, with a thread of its own; later ones wake that thread.
pub(super) fn start(
    vcpu: &mut Vcpu,
    index: u64,
    entry: u64,
    stack: u64,
    argument: u64,
) -> Result<Reply, Error> {
    let shared = &vcpu.shared;
    let Some((index, slot)) = u32::try_from(index)
        .ok()
        .and_then(|index| Some((index, shared.slot(index)?)))
    else {
        return Ok(Status::NOT_FOUND.into());
    };
    let return_address = stack.wrapping_sub(8);
    if !is_canonical(entry) || shared.memory.buffer(return_address, 8).is_err() {
        return Ok(Status::BAD_ADDRESS.into());
    }
    if slot.started.swap(true, Ordering::SeqCst) {
        return Ok(Status::BUSY.into());
    }
    shared.running.fetch_add(1, Ordering::AcqRel);
    // Checked above; a start at a place with no memory would only fault there.
    let _ = shared.memory.store(Gpa(return_address), &0_u64);
    *lock(&slot.start) = Some(Start {
        entry,
        stack,
        argument,
    });
    if !slot.threaded.swap(true, Ordering::AcqRel) {
        Vcpu::spawn(&vcpu.machine, slot, index)?;
    }
    slot.bell.ring();
    Ok(Reply::Answer(Status::OK, 0))
}

pub(super) fn stop(vcpu: &mut Vcpu, done: u64) -> Reply {
    if done != 0 && (!done.is_multiple_of(4) || vcpu.shared.memory.buffer(done, 4).is_err()) {
        return Status::BAD_ADDRESS.into();
    }
    Reply::Leave(Next::Stop(done))
}
