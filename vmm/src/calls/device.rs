//! Class `device`: a driver's calls, which the I/O thread carries out, and doorbells.

use super::{Caller, Reply};
use crate::vcpu::Vcpu;
use crate::virtio::Request;
use hypercall_abi::Status;
use hypercall_abi::call;
use hypercall_abi::device::QueueSetup;

/// `DEVICE_RESET`, `DEVICE_FEATURES`, `QUEUE_SETUP`, `DEVICE_START`.
pub(super) fn request(vcpu: &Vcpu, number: u32, index: u64, argument: u64) -> Reply {
    let shared = &vcpu.shared;
    let request = match number {
        call::DEVICE_RESET => Request::Reset,
        call::DEVICE_FEATURES => Request::Features(argument),
        call::DEVICE_START => Request::Start,
        _ => {
            let setup = shared
                .memory
                .buffer(argument, size_of::<QueueSetup>() as u64);
            match setup.and_then(|(gpa, _)| Ok(shared.memory.load(gpa)?)) {
                Ok(setup) => Request::Queue(setup),
                Err(status) => return status.into(),
            }
        }
    };
    let Ok(index) = u32::try_from(index) else {
        return Status::NOT_FOUND.into();
    };
    if index >= shared.device_count {
        return Status::NOT_FOUND.into();
    }
    match shared.io() {
        Some(io) => {
            let (status, result) = io.device(index, request);
            Reply::Answer(status, result)
        }
        None => Status::IO.into(),
    }
}

/// `DOORBELL`.
pub(super) fn ring(caller: &Caller, number: u64) -> Result<u64, Status> {
    let number = u32::try_from(number).map_err(|_| Status::NOT_FOUND)?;
    match caller.shared.doorbells.ring(number) {
        true => Ok(0),
        false => Err(Status::NOT_FOUND),
    }
}
