//! Guests that drive the device badly.

use super::{Sockets, device};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use trapless_tests::{Finished, require_kvm};

/// Runs a hostile case, with a program that accepts every connection and reads nothing.
fn hostile(case: &str) -> Finished {
    let sockets = Sockets::new();
    let listener = sockets.listen();
    listener.set_nonblocking(true).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut streams = Vec::new();
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => streams.push(stream),
                    // Nobody is there, or the process has as many files as it may.
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        let finished = sockets.run(&[case], |_| ()).0;
        over.store(true, Ordering::Relaxed);
        finished
    })
}

#[test]
fn wrong_packets_get_resets() {
    require_kvm!();
    let finished = hostile("packets");
    finished.passed();
    device(&finished);
}

#[test]
fn credit_is_kept_to() {
    require_kvm!();
    let finished = hostile("credit");
    finished.passed();
    device(&finished);
}

#[test]
fn a_flood_of_requests_is_capped() {
    require_kvm!();
    let finished = hostile("flood");
    finished.passed();
    device(&finished);
}

#[test]
fn packets_in_pieces_and_none_at_all() {
    require_kvm!();
    let finished = hostile("short");
    finished.passed();
    device(&finished);
}

#[test]
fn impossible_buffers_stop_the_device_until_its_reset() {
    require_kvm!();
    let finished = hostile("outside");
    finished.passed();
    assert!(finished.outcome.stats.devices[0].broken.is_some());
}
