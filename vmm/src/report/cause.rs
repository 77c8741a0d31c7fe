//! What happened, in words, and what to do about it where that is plain. Pure: from the fault's values and the bytes of the
//! instruction, no symbols and no layout.

use super::instruction::{Instruction, recognise};
use super::text::safe;
use crate::fault::{Cause, Fault};
use hypercall_abi::fault::vector;
use hypercall_abi::map;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// One line.
    pub what: String,
    /// What would help; one sentence.
    pub hint: Option<String>,
}

impl Diagnosis {
    fn of(what: impl Into<String>) -> Diagnosis {
        Diagnosis {
            what: what.into(),
            hint: None,
        }
    }

    fn with(what: impl Into<String>, hint: impl Into<String>) -> Diagnosis {
        Diagnosis {
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Bits of a page fault's error code (Intel SDM volume 3, 4.7).
mod page_fault {
    pub const PRESENT: u32 = 1 << 0;
    pub const WRITE: u32 = 1 << 1;
    pub const RESERVED: u32 = 1 << 3;
    pub const FETCH: u32 = 1 << 4;
}

/// Says what a fault was. `code` is the instruction at `rip`, where it can be had.
pub fn diagnose(fault: &Fault, code: Option<&[u8]>) -> Diagnosis {
    match &fault.cause {
        Cause::Exception {
            vector,
            code: error,
            address,
        } => exception(fault, *vector, *error, *address, code),
        Cause::Nested {
            vector,
            code: error,
            address,
            first,
        } => {
            let inner = exception(fault, *vector, *error, *address, code);
            Diagnosis {
                what: format!(
                    "{}, inside the fault handler, which was handling a {}",
                    inner.what,
                    name(*first)
                ),
                hint: inner.hint,
            }
        }
        Cause::TripleFault => Diagnosis::with(
            "triple fault: the processor could not deliver an exception",
            "the guest has probably overwritten its page tables so that the host's exception stubs are gone",
        ),
        Cause::Broken(text) => Diagnosis::of(safe(text, false)),
    }
}

fn exception(
    fault: &Fault,
    number: u32,
    error: u32,
    address: u64,
    code: Option<&[u8]>,
) -> Diagnosis {
    let instruction = code.and_then(recognise);
    match number {
        vector::PAGE_FAULT => at_page(fault, error, address),
        vector::PROTECTION => protection(fault, error, instruction),
        vector::INVALID_OPCODE => invalid_opcode(instruction),
        vector::DIVIDE => {
            Diagnosis::of("divide error: a division by zero, or a quotient too large")
        }
        vector::BREAKPOINT => Diagnosis::of("breakpoint: `int3` and no handler for it"),
        vector::STACK => Diagnosis::with(
            format!(
                "stack-segment fault: rsp {:#x} or rbp {:#x} is no canonical address",
                fault.registers.rsp(),
                fault.registers.rbp()
            ),
            "the stack pointer was overwritten, or restored from memory that was",
        ),
        vector::ALIGNMENT => {
            Diagnosis::of("alignment check: an unaligned access with RFLAGS.AC set")
        }
        vector::SIMD => {
            Diagnosis::of("SIMD floating-point exception: MXCSR has an exception unmasked")
        }
        vector::X87 => Diagnosis::of(
            "x87 floating-point exception: the control word has an exception unmasked",
        ),
        vector::NO_SEGMENT | vector::INVALID_TSS => {
            Diagnosis::of(format!("{}: selector {:#x}", name(number), error & 0xffff))
        }
        _ => Diagnosis::of(name(number)),
    }
}

fn at_page(fault: &Fault, error: u32, address: u64) -> Diagnosis {
    let is = |bit| error & bit != 0;
    let fetch = is(page_fault::FETCH) || (address == fault.registers.rip && !is(page_fault::WRITE));
    if !is(page_fault::PRESENT) && guards(fault, address) {
        return stack_overflow(fault, address);
    }
    if address < map::PLATFORM_BASE {
        return null(fetch, is(page_fault::WRITE), address);
    }
    let verb = match (fetch, is(page_fault::WRITE)) {
        (true, _) => "jump to",
        (_, true) => "write to",
        _ => "read of",
    };
    let memory = match (is(page_fault::PRESENT), fetch) {
        _ if is(page_fault::RESERVED) => "memory whose page-table entry has reserved bits set",
        _ if (map::PLATFORM_BASE..map::RAM_BASE).contains(&address) => platform(address),
        (false, _) => "unmapped memory",
        (true, true) => "memory that is not executable",
        (true, false) if is(page_fault::WRITE) => "read-only memory",
        (true, false) => "memory that is the host's",
    };
    let what = format!("page fault: {verb} {memory} at {address:#x}");
    let near_stack = address.abs_diff(fault.registers.rsp()) < map::PAGE_SIZE;
    if near_stack && !is(page_fault::PRESENT) && !fetch {
        return Diagnosis::with(
            what,
            "the address is next to the stack pointer: perhaps a thread's stack is too small",
        );
    }
    Diagnosis::of(what)
}

/// Whether `address` is in the guard page below the first vCPU's stack.
fn guards(fault: &Fault, address: u64) -> bool {
    let (start, end) = fault.stack;
    start < end && address < start && start.saturating_sub(address) <= map::STACK_GUARD
}

fn stack_overflow(fault: &Fault, address: u64) -> Diagnosis {
    let (start, end) = fault.stack;
    let kib = end.saturating_sub(start) >> 10;
    Diagnosis::with(
        format!("stack overflow: {address:#x} is in the guard page below the {kib} KiB stack"),
        "recursion without end, or a large local: put it on the heap, or ask for a larger stack with \
         `stack_bytes` in the image's note",
    )
}

fn null(fetch: bool, write: bool, address: u64) -> Diagnosis {
    match (fetch, write) {
        (true, _) if address == 0 => {
            Diagnosis::of("jump to null: a call through a null function pointer")
        }
        (true, _) => Diagnosis::of(format!(
            "jump to null: a call through a bad function pointer, {address:#x}"
        )),
        (_, true) => Diagnosis::of(format!(
            "null pointer: write at {address:#x}, which is never mapped"
        )),
        _ => Diagnosis::of(format!(
            "null pointer: read at {address:#x}, which is never mapped"
        )),
    }
}

fn platform(address: u64) -> &'static str {
    match address {
        map::HYPERCALL_PAGE..map::BOOT_PAGE => "the hypercall page",
        map::BOOT_PAGE..map::SHARED_INFO => "the boot page",
        map::SHARED_INFO..map::DEVICES => "the shared-info page",
        map::DEVICES..map::VCPU_PAGES => "the device table",
        map::VCPU_PAGES..map::CORNER => "the vCPU pages",
        map::CORNER..map::PAGE_TABLES => "the host's own corner of the platform area",
        _ => "the page tables",
    }
}

fn protection(fault: &Fault, error: u32, instruction: Option<Instruction>) -> Diagnosis {
    const IDT: u32 = 2;
    match instruction {
        Some(Instruction::Privileged(name)) => Diagnosis::with(
            format!("privileged instruction `{name}` at ring 3"),
            "a guest never runs at ring 0: use the call or the shared page that stands for the instruction",
        ),
        Some(Instruction::Interrupt(number)) => software_interrupt(number),
        _ if error & IDT != 0 => software_interrupt((error >> 3 & 0xff) as u8),
        _ if error != 0 => Diagnosis::of(format!(
            "general protection: selector {:#x}",
            error & 0xffff
        )),
        _ => match wild(fault) {
            Some((register, value)) => Diagnosis::with(
                "general protection: most likely an address that is not canonical",
                format!(
                    "{register} holds {value:#x}, which no address can be: an overwritten or freed pointer?"
                ),
            ),
            None => Diagnosis::of(
                "general protection: an operand or instruction that ring 3 may not use",
            ),
        },
    }
}

fn software_interrupt(number: u8) -> Diagnosis {
    Diagnosis::with(format!("software interrupt {number:#x} at ring 3"), GATE)
}

/// What replaces every other way into a kernel.
const GATE: &str =
    "a guest enters the hypervisor by calling the hypercall page and has no other gate";

fn invalid_opcode(instruction: Option<Instruction>) -> Diagnosis {
    match instruction {
        Some(Instruction::Undefined) => Diagnosis::with(
            "invalid opcode: `ud2`, which marks code that must never be reached",
            "the compiler puts it behind aborts, unreachable code and functions that must not return",
        ),
        Some(Instruction::Interrupt(number)) => software_interrupt(number),
        Some(Instruction::SystemCall(name) | Instruction::HypervisorCall(name)) => {
            Diagnosis::with(format!("invalid opcode: `{name}`"), GATE)
        }
        Some(Instruction::Privileged(name)) => Diagnosis::of(format!(
            "invalid opcode: privileged instruction `{name}` at ring 3"
        )),
        None => Diagnosis::with(
            "invalid opcode: no instruction, or one that this processor does not have",
            "either not code, or built for a newer CPU: see `-Ctarget-cpu`",
        ),
    }
}

/// The first general register whose value is no address: but not what a debug build of the host leaves in registers.
fn wild(fault: &Fault) -> Option<(&'static str, u64)> {
    let mut registers = super::registers::NAMES.iter().zip(fault.registers.gpr);
    registers
        .find(|&(_, value)| {
            !crate::vcpu::is_canonical(value) && value != hypercall_abi::call::POISON
        })
        .map(|(name, value)| (*name, value))
}

/// An exception's name.
fn name(number: u32) -> String {
    let name = match number {
        vector::DIVIDE => "divide error",
        vector::DEBUG => "debug exception",
        vector::BREAKPOINT => "breakpoint",
        vector::OVERFLOW => "overflow",
        vector::INVALID_OPCODE => "invalid opcode",
        vector::NO_DEVICE => "device not available",
        vector::DOUBLE_FAULT => "double fault",
        vector::INVALID_TSS => "invalid TSS",
        vector::NO_SEGMENT => "segment not present",
        vector::STACK => "stack-segment fault",
        vector::PROTECTION => "general protection",
        vector::PAGE_FAULT => "page fault",
        vector::X87 => "x87 floating-point exception",
        vector::ALIGNMENT => "alignment check",
        vector::SIMD => "SIMD floating-point exception",
        _ => return format!("exception {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
#[path = "cause_tests.rs"]
mod tests;
