//! Further vCPUs, raw.

use crate::{Answer, call};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};
use hypercall_abi::vcpu::VcpuPage;
use hypercall_abi::{call as number, map};

/// The most vCPUs a test starts.
const MOST: usize = 8;
/// Bytes of each vCPU's stack.
const STACK: usize = 32 * 1024;

#[repr(align(16))]
struct Stacks(UnsafeCell<[[u8; STACK]; MOST]>);

// SAFETY: nothing but the vCPU that was started on a stack touches it.
unsafe impl Sync for Stacks {}

static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK]; MOST]));

/// The top of a vCPU's stack, 16-byte aligned.
#[must_use]
pub fn stack_top(index: u64) -> u64 {
    STACKS.0.get() as u64 + (index + 1) * STACK as u64
}

/// Starts a vCPU at a function that never returns, on the stack set apart for it.
pub fn start(index: u64, entry: extern "C" fn(u64) -> !, value: u64) -> Answer {
    call(
        number::VCPU_START,
        &[index, entry as usize as u64, stack_top(index), value],
    )
}

/// Stops the calling vCPU. `word`: address of the `u32` that will say so, or 0.
pub fn stop(word: u64) -> ! {
    call(number::VCPU_STOP, &[word]);
    crate::fail(format_args!("a vCPU went on after it had stopped"))
}

/// Clears event bits of the first vCPU.
pub fn clear(bits: u64) {
    let page = map::vcpu_page(0);
    let pending = page + core::mem::offset_of!(VcpuPage, events) as u64;
    // SAFETY: the first word of the events, at its place in this vCPU's page, which is mapped for the guest.
    unsafe { &*(pending as *const AtomicU64) }.fetch_and(!bits, Ordering::SeqCst);
}
