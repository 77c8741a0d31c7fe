//! Class `memory`: address translations.

use super::Reply;
use crate::Error;
use crate::vcpu::Vcpu;
use hypercall_abi::Status;
use std::sync::atomic::Ordering;
use std::thread;

/// Flushes here, and elsewhere before anything there runs again.
pub(super) fn flush(vcpu: &mut Vcpu) -> Result<Reply, Error> {
    vcpu.flush_translations()?;
    let others = || {
        vcpu.shared
            .numbered()
            .filter(|(index, _)| *index != vcpu.index)
    };
    for (_, slot) in others().filter(|(_, slot)| slot.threaded.load(Ordering::Acquire)) {
        // SeqCst, before the look at `in_guest`: a vCPU either is seen there and kicked, or sees this before it enters.
        // The partner is `Vcpu::run`.
        slot.flush.store(true, Ordering::SeqCst);
        if slot.in_guest.load(Ordering::SeqCst) {
            slot.seat.kick();
        }
    }
    // Out of the guest or past its flush, each one is done. A kick brings it there within microseconds of its thread's running.
    for (_, slot) in others() {
        while slot.in_guest.load(Ordering::SeqCst) && slot.flush.load(Ordering::SeqCst) {
            if vcpu.shared.ended() {
                break;
            }
            thread::yield_now();
        }
    }
    Ok(Reply::Answer(Status::OK, 0))
}
