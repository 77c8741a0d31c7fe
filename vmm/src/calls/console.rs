//! Class `console`.

use super::Reply;
use crate::bell::{Way, Woken};
use crate::vcpu::{Next, Vcpu};
use hypercall_abi::call::{STREAM_ERROR, STREAM_OUTPUT};
use hypercall_abi::status::Again;
use hypercall_abi::{Status, call};

/// Copies in at most one transfer's worth and hands it on. Blocks while the host's side is full, but not when the VM ends.
pub(super) fn write(vcpu: &mut Vcpu, stream: u64, gpa: u64, len: u64) -> Reply {
    if !matches!(stream, STREAM_OUTPUT | STREAM_ERROR) {
        return Status::BAD_ARGUMENT.into();
    }
    let Vcpu {
        shared,
        scratch,
        index,
        ..
    } = vcpu;
    let gpa = match shared.memory.buffer(gpa, len) {
        Ok((gpa, _)) => gpa,
        Err(status) => return status.into(),
    };
    let len = len.min(call::MAX_TRANSFER) as usize;
    let (Some(slot), Some(bytes)) = (shared.slot(*index), scratch.get_mut(..len)) else {
        return Status::BAD_ARGUMENT.into();
    };
    if shared.memory.read(gpa, bytes).is_err() {
        return Status::BAD_ADDRESS.into();
    }
    let sink = shared.console.sink(stream == STREAM_ERROR);
    let mut rest = &*bytes;
    while !rest.is_empty() {
        // In this order: an end of the VM after the look at it rings the bell.
        slot.bell.listen();
        if shared.ended() {
            return Reply::Leave(Next::Go);
        }
        if let Some(fd) = sink.awaited()
            && slot.bell.sleep(None, Some((fd, Way::Out))) == Woken::Rung
        {
            continue;
        }
        match sink.write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
            Err(_) => return Reply::Refused(Status::IO, len.saturating_sub(rest.len()) as u64),
        }
    }
    Reply::Done(len as u64)
}

pub(super) fn read(vcpu: &mut Vcpu, gpa: u64, len: u64) -> Reply {
    let Vcpu {
        shared,
        scratch,
        index,
        ..
    } = vcpu;
    let gpa = match shared.memory.buffer(gpa, len) {
        Ok((gpa, _)) => gpa,
        Err(status) => return status.into(),
    };
    let len = len.min(call::MAX_TRANSFER) as usize;
    let (Some(slot), Some(bytes)) = (shared.slot(*index), scratch.get_mut(..len)) else {
        return Status::BAD_ARGUMENT.into();
    };
    if len == 0 {
        return Reply::Done(0);
    }
    match shared.console.read(bytes, &slot.bell) {
        Ok(Some(read)) => {
            let bytes = bytes.get(..read).unwrap_or(&[]);
            match shared.memory.write(gpa, bytes) {
                Ok(()) => Reply::Done(read as u64),
                Err(_) => Status::BAD_ADDRESS.into(),
            }
        }
        Ok(None) => Reply::Refused(
            Status::AGAIN,
            Again {
                token: 0,
                hint_ns: 0,
            }
            .to_result(),
        ),
        Err(_) => Status::IO.into(),
    }
}
