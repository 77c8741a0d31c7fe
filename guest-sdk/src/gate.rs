//! The gate: the one place where a guest calls the hypervisor.
//!
//! Owns the instruction sequence and its registers. What a call means, which of its arguments are
//! addresses and when it is worth repeating is [`calls`](crate::calls)' business.
//!
//! ```
//! use guest_sdk::{abi::{call, Status}, gate};
//! // SAFETY: NULL takes no arguments and touches nothing.
//! let answer = unsafe { gate::call(call::NULL, 0, [0; 6]) };
//! assert_eq!(answer.status, Status::OK);
//! ```

use hypercall_abi::Status;

/// What the hypervisor answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Whether it did it.
    pub status: Status,
    /// The call's own result.
    pub result: u64,
}

/// Makes one call, once: `number` from [`abi::call`](hypercall_abi::call), the retry `token` (0 at first), the arguments.
///
/// # Safety
/// Every argument must be what the call's table entry says. Where one is an address, the memory
/// behind it must stay valid, and unaliased if the call writes there, until the call returns; calls that act on the
/// vCPU or on translations must leave the running code its stack, its text and its data.
#[cfg(any(pv_guest, target_os = "none"))]
#[inline]
pub unsafe fn call(number: u32, token: u32, args: [u64; 6]) -> Answer {
    let status: u64;
    let result: u64;
    // SAFETY: the host fills the hypercall page before boot, and what is there keeps every register but
    // the ones named here (`hypercall_abi::call`). It pushes nothing but the return address.
    unsafe {
        core::arch::asm!(
            "call r11",
            inlateout("rax") u64::from(token) << 32 | u64::from(number) => status,
            inlateout("rdi") args[0] => _,
            inlateout("rsi") args[1] => _,
            inlateout("rdx") args[2] => result,
            inlateout("r10") args[3] => _,
            inlateout("r8") args[4] => _,
            inlateout("r9") args[5] => _,
            inlateout("r11") hypercall_abi::map::HYPERCALL_PAGE => _,
            lateout("rcx") _,
        );
    }
    Answer {
        status: Status(status as u32),
        result,
    }
}

/// Makes one call to the stand-in that serves the host flavour of a guest crate, where its unit tests run.
///
/// # Safety
/// As in a guest: every argument must be what the call's table entry says.
#[cfg(not(any(pv_guest, target_os = "none")))]
pub unsafe fn call(number: u32, token: u32, args: [u64; 6]) -> Answer {
    let _ = token;
    // SAFETY: the caller's promise is the one that the stand-in asks for.
    unsafe { crate::stand_in::call(number, args) }
}
