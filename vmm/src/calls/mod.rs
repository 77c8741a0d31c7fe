//! What calls do. One function a call, one file a class, two flat matches: [`dispatch`] for what acts on the vCPU itself,
//! [`any`] for what every transport carries.
//!
//! Whatever carried a call here, its permission is checked by [`permitted`]. Arguments are numbers that the
//! guest chose: each call checks its own, on copies.

mod batch;
mod console;
mod core;
mod device;
mod event;
mod fault;
#[cfg(test)]
pub(crate) mod fuzz;
mod line;
mod memory;
mod random;
mod vcpu;

pub(crate) use batch::{Ring, submit};

use crate::Error;
use crate::shared::{Shared, Slot};
use crate::vcpu::{Next, Vcpu};
use hypercall_abi::Status;
use hypercall_abi::call::{self, Carrier};

/// Who makes a call that any transport may carry, and what serving it needs.
pub(crate) struct Caller<'a> {
    pub shared: &'a Shared,
    pub slot: &'a Slot,
    pub index: u32,
    /// Where buffers are copied to and from. As long as the longest transfer.
    pub scratch: &'a mut [u8],
    /// Whether the serving thread may sleep for this caller: the vCPU's own may, the poller may not.
    pub may_block: bool,
}

/// What a call that any transport may carry comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// A status and a result.
    Is(Status, u64),
    /// Nothing was done. A thread that may not block leaves the call to one that may; for that one, the VM has ended.
    Elsewhere,
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        Answer::Is(status, 0)
    }
}

impl From<Result<u64, Status>> for Answer {
    fn from(result: Result<u64, Status>) -> Answer {
        match result {
            Ok(result) => Answer::Is(Status::OK, result),
            Err(status) => status.into(),
        }
    }
}

/// What a call through the gate comes to.
pub(crate) enum Reply {
    /// A status and a result.
    Answer(Status, u64),
    /// Nothing is answered: the call does not return, or has set the registers itself.
    Leave(Next),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        match answer {
            Answer::Is(status, result) => Reply::Answer(status, result),
            Answer::Elsewhere => Reply::Leave(Next::Go),
        }
    }
}

impl From<Status> for Reply {
    fn from(status: Status) -> Reply {
        Reply::Answer(status, 0)
    }
}

impl From<Result<u64, Status>> for Reply {
    fn from(result: Result<u64, Status>) -> Reply {
        Answer::from(result).into()
    }
}

/// The operator's word on a call of a row of the table, if it has one: `Ok` with how it may travel.
#[inline]
fn permitted(shared: &Shared, row: Option<usize>) -> Result<Carrier, Status> {
    let entry = row
        .and_then(|row| call::TABLE.get(row))
        .ok_or(Status::UNKNOWN_CALL)?;
    match shared.limits.calls.permits(entry.number) {
        true => Ok(entry.carrier),
        false => Err(Status::DENIED),
    }
}

/// Serves a call that came through the gate, of a row of the table if it has one.
///
/// # Errors
/// The host's own failures only.
pub(crate) fn dispatch(
    vcpu: &mut Vcpu,
    number: u32,
    row: Option<usize>,
    args: &[u64; 6],
) -> Result<Reply, Error> {
    if let Err(status) = permitted(&vcpu.shared, row) {
        return Ok(Reply::Answer(status, 0));
    }
    let [a0, a1, a2, a3, ..] = *args;
    Ok(match number {
        call::EXIT => core::exit(a0),
        call::PANIC => core::panic(vcpu, a0)?,
        call::LINE => line::serve(&mut vcpu.caller()),
        call::WAIT => event::wait(vcpu, a0, a1),
        call::VCPU_START => vcpu::start(vcpu, a0, a1, a2, a3)?,
        call::VCPU_STOP => vcpu::stop(vcpu, a0),
        call::MMU_FLUSH => memory::flush(vcpu)?,
        call::FAULT_HANDLER => fault::handler(vcpu, a0, a1).into(),
        call::FAULT_RETURN => fault::leave(vcpu, a0),
        call::BATCH_SETUP => batch::setup(&vcpu.shared, vcpu.index).into(),
        call::DEVICE_RESET | call::DEVICE_FEATURES | call::QUEUE_SETUP | call::DEVICE_START => {
            device::request(vcpu, number, a0, a1)
        }
        _ => any(&mut vcpu.caller(), number, args).into(),
    })
}

/// Serves a call that came in a call line or a batch, of a row of the table if it has one.
#[inline]
pub(crate) fn carried(
    caller: &mut Caller,
    number: u32,
    row: Option<usize>,
    args: &[u64; 6],
) -> Answer {
    match permitted(caller.shared, row) {
        Ok(Carrier::Any) => any(caller, number, args),
        Ok(Carrier::Trap) => Status::TRAP_ONLY.into(),
        Err(status) => status.into(),
    }
}

/// What every transport carries.
#[inline]
fn any(caller: &mut Caller, number: u32, args: &[u64; 6]) -> Answer {
    let [a0, a1, a2, ..] = *args;
    match number {
        call::NULL => Answer::Is(Status::OK, 0),
        call::FEATURES => core::features(caller, a0),
        call::CONSOLE_WRITE => console::write(caller, a0, a1, a2),
        call::CONSOLE_READ => console::read(caller, a0, a1),
        call::NOTIFY => event::notify(caller, a0, a1).into(),
        call::RANDOM => random::fill(caller, a0, a1).into(),
        call::BATCH_SUBMIT => batch::submit(caller),
        call::DOORBELL => device::ring(caller, a0).into(),
        _ => Status::UNKNOWN_CALL.into(),
    }
}
