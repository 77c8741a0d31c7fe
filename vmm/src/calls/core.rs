//! Class `core`: exit, panic, features.

use super::{Answer, Caller, Reply};
use crate::fault::Panic;
use crate::vcpu::{Next, Vcpu};
use crate::{End, Error};
use hypercall_abi::Status;
use hypercall_abi::boot::Bytes;
use hypercall_abi::fault::PanicInfo;

/// Longest message and file name that a report keeps.
const MESSAGE: u64 = 16 * 1024;
const FILE: u64 = 1024;

pub(super) fn exit(code: u64) -> Reply {
    Reply::Leave(Next::End(End::Exit(code as u8)))
}

pub(super) fn features(caller: &Caller, wanted: u64) -> Answer {
    let offered = caller.shared.features;
    match wanted & !offered {
        0 => Answer::Is(Status::OK, wanted),
        _ => Answer::Is(Status::UNSUPPORTED, offered),
    }
}

/// Nothing about the report can be wrong enough not to end the VM.
pub(super) fn panic(vcpu: &mut Vcpu, info: u64) -> Result<Reply, Error> {
    let info = vcpu
        .shared
        .memory
        .buffer(info, size_of::<PanicInfo>() as u64);
    let info = info
        .and_then(|(gpa, _)| Ok(vcpu.shared.memory.load::<PanicInfo>(gpa)?))
        .ok();
    let message = info.and_then(|info| text(vcpu, info.message, MESSAGE));
    let location =
        info.and_then(|info| Some((text(vcpu, info.file, FILE)?, info.line, info.column)));
    let (registers, backtrace, calls) = vcpu.account(info.map(|info| (info.rip, info.rbp.0)))?;
    Ok(Reply::Leave(Next::End(End::Panic(Box::new(Panic {
        vcpu: vcpu.index,
        message: message.unwrap_or_else(|| "(the guest's panic message could not be read)".into()),
        location,
        registers,
        backtrace,
        calls,
    })))))
}

/// A guest's text, cut at a limit; what is not UTF-8 is replaced.
fn text(vcpu: &Vcpu, bytes: Bytes, limit: u64) -> Option<String> {
    let (gpa, len) = vcpu
        .shared
        .memory
        .buffer(bytes.gpa.0, bytes.len.min(limit))
        .ok()?;
    let mut copy = vec![0; len];
    vcpu.shared.memory.read(gpa, &mut copy).ok()?;
    Some(String::from_utf8_lossy(&copy).into_owned())
}
