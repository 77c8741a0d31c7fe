//! Instructions that ring 3 may not execute: the guest ends in a fault, or nothing happens at all.

use hypercall_abi::fault::vector;
use std::time::Duration;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::fault::Cause;
use vmm::{End, StopReason};

/// Runs one instruction with values for `rax` and `rcx`.
fn run(args: &[&str]) -> Finished {
    let boot = Boot::guest("hostile", args);
    boot.limit(Duration::from_secs(5)).run()
}

/// Asserts that the guest did not get away from the host: a fault, an exit, or a loop that its limit ended.
pub(crate) fn contained(finished: &Finished) {
    let contained = match finished.outcome.end {
        End::Fault(_) | End::Exit(_) => true,
        End::Stopped(reason) => reason == StopReason::TimeLimit,
        End::Panic(_) => false,
    };
    assert!(contained, "{}", finished.story());
}

#[test]
fn privileged() {
    require_kvm!();
    let names = [
        "hlt",
        "clts",
        "invd",
        "wbinvd",
        "mov-cr0",
        "mov-cr3",
        "mov-cr4",
        "mov-cr8",
        "mov-dr7",
        "rdmsr",
        "wrmsr",
        "xsetbv",
        "lgdt",
        "lidt",
        "lldt",
        "ltr",
        "swapgs",
        "invlpg",
        "sysret",
        "far-ring0",
        "far-null",
        "iretq-ring0",
    ];
    for name in names {
        let finished = run(&["instruction", name, "0", "0"]);
        match finished.fault().cause {
            Cause::Exception { vector, .. } => {
                assert!(
                    matches!(vector, vector::PROTECTION | vector::INVALID_OPCODE),
                    "{}",
                    finished.story()
                );
            }
            _ => panic!("{}", finished.story()),
        }
    }
}

#[test]
fn doubtful() {
    require_kvm!();
    let names = [
        "cli",
        "sti",
        "rdpmc",
        "sgdt",
        "smsw",
        "syscall",
        "sysenter",
        "int80",
        "int3",
        "icebp",
        "int-df",
        "vmcall",
        "vmmcall",
        "vmrun",
        "vmxoff",
        "iretq-nt",
        "mov-ss-null",
        "mov-ds",
        "mov-gs",
        "wrgsbase",
        "wrfsbase",
        "popf",
        "align",
        "xbegin",
        "monitor",
        "cpuid",
    ];
    for name in names {
        for rax in ["0", "0xffffffffffffffff", "0x30"] {
            contained(&run(&["instruction", name, rax, "0"]));
        }
    }
}

#[test]
fn jumps_and_accesses_to_impossible_addresses() {
    require_kvm!();
    let addresses = [
        "0",
        "0xfff",
        "0x11000",
        "0x40000",
        "0x80000",
        "0xd0000",
        "0x1000000",
        "0xfee00000",
        "0x7fffffffffff",
        "0x800000000000",
        "0xffff800000000000",
        "0xffffffffffffffff",
    ];
    for name in ["jump", "load", "store"] {
        for address in addresses {
            contained(&run(&["instruction", name, address, "0"]));
        }
    }
}

#[test]
fn ports() {
    require_kvm!();
    for name in ["out8", "out16", "out32", "in8", "in32", "outs", "ins"] {
        for port in [
            "0", "0x20", "0x60", "0x64", "0x70", "0x80", "0xcf8", "0x3f8", "0x510", "0xffff",
        ] {
            contained(&run(&["instruction", name, "0", port]));
        }
    }
}

#[test]
fn the_gates_port_without_the_gate() {
    require_kvm!();
    for name in [
        "out8", "out16", "out32", "in8", "in16", "in32", "outs8", "outs32", "ins8",
    ] {
        contained(&run(&["gate-port", name]));
    }
}
