//! What ended a VM against its will, as plain values: no symbols, no text. See `report` for those.

use hypercall_abi::Status;

/// A vCPU's registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// `rax rcx rdx rbx rsp rbp rsi rdi r8 … r15`: the processor's own numbering.
    pub gpr: [u64; 16],
    /// The instruction that faulted, or the one after the call that ended the VM.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// The address of the last page fault.
    pub cr2: u64,
    /// The page-table root.
    pub cr3: u64,
    /// The base of `fs`.
    pub fs_base: u64,
    /// The base of `gs`.
    pub gs_base: u64,
}

/// What a guest did that it cannot go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An exception for which no handler was registered.
    Exception {
        /// The processor's vector: see [`hypercall_abi::fault::vector`].
        vector: u32,
        /// The processor's error code.
        code: u32,
        /// For a page fault, the address.
        address: u64,
    },
    /// An exception inside the guest's own fault handler.
    Nested {
        /// The vector that came second.
        vector: u32,
        /// Its error code.
        code: u32,
        /// For a page fault, the address.
        address: u64,
        /// The vector that the handler was handling.
        first: u32,
    },
    /// The processor could not deliver an exception: the guest has destroyed its page tables or the ring-0 corner.
    TripleFault,
    /// The guest did something that this host cannot carry out or that no guest may do. The text says what.
    Broken(String),
}

/// What ended a VM, and where.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The vCPU.
    pub vcpu: u32,
    /// What happened.
    pub cause: Cause,
    /// The registers at that moment, as far as they are known.
    pub registers: Registers,
    /// Code addresses, innermost first: `rip`, then return addresses found through frame pointers.
    pub backtrace: Vec<u64>,
    /// The first vCPU's host-made stack: lowest mapped byte and the byte after it. The page below is its guard.
    pub stack: (u64, u64),
    /// The last calls this vCPU made, oldest first.
    pub calls: Vec<CallRecord>,
}

/// What a panicking guest reported.
#[derive(Clone, Debug)]
pub struct Panic {
    /// The vCPU.
    pub vcpu: u32,
    /// The panic message.
    pub message: String,
    /// File, line and column; `None` where the guest's report could not be read.
    pub location: Option<(String, u32, u32)>,
    /// The registers at the call.
    pub registers: Registers,
    /// Code addresses, innermost first.
    pub backtrace: Vec<u64>,
    /// The last calls this vCPU made, oldest first.
    pub calls: Vec<CallRecord>,
}

/// One call a vCPU made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The call's number as the guest gave it.
    pub number: u32,
    /// The first three arguments.
    pub args: [u64; 3],
    /// What it was answered; `None` for a call that does not return.
    pub status: Option<Status>,
    /// The result.
    pub result: u64,
}
