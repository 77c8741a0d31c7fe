//! What a guest can do wrong, one thing at a time, and what the operator is told.
//!
//! `cargo run -p examples --bin faults -- divide`
#![no_std]
#![cfg_attr(not(test), no_main)]

use core::arch::asm;
use core::hint::black_box;
use guest_sdk::{env, eprintln, println};

guest_sdk::entry!(main);

const FAULTS: [(&str, fn()); 7] = [
    ("divide", divide),
    ("stack", stack),
    ("null", null),
    ("readonly", readonly),
    ("execute", execute),
    ("privileged", privileged),
    ("panic", panic),
];

fn main() -> u8 {
    let name = env::args().nth(1).unwrap_or_default();
    for (known, fault) in FAULTS {
        if known == name {
            println!("now: {name}");
            fault();
        }
    }
    eprintln!("which fault? {:?}", FAULTS.map(|(known, _)| known));
    2
}

/// Rust checks its own divisions; the processor's instruction is below them.
fn divide() {
    // SAFETY: faults, which ends the VM.
    unsafe { asm!("div {:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
}

/// Runs off the stack into the page below it, which is not mapped.
fn stack() {
    fn deeper(level: u64) -> u64 {
        let frame = black_box([level; 64]);
        if level == u64::MAX {
            0
        } else {
            deeper(level + 1) + frame[0]
        }
    }
    black_box(deeper(0));
}

/// Calls a function at address 0.
fn null() {
    // SAFETY: faults, which ends the VM.
    unsafe { asm!("call {}", in(reg) 0_u64) };
}

/// Writes to a constant, in a page that is mapped read-only.
fn readonly() {
    static CONSTANT: u64 = 42;
    // SAFETY: faults, which ends the VM.
    unsafe { asm!("mov qword ptr [{}], 0", in(reg) &CONSTANT) };
}

/// Calls data, in a page that is mapped without the right to execute.
fn execute() {
    let code = black_box([0xc3_u8; 16]);
    // SAFETY: faults, which ends the VM.
    unsafe { asm!("call {}", in(reg) &code) };
}

/// Stops the processor, which only ring 0 may.
fn privileged() {
    // SAFETY: faults, which ends the VM.
    unsafe { asm!("hlt") };
}

/// Not a fault of the processor's, but reported like one.
fn panic() {
    let numbers = black_box([1, 2, 3]);
    assert_eq!(numbers[black_box(1)], 3, "the second number is wrong");
}
