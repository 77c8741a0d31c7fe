//! The trapped side: it comes to the same as the calls, and what a hostile guest does with it is its own end.

use crate::instructions::contained;
use std::time::Duration;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::stats::ExitKind;

fn run(case: &str) -> Finished {
    Boot::guest("works", &[case]).trapped().run()
}

#[test]
fn both_consoles_print_the_same() {
    require_kvm!();
    let finished = run("trapped-console");
    finished.passed();
    let (called, trapped) = finished.console.split_at(finished.console.len() / 2);
    assert_eq!(called, trapped);
    assert_eq!(called.len(), 256);
    assert_eq!(finished.exits(ExitKind::Port), 512);
    assert_eq!(finished.exits(ExitKind::Call), 2);
}

#[test]
fn both_clocks_tell_the_same_time() {
    require_kvm!();
    let finished = run("trapped-clock");
    finished.passed();
    let text = finished.text();
    let mut seconds = text.split_whitespace().map(|word| word.parse::<u64>());
    let [before, read, after] = [(); 3].map(|()| seconds.next().expect("a time").expect("seconds"));
    // Each may change its second a little before the other.
    assert!((before - 1..=after + 1).contains(&read), "{text}");
}

#[test]
fn a_timer_wakes_the_halted() {
    require_kvm!();
    let finished = run("trapped-timer");
    finished.passed();
    assert_eq!(finished.exits(ExitKind::Exception), 0);
}

/// Runs one instruction with values for `rax` and `rcx`.
fn execute(args: &[&str]) -> Finished {
    let boot = Boot::guest("hostile", args).trapped();
    boot.limit(Duration::from_secs(2)).run()
}

#[test]
fn privileged_instructions_with_any_operands() {
    require_kvm!();
    for name in [
        "mov-cr0", "mov-cr3", "mov-cr4", "mov-cr8", "rdmsr", "wrmsr", "lgdt", "lidt", "invlpg",
        "clts",
    ] {
        for (rax, rcx) in [
            ("0", "0"),
            ("0x100000", "0xc0000100"),
            ("0xd0000", "0xc0000101"),
            ("0xffffffffffffffff", "0xffffffff"),
        ] {
            contained(&execute(&["instruction", name, rax, rcx]));
        }
    }
}

#[test]
fn ports_in_any_way() {
    require_kvm!();
    for name in ["out8", "out16", "out32", "in8", "in32", "outs", "ins"] {
        for port in [
            "0x20", "0x3f", "0x40", "0x43", "0x71", "0x80", "0xe1", "0x3f8", "0x3ff", "0xffff",
        ] {
            contained(&execute(&["instruction", name, "0", port]));
        }
    }
}
