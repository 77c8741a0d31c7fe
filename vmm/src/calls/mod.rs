//! What calls do. One function a call, one file a class, one flat match.
//!
//! Whatever carried a call here, its permission is checked in [`dispatch`] and nowhere else. Arguments are numbers that the
//! guest chose: each call checks its own, on copies.

mod console;
mod core;
mod event;
mod fault;
mod memory;
mod random;
mod vcpu;

use crate::Error;
use crate::vcpu::{Next, Vcpu};
use hypercall_abi::{Status, call};

/// What a call comes to.
pub(crate) enum Reply {
    /// Status OK and a result.
    Done(u64),
    /// Another status, and its result.
    Refused(Status, u64),
    /// Nothing is answered: the call does not return, or has set the registers itself.
    Leave(Next),
}

impl From<Status> for Reply {
    fn from(status: Status) -> Reply {
        Reply::Refused(status, 0)
    }
}

impl From<Result<u64, Status>> for Reply {
    fn from(result: Result<u64, Status>) -> Reply {
        match result {
            Ok(result) => Reply::Done(result),
            Err(status) => status.into(),
        }
    }
}

/// Serves one call.
///
/// # Errors
/// The host's own failures only.
pub(crate) fn dispatch(vcpu: &mut Vcpu, number: u32, args: &[u64; 6]) -> Result<Reply, Error> {
    let [a0, a1, a2, a3, ..] = *args;
    if call::entry(number).is_none() {
        return Ok(Status::UNKNOWN_CALL.into());
    }
    if !vcpu.shared.limits.calls.permits(number) {
        return Ok(Status::DENIED.into());
    }
    Ok(match number {
        call::NULL => Reply::Done(0),
        call::EXIT => core::exit(a0),
        call::PANIC => core::panic(vcpu, a0)?,
        call::FEATURES => core::features(a0),
        call::CONSOLE_WRITE => console::write(vcpu, a0, a1, a2),
        call::CONSOLE_READ => console::read(vcpu, a0, a1),
        call::WAIT => event::wait(vcpu, a0, a1),
        call::NOTIFY => event::notify(vcpu, a0, a1).into(),
        call::VCPU_START => vcpu::start(vcpu, a0, a1, a2, a3)?,
        call::VCPU_STOP => vcpu::stop(vcpu, a0),
        call::MMU_FLUSH => memory::flush(vcpu)?,
        call::RANDOM => random::fill(vcpu, a0, a1).into(),
        call::FAULT_HANDLER => fault::handler(vcpu, a0, a1).into(),
        call::FAULT_RETURN => fault::leave(vcpu, a0),
        call::BATCH_SETUP | call::BATCH_SUBMIT => Status::UNSUPPORTED.into(),
        _ => Status::UNKNOWN_CALL.into(),
    })
}
