//! Several vCPUs in one VM.

use trapless_tests::{Boot, require_kvm};
use vmm::stats::ExitKind;

#[test]
fn four_share_a_sum() {
    require_kvm!();
    Boot::guest("hostile", &["sum", "1000000"])
        .vcpus(4)
        .run()
        .passed();
}

#[test]
fn starting_twice() {
    require_kvm!();
    Boot::guest("hostile", &["start-twice"])
        .vcpus(2)
        .run()
        .passed();
}

#[test]
fn starting_and_stopping_over_and_over() {
    require_kvm!();
    Boot::guest("hostile", &["start-storm", "500"])
        .vcpus(2)
        .run()
        .passed();
}

#[test]
fn starting_what_runs_over_and_over() {
    require_kvm!();
    Boot::guest("hostile", &["busy-storm", "20000"])
        .vcpus(2)
        .run()
        .passed();
}

#[test]
fn everyone_flushes_everyone() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["flush-storm", "300"])
        .vcpus(4)
        .run();
    finished.passed();
    assert!(finished.exits(ExitKind::Call) >= 4 * 300);
}

#[test]
fn one_flushes_those_that_spin() {
    require_kvm!();
    Boot::guest("hostile", &["flush-spinners", "300"])
        .vcpus(4)
        .run()
        .passed();
}

#[test]
fn one_that_starts_nowhere() {
    require_kvm!();
    for address in [
        "0",
        "0x11000",
        "0x80000",
        "0x7fffffffffff",
        "0xffff800000000000",
    ] {
        let finished = Boot::guest("hostile", &["start-nowhere", address])
            .vcpus(2)
            .run();
        assert_eq!(finished.fault().vcpu, 1, "{}", finished.story());
    }
}

#[test]
fn everyone_exits_at_once() {
    require_kvm!();
    for _ in 0..20 {
        let finished = Boot::guest("hostile", &["exit-race"]).vcpus(4).run();
        let code = finished.exit_code();
        assert!(matches!(code, Some(10..14)), "{}", finished.story());
    }
}

#[test]
fn the_last_one_stops() {
    require_kvm!();
    Boot::guest("hostile", &["last-stop"]).run().passed();
}

#[test]
fn a_buffer_that_changes_under_the_call() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["shifting-buffer", "200"])
        .vcpus(2)
        .run();
    finished.passed();
}
