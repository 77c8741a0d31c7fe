//! Class `random`.

use super::Caller;
use hypercall_abi::{Status, call};
use rustix::rand::{GetRandomFlags, getrandom};

/// From the host kernel's generator, which a signal may interrupt for long buffers.
pub(super) fn fill(caller: &mut Caller, gpa: u64, len: u64) -> Result<u64, Status> {
    let memory = &caller.shared.memory;
    let (gpa, size) = memory.buffer(gpa, len)?;
    if len > call::MAX_TRANSFER {
        return Err(Status::TOO_LONG);
    }
    let bytes = caller.scratch.get_mut(..size).ok_or(Status::TOO_LONG)?;
    let mut rest = &mut *bytes;
    while !rest.is_empty() {
        match getrandom(&mut *rest, GetRandomFlags::empty()) {
            Ok(filled) => rest = rest.get_mut(filled..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(Status::IO),
        }
    }
    memory.write(gpa, bytes)?;
    Ok(len)
}
