//! Several VMs in one process.

use std::time::Duration;
use trapless_tests::{Boot, require_kvm};
use vmm::StopReason;

#[test]
fn side_by_side() {
    require_kvm!();
    std::thread::scope(|scope| {
        for last in ["1000", "2000", "3000", "4000"] {
            scope.spawn(move || {
                for _ in 0..5 {
                    let finished = Boot::guest("hostile", &["sum", last]).vcpus(2).run();
                    finished.passed();
                }
            });
        }
    });
}

#[test]
fn one_that_fails_hurts_no_other() {
    require_kvm!();
    std::thread::scope(|scope| {
        let spinning = scope.spawn(|| {
            let boot = Boot::guest("hostile", &["spin"]).vcpus(2);
            boot.limit(Duration::from_secs(2)).run()
        });
        scope.spawn(|| {
            for _ in 0..20 {
                Boot::guest("hostile", &["instruction", "hlt", "0", "0"])
                    .run()
                    .fault();
            }
        });
        for _ in 0..5 {
            Boot::guest("hostile", &["null-calls", "100"])
                .run()
                .passed();
        }
        let spun = spinning.join().expect("a VM that spins");
        assert!(spun.stopped(StopReason::TimeLimit), "{}", spun.story());
    });
}

#[test]
fn one_after_the_other_leaves_nothing_behind() {
    require_kvm!();
    // Descriptors and threads would run out, if each VM kept one.
    for _ in 0..200 {
        Boot::guest("hostile", &["null-calls", "1"])
            .vcpus(2)
            .run()
            .passed();
    }
}
