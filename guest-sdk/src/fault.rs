//! Exceptions of the guest's own code, handled by the guest.
//!
//! Owns the way into a handler written in Rust: its stack, and the vector registers of the code it interrupts, which
//! it may use without harm. An exception without a handler, or inside one, ends the VM with a report.
//!
//! ```no_run
//! use guest_sdk::fault::{self, Frame, Verdict, vector};
//! fn handler(frame: &mut Frame) -> Verdict {
//!     if frame.vector != vector::BREAKPOINT {
//!         return Verdict::Die;
//!     }
//!     guest_sdk::println!("breakpoint before {:#x}", frame.rip);
//!     Verdict::Resume
//! }
//! fault::handle(handler)?;
//! # Ok::<(), fault::Error>(())
//! ```

use crate::calls;
use crate::platform::{Vcpu, Word};
use crate::stack::Stack;
use core::fmt;
use core::sync::atomic::Ordering;
use hypercall_abi::Status;

pub use hypercall_abi::fault::{FaultFrame as Frame, vector};

/// What becomes of the code that faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on with the registers in the frame, which may have been changed. Where nothing was changed, most
    /// instructions fault again.
    Resume,
    /// The VM ends with a report of this exception.
    Die,
}

/// A fault handler. It runs on a stack of its own, on the vCPU that faulted, in the middle of anything: what it needs must not
/// be locked, so it should not print or allocate where the code that it interrupts might be doing the same.
pub type Handler = fn(&mut Frame) -> Verdict;

/// Why there is no handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is no memory for its stack.
    NoMemory,
    /// The host refused it.
    Refused(Status),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoMemory => f.write_str("no memory for a fault handler's stack"),
            Error::Refused(status) => write!(f, "registering a fault handler: {status}"),
        }
    }
}

impl core::error::Error for Error {}

/// Bytes of a handler's stack, without the guard page below it.
const STACK_BYTES: usize = 64 * 1024;

/// Makes `handler` this vCPU's fault handler, in place of the one it may have.
///
/// # Errors
/// See [`Error`].
pub fn handle(handler: Handler) -> Result<(), Error> {
    let vcpu = Vcpu::current();
    let top = match vcpu.word(Word::FaultStack).load(Ordering::Relaxed) {
        0 => {
            let stack = Stack::new(STACK_BYTES).ok_or(Error::NoMemory)?;
            let top = stack.top();
            // The vCPU keeps it for good, for the next handler as well.
            core::mem::forget(stack);
            vcpu.word(Word::FaultStack).store(top, Ordering::Relaxed);
            top
        }
        top => top,
    };
    vcpu.word(Word::FaultHandler)
        .store(handler as usize as u64, Ordering::Relaxed);
    // SAFETY: the trampoline is a fault handler's entry, and the stack was made for it.
    unsafe { calls::fault_handler(trampoline::entry(), top) }.map_err(Error::Refused)
}

/// Takes this vCPU's fault handler away, if it has one: the next exception ends the VM.
pub fn ignore() {
    if Vcpu::current()
        .word(Word::FaultHandler)
        .swap(0, Ordering::Relaxed)
        != 0
    {
        // SAFETY: registers nothing. What was granted for the handler is granted for this.
        let _ = unsafe { calls::fault_handler(0, 0) };
    }
}

/// What the trampoline calls, with the vector state saved.
#[cfg(any(pv_guest, target_os = "none"))]
extern "C" fn dispatch(frame: &mut Frame) {
    let handler = Vcpu::current()
        .word(Word::FaultHandler)
        .load(Ordering::Relaxed) as *const ();
    // SAFETY: `handle` stored a `Handler` before it registered the trampoline.
    let handler: Handler = unsafe { core::mem::transmute(handler) };
    if handler(frame) == Verdict::Die {
        // Without a handler, the same exception once more ends the VM, with the registers as they are now.
        ignore();
        if frame.vector == vector::BREAKPOINT {
            frame.rip -= 1; // The processor reports it behind the one-byte instruction.
        }
    }
}

#[cfg(any(pv_guest, target_os = "none"))]
mod trampoline {
    //! From the host's jump into this program to [`dispatch`](super::dispatch), and back.

    use core::sync::atomic::{AtomicU64, Ordering};
    use hypercall_abi::{call, map};

    /// Bytes of the vector state, as XSAVE lays it out; 512 for FXSAVE.
    static AREA: AtomicU64 = AtomicU64::new(0);
    /// Which parts of it are in use; 0 where there is no XSAVE.
    static PARTS: AtomicU64 = AtomicU64::new(0);

    /// The address to register.
    pub(super) fn entry() -> u64 {
        let parts = crate::platform::boot().xcr0;
        let area = match parts {
            0 => 512,
            _ => core::arch::x86_64::__cpuid_count(0xd, 0).ebx.max(576),
        };
        AREA.store(area.into(), Ordering::Relaxed);
        PARTS.store(parts, Ordering::Relaxed);
        enter as *const () as u64
    }

    /// The host enters with `rdi` = the frame and `rsp` below it, on a stack that is this vCPU's handler's. All registers of the interrupted
    /// code are in the frame, so all but the vector state may be overwritten.
    #[unsafe(naked)]
    extern "C" fn enter() -> ! {
        core::arch::naked_asm!(
            "cld",
            "mov r12, rdi",
            "mov r13, [rip + {parts}]",
            // The area is 64-byte aligned, and its header, which XSAVE only adds to, begins as zeros.
            "sub rsp, [rip + {area}]",
            "and rsp, -64",
            "test r13, r13",
            "jz 2f",
            "xor eax, eax",
            "lea rdi, [rsp + 512]",
            "mov ecx, 8",
            "rep stosq",
            "mov eax, r13d",
            "mov rdx, r13",
            "shr rdx, 32",
            "xsave64 [rsp]",
            "jmp 3f",
            "2: fxsave64 [rsp]",
            // Rust expects the modes that a program starts with.
            "3: fninit",
            "push 0x1f80",
            "ldmxcsr [rsp]",
            "add rsp, 8",
            "mov rdi, r12",
            "call {dispatch}",
            "test r13, r13",
            "jz 4f",
            "mov eax, r13d",
            "mov rdx, r13",
            "shr rdx, 32",
            "xrstor64 [rsp]",
            "jmp 5f",
            "4: fxrstor64 [rsp]",
            "5: mov rdi, r12",
            "mov eax, {fault_return}",
            "mov r11d, {gate}",
            "call r11",
            "mov edi, eax",
            "call {refused}",
            "ud2",
            parts = sym PARTS,
            area = sym AREA,
            dispatch = sym super::dispatch,
            fault_return = const call::FAULT_RETURN,
            gate = const map::HYPERCALL_PAGE,
            refused = sym refused,
        )
    }

    extern "C" fn refused(status: u32) -> ! {
        panic!(
            "a fault handler's frame was refused: {}",
            hypercall_abi::Status(status)
        );
    }
}

#[cfg(not(any(pv_guest, target_os = "none")))]
mod trampoline {
    //! The stand-in reflects no exceptions.

    pub(super) fn entry() -> u64 {
        0
    }
}
