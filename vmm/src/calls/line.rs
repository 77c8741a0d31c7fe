//! The `LINE` call: a posted call that the poller has not served is served here, on the vCPU's own thread.

use super::Reply;
use crate::line::look;
use crate::vcpu::Vcpu;
use hypercall_abi::Status;
use hypercall_abi::line::Look;
use std::thread;

/// Returns when the line is served, by whomever.
pub(super) fn serve(vcpu: &mut Vcpu) -> Reply {
    vcpu.shared.polling.late(&vcpu.shared);
    let mut caller = vcpu.caller();
    loop {
        match look(&mut caller) {
            // The poller is at it, and never blocks.
            Look::Elsewhere if !caller.shared.ended() => thread::yield_now(),
            _ => return Reply::Answer(Status::OK, 0),
        }
    }
}
