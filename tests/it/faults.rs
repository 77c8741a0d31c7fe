//! Exceptions: reflected to a guest that handles them, the end of one that does not or cannot.

use hypercall_abi::fault::vector;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::fault::Cause;
use vmm::stats::ExitKind;

fn run(args: &[&str]) -> Finished {
    Boot::guest("hostile", args).run()
}

#[test]
fn every_exception_reaches_its_handler() {
    require_kvm!();
    run(&["reflect"]).passed();
}

#[test]
fn an_exception_of_sse_arithmetic() {
    require_kvm!();
    let finished = run(&["reflect-simd"]);
    // QEMU's emulated processor does not raise it.
    let hypervisor = std::arch::x86_64::__cpuid(0x4000_0000);
    let not_raised = hypervisor.ebx.to_le_bytes() == *b"TCGT" && finished.exit_code() == Some(2);
    assert!(
        not_raised || finished.exit_code() == Some(0),
        "{}",
        finished.story()
    );
}

#[test]
fn flags_from_a_frame() {
    require_kvm!();
    run(&["reflected-flags"]).passed();
}

#[test]
fn an_exception_is_two_exits() {
    require_kvm!();
    let (few, many) = (run(&["fault-storm", "10"]), run(&["fault-storm", "1010"]));
    few.passed();
    many.passed();
    assert_eq!(
        many.exits(ExitKind::Exception),
        few.exits(ExitKind::Exception) + 1000
    );
    assert_eq!(many.exits(ExitKind::Call), few.exits(ExitKind::Call) + 1000);
}

#[test]
fn wrong_returns_from_a_handler() {
    require_kvm!();
    for address in [
        "0",
        "0x11000",
        "0x80000",
        "0xffff8",
        "0xffffffffffffffff",
        "0xffffff",
    ] {
        run(&["bad-return", "frame", address]).passed();
    }
    for rip in ["0x800000000000", "0x8000000000000000", "0xffff7fffffffffff"] {
        run(&["bad-return", "rip", rip]).passed();
    }
    for rsp in ["0", "0x800000000000", "0xffffffffffffffff"] {
        run(&["bad-return", "rsp", rsp]).passed();
    }
    run(&["bad-return", "never"]).passed();
}

#[test]
fn a_handler_that_faults() {
    require_kvm!();
    let finished = run(&["nested"]);
    match &finished.fault().cause {
        Cause::Nested { vector, first, .. } => {
            assert_eq!(
                (*vector, *first),
                (vector::INVALID_OPCODE, vector::BREAKPOINT)
            );
        }
        _ => panic!("{}", finished.story()),
    }
}

#[test]
fn a_stack_pointer_into_nowhere() {
    require_kvm!();
    for rsp in [
        "0",
        "8",
        "0x10000",
        "0x80000",
        "0x800000000000",
        "0xffffffffffffffff",
    ] {
        run(&["lost-stack", "handled", rsp]).passed();
        let finished = run(&["lost-stack", "unhandled", rsp]);
        let expected = Cause::Exception {
            vector: vector::INVALID_OPCODE,
            code: 0,
            address: 0,
        };
        assert_eq!(finished.fault().cause, expected, "{}", finished.story());
    }
}

#[test]
fn a_handler_without_its_stack() {
    require_kvm!();
    run(&["lost-handler-stack"]).fault();
}
