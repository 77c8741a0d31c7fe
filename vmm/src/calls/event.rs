//! Class `event`: waiting and notifying.

use super::{Caller, Reply};
use crate::bell::{Way, Woken};
use crate::shared::pending;
use crate::vcpu::{Next, Vcpu};
use hypercall_abi::Status;
use hypercall_abi::vcpu::event::{CONSOLE_INPUT, GUEST_EVENTS};
use std::time::Duration;

/// Blocks the vCPU's thread, which then costs nothing. The guest's own clock decides what is late.
pub(super) fn wait(vcpu: &mut Vcpu, mask: u64, deadline: u64) -> Reply {
    let shared = &vcpu.shared;
    let Some(slot) = shared.slot(vcpu.index) else {
        return Status::NOT_FOUND.into();
    };
    let own = pending(vcpu.index);
    let input = shared.console.input().filter(|_| mask & CONSOLE_INPUT != 0);
    loop {
        slot.bell.listen();
        if shared.ended() {
            return Reply::Leave(Next::Go);
        }
        // After `listen`: an event from now on rings the bell.
        match shared.memory.load_word(own) {
            Ok(events) if events & mask != 0 => return Reply::Answer(Status::OK, events & mask),
            Ok(_) => {}
            Err(_) => return Status::BAD_ADDRESS.into(),
        }
        let left = match deadline {
            u64::MAX => None,
            _ => match deadline.checked_sub(shared.clock.now()) {
                None | Some(0) => return Status::TIMED_OUT.into(),
                Some(left) => Some(Duration::from_nanos(left)),
            },
        };
        let woken = match input {
            Some(input) => slot.bell.sleep(left, Some((input, Way::In))),
            None if mask & CONSOLE_INPUT != 0 => Woken::Ready, // it has ended: that is input too
            None => slot.bell.sleep(left, None),
        };
        if woken == Woken::Ready {
            // In RAM, so it cannot fail; the next look finds it.
            let _ = shared.memory.or_word(own, CONSOLE_INPUT);
        }
    }
}

pub(super) fn notify(caller: &Caller, index: u64, events: u64) -> Result<u64, Status> {
    if events & !GUEST_EVENTS != 0 {
        return Err(Status::BAD_ARGUMENT);
    }
    let index = u32::try_from(index).map_err(|_| Status::NOT_FOUND)?;
    caller.shared.slot(index).ok_or(Status::NOT_FOUND)?;
    caller.shared.raise(index, events);
    Ok(0)
}
