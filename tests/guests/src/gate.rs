//! The gate, raw: any number, any token, any arguments, and every register looked at afterwards.

use core::arch::asm;
use hypercall_abi::{Status, map};

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// `eax`.
    pub status: Status,
    /// `rdx`.
    pub result: u64,
    /// `rdi rsi r10 r8 r9 rcx r11`: undefined by the contract, poisoned by a debug build of the host.
    pub undefined: [u64; 7],
}

/// Makes a call. Missing arguments are 0.
pub fn call(number: u32, args: &[u64]) -> Answer {
    let mut six = [0; 6];
    for (slot, value) in six.iter_mut().zip(args) {
        *slot = *value;
    }
    call_rax(u64::from(number), six)
}

/// Makes a call with all of `rax`: the retry token in its high half.
pub fn call_rax(mut rax: u64, args: [u64; 6]) -> Answer {
    let [mut rdi, mut rsi, mut rdx, mut r10, mut r8, mut r9] = args;
    let (mut rcx, mut r11) = (0, map::HYPERCALL_PAGE);
    // SAFETY: a call changes the registers named here and what its arguments point to. What the arguments are is
    // each test's intention; the host has to bear them all.
    unsafe {
        asm!(
            "call r11",
            inout("rax") rax, inout("rdi") rdi, inout("rsi") rsi, inout("rdx") rdx,
            inout("r10") r10, inout("r8") r8, inout("r9") r9, inout("rcx") rcx, inout("r11") r11,
        );
    }
    Answer {
        status: Status(rax as u32),
        result: rdx,
        undefined: [rdi, rsi, r10, r8, r9, rcx, r11],
    }
}
