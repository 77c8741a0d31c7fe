//! Exceptions reflected to the guest, and panics reported by it.

use crate::{Gpa, boot::Bytes};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The state at an exception. Host writes it below the handler's stack top; the guest may edit what it likes
/// and hands it back with [`FAULT_RETURN`](crate::call::FAULT_RETURN).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(16))]
pub struct FaultFrame {
    /// The exception's vector, as the processor numbers them: see [`vector`]. Ignored on return.
    pub vector: u32,
    /// The processor's error code, 0 for exceptions that have none. Ignored on return.
    pub code: u32,
    /// For a page fault, the address that faulted (CR2). Ignored on return.
    pub address: u64,
    /// `rax rcx rdx rbx rsp rbp rsi rdi r8 … r15`: the processor's own numbering.
    pub gpr: [u64; 16],
    /// Where it happened; where to continue. Must be canonical on return.
    pub rip: u64,
    /// Flags. On return only the arithmetic flags, TF, DF, AC and ID are taken.
    pub rflags: u64,
}

layout!(FaultFrame, size 160, vector @ 0, code @ 4, address @ 8, gpr @ 16, rip @ 144, rflags @ 152);

/// Exception vectors a guest may see (Intel SDM volume 3, table 6-1).
pub mod vector {
    /// Divide error.
    pub const DIVIDE: u32 = 0;
    /// Debug.
    pub const DEBUG: u32 = 1;
    /// Breakpoint.
    pub const BREAKPOINT: u32 = 3;
    /// Overflow.
    pub const OVERFLOW: u32 = 4;
    /// Invalid opcode.
    pub const INVALID_OPCODE: u32 = 6;
    /// Device not available.
    pub const NO_DEVICE: u32 = 7;
    /// Double fault.
    pub const DOUBLE_FAULT: u32 = 8;
    /// Invalid TSS.
    pub const INVALID_TSS: u32 = 10;
    /// Segment not present.
    pub const NO_SEGMENT: u32 = 11;
    /// Stack-segment fault.
    pub const STACK: u32 = 12;
    /// General protection.
    pub const PROTECTION: u32 = 13;
    /// Page fault.
    pub const PAGE_FAULT: u32 = 14;
    /// x87 floating point.
    pub const X87: u32 = 16;
    /// Alignment check.
    pub const ALIGNMENT: u32 = 17;
    /// SIMD floating point.
    pub const SIMD: u32 = 19;
}

/// What a panicking guest reports.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PanicInfo {
    /// The message, UTF-8; cut at 16 KiB.
    pub message: Bytes,
    /// The source file, UTF-8; cut at 1 KiB.
    pub file: Bytes,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// `rip` and `rbp` of the frame to begin the backtrace at, or zeros.
    pub rip: u64,
    /// See `rip`.
    pub rbp: Gpa,
}

layout!(PanicInfo, size 56, message @ 0, file @ 16, line @ 32, column @ 36, rip @ 40, rbp @ 48);

/// The exit code of a VM whose guest panicked.
pub const PANIC_EXIT_CODE: u8 = 101;
