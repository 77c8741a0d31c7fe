//! Class `console`.

use super::{Answer, Caller};
use crate::console::Sent;
use hypercall_abi::call::{STREAM_ERROR, STREAM_OUTPUT};
use hypercall_abi::status::Again;
use hypercall_abi::{Status, call};

/// Copies in at most one transfer's worth and hands it on. Blocks while the host's side is full, but not when the VM ends.
pub(super) fn write(caller: &mut Caller, stream: u64, gpa: u64, len: u64) -> Answer {
    if !matches!(stream, STREAM_OUTPUT | STREAM_ERROR) {
        return Status::BAD_ARGUMENT.into();
    }
    let shared = caller.shared;
    let gpa = match shared.memory.buffer(gpa, len) {
        Ok((gpa, _)) => gpa,
        Err(status) => return status.into(),
    };
    let sink = shared.console.sink(stream == STREAM_ERROR);
    if !caller.may_block && sink.awaited().is_some() {
        return Answer::Elsewhere;
    }
    let len = len.min(call::MAX_TRANSFER) as usize;
    let Some(bytes) = caller.scratch.get_mut(..len) else {
        return Status::BAD_ARGUMENT.into();
    };
    if shared.memory.read(gpa, bytes).is_err() {
        return Status::BAD_ADDRESS.into();
    }
    match sink.send(bytes, &caller.slot.bell, || shared.ended()) {
        Sent::All => Answer::Is(Status::OK, len as u64),
        Sent::Stopped => Answer::Elsewhere,
        Sent::Refused(rest) => Answer::Is(Status::IO, len.saturating_sub(rest) as u64),
    }
}

pub(super) fn read(caller: &mut Caller, gpa: u64, len: u64) -> Answer {
    let shared = caller.shared;
    let gpa = match shared.memory.buffer(gpa, len) {
        Ok((gpa, _)) => gpa,
        Err(status) => return status.into(),
    };
    let len = len.min(call::MAX_TRANSFER) as usize;
    let Some(bytes) = caller.scratch.get_mut(..len) else {
        return Status::BAD_ARGUMENT.into();
    };
    if len == 0 {
        return Answer::Is(Status::OK, 0);
    }
    match shared.console.read(bytes) {
        Ok(Some(read)) => {
            let bytes = bytes.get(..read).unwrap_or(&[]);
            match shared.memory.write(gpa, bytes) {
                Ok(()) => Answer::Is(Status::OK, read as u64),
                Err(_) => Status::BAD_ADDRESS.into(),
            }
        }
        Ok(None) => {
            let again = Again {
                token: 0,
                hint_ns: 0,
            };
            Answer::Is(Status::AGAIN, again.to_result())
        }
        Err(_) => Status::IO.into(),
    }
}
