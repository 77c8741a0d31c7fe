use super::*;
use crate::fault::Registers;

const STACK: (u64, u64) = (0x50_0000, 0x54_0000);

fn fault(cause: Cause, registers: Registers) -> Fault {
    Fault {
        vcpu: 0,
        cause,
        registers,
        backtrace: Vec::new(),
        stack: STACK,
        calls: Vec::new(),
    }
}

fn exception(vector: u32, code: u32, address: u64) -> Cause {
    Cause::Exception {
        vector,
        code,
        address,
    }
}

fn what(cause: Cause, code: &[u8]) -> String {
    let registers = Registers {
        rip: 0x20_1234,
        ..Registers::default()
    };
    diagnose(&fault(cause, registers), Some(code)).what
}

#[test]
fn page_faults_in_words() {
    let cases = [
        (
            7,
            0x20_1040,
            "page fault: write to read-only memory at 0x201040",
        ),
        (
            6,
            0x70_0000,
            "page fault: write to unmapped memory at 0x700000",
        ),
        (
            4,
            0x70_0000,
            "page fault: read of unmapped memory at 0x700000",
        ),
        (
            5,
            0x70_0000,
            "page fault: read of memory that is the host's at 0x700000",
        ),
        (
            0x15,
            0x70_0000,
            "page fault: jump to memory that is not executable at 0x700000",
        ),
        (
            0x14,
            0x70_0000,
            "page fault: jump to unmapped memory at 0x700000",
        ),
        (
            4,
            0x20_1234,
            "page fault: jump to unmapped memory at 0x201234",
        ),
        (
            0xd,
            0x70_0000,
            "page fault: read of memory whose page-table entry has reserved bits set at 0x700000",
        ),
        (7, 0x1_1008, "page fault: write to the boot page at 0x11008"),
        (
            7,
            0x8_0000,
            "page fault: write to the host's own corner of the platform area at 0x80000",
        ),
        (4, 0, "null pointer: read at 0x0, which is never mapped"),
        (
            6,
            0xffff,
            "null pointer: write at 0xffff, which is never mapped",
        ),
        (
            0x14,
            0,
            "jump to null: a call through a null function pointer",
        ),
        (
            0x14,
            0x10,
            "jump to null: a call through a bad function pointer, 0x10",
        ),
        (
            6,
            0x4f_fff8,
            "stack overflow: 0x4ffff8 is in the guard page below the 256 KiB stack",
        ),
        (
            6,
            0x4f_f000,
            "stack overflow: 0x4ff000 is in the guard page below the 256 KiB stack",
        ),
        (
            6,
            0x4f_efff,
            "page fault: write to unmapped memory at 0x4fefff",
        ),
        (
            6,
            u64::MAX,
            "page fault: write to unmapped memory at 0xffffffffffffffff",
        ),
    ];
    for (code, address, expected) in cases {
        assert_eq!(
            what(exception(vector::PAGE_FAULT, code, address), &[]),
            expected
        );
    }
}

#[test]
fn a_stack_that_does_not_exist_has_no_guard() {
    for stack in [
        (0, 0),
        (0x1000, 0x1000),
        (u64::MAX, 0),
        (0x54_0000, 0x50_0000),
    ] {
        let mut fault = fault(
            exception(vector::PAGE_FAULT, 6, 0x53_ffff),
            Registers::default(),
        );
        fault.stack = stack;
        assert!(
            diagnose(&fault, None).what.starts_with("page fault"),
            "{stack:x?}"
        );
    }
}

#[test]
fn instructions_in_words() {
    let cases: [(u32, u32, &[u8], &str); 13] = [
        (
            0,
            0,
            &[0xf7, 0xf1],
            "divide error: a division by zero, or a quotient too large",
        ),
        (3, 0, &[], "breakpoint: `int3` and no handler for it"),
        (13, 0, &[0xf4], "privileged instruction `hlt` at ring 3"),
        (
            13,
            0,
            &[0x0f, 0x22, 0xd8],
            "privileged instruction `mov cr3, rax` at ring 3",
        ),
        (
            13,
            0x402,
            &[0xcd, 0x80],
            "software interrupt 0x80 at ring 3",
        ),
        (13, 0x402, &[], "software interrupt 0x80 at ring 3"),
        (6, 0, &[0xcd, 0x80], "software interrupt 0x80 at ring 3"),
        (13, 0x28, &[0x90], "general protection: selector 0x28"),
        (
            13,
            0,
            &[0x90],
            "general protection: an operand or instruction that ring 3 may not use",
        ),
        (
            6,
            0,
            &[0x0f, 0x0b],
            "invalid opcode: `ud2`, which marks code that must never be reached",
        ),
        (6, 0, &[0x0f, 0x05], "invalid opcode: `syscall`"),
        (
            6,
            0,
            &[],
            "invalid opcode: no instruction, or one that this processor does not have",
        ),
        (4_000_000_000, 0, &[], "exception 4000000000"),
    ];
    for (vector, error, code, expected) in cases {
        assert_eq!(what(exception(vector, error, 0), code), expected);
    }
}

#[test]
fn a_wild_pointer_is_pointed_out() {
    let mut registers = Registers::default();
    registers.gpr[3] = 0x4141_4141_4141_4141;
    let said = diagnose(
        &fault(exception(vector::PROTECTION, 0, 0), registers),
        Some(&[0x48, 0x8b]),
    );
    assert_eq!(
        said.what,
        "general protection: most likely an address that is not canonical"
    );
    assert!(
        said.hint
            .is_some_and(|hint| hint.starts_with("rbx holds 0x4141414141414141"))
    );
}

#[test]
fn other_ends_in_words() {
    let nested = Cause::Nested {
        vector: vector::PAGE_FAULT,
        code: 4,
        address: 8,
        first: vector::DIVIDE,
    };
    assert_eq!(
        what(nested, &[]),
        "null pointer: read at 0x8, which is never mapped, inside the fault handler, which was handling a divide error"
    );
    assert_eq!(
        what(Cause::TripleFault, &[]),
        "triple fault: the processor could not deliver an exception"
    );
    assert_eq!(
        what(Cause::Broken("a\x1b[0m\nb".to_owned()), &[]),
        "a\\u{1b}[0m\\nb"
    );
}
