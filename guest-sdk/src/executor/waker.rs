//! The waker of a loop's root future: the number of its vCPU.

use crate::event::{self, ROOT};
use crate::platform::Vcpu;
use core::task::{RawWaker, RawWakerVTable, Waker};

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| ());

/// Wakes the root future of whatever loop runs on a vCPU.
pub(super) fn root(vcpu: Vcpu) -> Waker {
    let data = core::ptr::without_provenance(vcpu.index() as usize);
    // SAFETY: the table's functions use `data` as a number, from any thread, and own nothing.
    unsafe { Waker::new(data, &VTABLE) }
}

fn wake(data: *const ()) {
    let vcpu = u32::try_from(data.addr()).ok().and_then(Vcpu::get);
    if let Some(vcpu) = vcpu {
        event::raise(vcpu, ROOT);
    }
}
