//! Calls that are wrong: each gets its status, and the guest goes on.

use hypercall_abi::class::{CLASSES, Classes};
use hypercall_abi::{call, map};
use trapless_tests::{Boot, require_kvm};
use vmm::stats::ExitKind;

#[test]
fn unknown_numbers() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["unknown-calls"]).run();
    finished.passed();
    assert!(finished.outcome.stats.unknown_calls > 2000);
}

#[test]
fn impossible_addresses() {
    require_kvm!();
    for memory in [map::MIN_MEMORY * 2, 64 << 20] {
        let boot = Boot::guest("hostile", &["bad-addresses"]);
        boot.vcpus(2).memory(memory).run().passed();
    }
}

#[test]
fn impossible_lengths() {
    require_kvm!();
    Boot::guest("hostile", &["bad-lengths"]).run().passed();
}

#[test]
fn impossible_values() {
    require_kvm!();
    Boot::guest("hostile", &["bad-values"]).run().passed();
}

#[test]
fn withheld_classes() {
    require_kvm!();
    let denied = |classes| {
        let boot = Boot::guest("hostile", &["denied"]);
        boot.vcpus(2).classes(classes).run().passed();
    };
    denied(Classes::NONE);
    for withheld in CLASSES.iter().skip(1) {
        denied(Classes(Classes::ALL.0 & !(1 << withheld.index)));
    }
}

#[test]
fn registers_of_a_call() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["registers"]).run();
    let poisoned = if cfg!(debug_assertions) { 0 } else { 2 };
    assert_eq!(finished.exit_code(), Some(poisoned), "{}", finished.story());
}

#[test]
fn a_call_is_one_exit() {
    require_kvm!();
    let run = |calls: &str| Boot::guest("hostile", &["null-calls", calls]).run();
    let (few, many) = (run("10"), run("1010"));
    few.passed();
    many.passed();
    assert_eq!(many.outcome.stats.made(call::NULL), 1010);
    assert_eq!(many.exits(ExitKind::Call), few.exits(ExitKind::Call) + 1000);
}

#[test]
fn broken_panic_reports() {
    require_kvm!();
    let panic = |args: &[&str]| {
        let mut all = vec!["panic"];
        all.extend(args);
        Boot::guest("hostile", &all).run()
    };
    let finished = panic(&["not-utf8"]);
    let report = finished.panic();
    assert_eq!(report.message, "\u{fffd}\u{fffd}!\u{fffd}");
    let (_, line, column) = report.location.clone().expect("a location");
    assert_eq!((line, column), (7, 9));

    for address in [
        "0",
        "1",
        "0x10000",
        "0x80000",
        "0xffff8",
        "0xfffff8",
        "0xffffffffffffffff",
    ] {
        let finished = panic(&["nowhere", address]);
        assert_eq!(finished.panic().location, None, "{}", finished.story());
        for what in ["message", "file"] {
            for len in ["0", "1", "0x4000", "0x100000000", "0xffffffffffffffff"] {
                let finished = panic(&[what, address, len]);
                assert!(finished.panic().message.len() <= 3 * 16 * 1024);
            }
        }
        panic(&["frames", address]).panic();
    }
    let endless = panic(&["endless-frames"]);
    assert!(
        endless.panic().backtrace.len() <= 1024,
        "{}",
        endless.story()
    );
    let long = panic(&["message", "0x100000", "0xf00000"]);
    assert!(long.panic().message.len() <= 3 * 16 * 1024);
}
