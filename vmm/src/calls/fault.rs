//! Class `fault`: registering and leaving a fault handler.

use super::Reply;
use crate::vcpu::{FRAME_ROOM, Handler, Next, Vcpu, is_canonical};
use hypercall_abi::Status;
use hypercall_abi::fault::FaultFrame;

pub(super) fn handler(vcpu: &mut Vcpu, entry: u64, stack: u64) -> Result<u64, Status> {
    if entry == 0 {
        vcpu.handler = None;
        return Ok(0);
    }
    vcpu.shared
        .memory
        .buffer(stack.wrapping_sub(FRAME_ROOM), FRAME_ROOM)?;
    if !is_canonical(entry) || !stack.is_multiple_of(16) {
        return Err(Status::BAD_ADDRESS);
    }
    vcpu.handler = Some(Handler { entry, stack });
    Ok(0)
}

pub(super) fn leave(vcpu: &mut Vcpu, frame: u64) -> Reply {
    if vcpu.handling.is_none() {
        return Status::BAD_ARGUMENT.into();
    }
    let memory = &vcpu.shared.memory;
    let frame: Result<FaultFrame, Status> = memory
        .buffer(frame, size_of::<FaultFrame>() as u64)
        .and_then(|(gpa, _)| Ok(memory.load(gpa)?));
    match frame {
        Ok(frame) if is_canonical(frame.rip) => {
            vcpu.leave_handler(&frame);
            Reply::Leave(Next::Go)
        }
        Ok(_) => Status::BAD_ARGUMENT.into(),
        Err(status) => status.into(),
    }
}
