//! The `LINE` call: a posted call that the poller has not served is served here, on the vCPU's own thread.

use super::{Caller, Reply};
use crate::line::look;
use hypercall_abi::Status;
use hypercall_abi::line::Look;
use std::thread;

/// Returns when the line is served, by whomever.
pub(super) fn serve(caller: &mut Caller) -> Reply {
    caller.shared.polling.late(caller.shared);
    loop {
        match look(caller) {
            // The poller is at it, and never blocks.
            Look::Elsewhere if !caller.shared.ended() => thread::yield_now(),
            _ => return Reply::Answer(Status::OK, 0),
        }
    }
}
