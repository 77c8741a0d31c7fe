//! Devices, driven by hand.

use std::time::{Duration, Instant};
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::config::Rng;
use vmm::stats::ExitKind;

fn run(args: &[&str]) -> Finished {
    Boot::guest("devices", args).rng().run()
}

#[test]
fn a_device_answers_a_doorbell_without_an_exit() {
    require_kvm!();
    let finished = run(&["random"]);
    finished.passed();
    let stats = &finished.outcome.stats;
    let [device] = &stats.devices[..] else {
        panic!("{:?}", stats.devices);
    };
    assert_eq!(
        (device.name.as_str(), device.requests, device.broken),
        ("rng", 2, None)
    );
    assert!(
        (1..=2).contains(&device.kicks) && device.events >= 1,
        "{device:?}"
    );
    let exits = stats.exits[ExitKind::Doorbell as usize];
    assert_eq!(exits, 0, "the kernel rings doorbells");
    // Reset, features, queue, start, two waits, exit.
    assert!(stats.total_exits() <= 7, "{:?}", stats.exits);
}

#[test]
fn a_device_is_set_up_in_order_or_not_at_all() {
    require_kvm!();
    run(&["order"]).passed();
}

#[test]
fn a_device_that_was_reset_is_as_new() {
    require_kvm!();
    let finished = run(&["again"]);
    finished.passed();
    assert_eq!(finished.outcome.stats.devices[0].requests, 5);
}

#[test]
fn doorbells_that_nobody_hears_do_nothing() {
    require_kvm!();
    run(&["nothing-rings"]).passed();
}

#[test]
fn a_flood_of_doorbells_is_the_guests_own_loss() {
    require_kvm!();
    let finished = run(&["flood", "5000"]);
    finished.passed();
    let device = &finished.outcome.stats.devices[0];
    assert!(
        (1..=5000).contains(&device.kicks) && device.requests == 0,
        "{device:?}"
    );
}

#[test]
fn an_image_that_needs_a_device_is_refused_without_it() {
    require_kvm!();
    let refusal = Boot::guest("devices", &["random"]).refused();
    assert!(
        refusal.contains("src/bin/devices/main.rs:") && refusal.contains("rng = true"),
        "{refusal}"
    );
}

#[test]
fn limits_on_random_numbers_are_kept() {
    require_kvm!();
    // Of 30 requests for 4 KiB each the burst is a tenth of a second's, and one more may begin while there is anything left.
    const ALL: u64 = 30 * 4096;
    for (ops, bytes, late) in [
        (Some(100), None, Duration::from_millis((30 - 11) * 10)),
        (
            None,
            Some(400_000),
            Duration::from_micros((ALL - 40_000 - 4096) * 10 / 4),
        ),
    ] {
        let boot = Boot::guest("devices", &["fill", "30"]).change(|config| {
            config.machine.rng = Some(Rng {
                ops_per_second: ops,
                bytes_per_second: bytes,
            });
        });
        let began = Instant::now();
        let finished = boot.run();
        let took = began.elapsed();
        finished.passed();
        let device = &finished.outcome.stats.devices[0];
        assert_eq!(device.requests, 30, "{device:?}");
        assert!(took >= late, "{took:?} for what takes {late:?}");
    }
}
