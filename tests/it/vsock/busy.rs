//! Streams that are busy, one way and both.

use super::{Sockets, device, echoed, noise};
use std::io::{Read, Write};
use trapless_tests::skip::one_processor;
use trapless_tests::{Finished, require_kvm};
use vmm::stats::ExitKind;

/// The sum that ends a stream of the guest `pump`.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[test]
fn a_guest_connects_and_both_sides_send_at_once() {
    require_kvm!();
    const COUNT: usize = 5 << 20;
    let sockets = Sockets::new();
    let listener = sockets.listen();
    let (finished, ()) = sockets.run(&["pump", &COUNT.to_string()], |_| {
        let (stream, _) = listener.accept().expect("the guest");
        let mut bytes = noise(COUNT, 3);
        bytes.extend(sum(&bytes).to_le_bytes());
        let back = echoed(&stream, &bytes);
        let (data, total) = back.split_at(COUNT);
        assert_eq!(total, sum(data).to_le_bytes());
    });
    finished.passed();
}

/// A guest that does nothing but send so many bytes, or receive them.
fn one_way(case: &str, count: usize) -> Finished {
    let sockets = Sockets::new();
    let listener = sockets.listen();
    let (finished, ()) = sockets.run(&[case, &count.to_string()], |_| {
        let (mut stream, _) = listener.accept().expect("the guest");
        let mut bytes = vec![0; 64 << 10];
        let mut rest = count;
        while rest > 0 {
            let most = rest.min(bytes.len());
            let moved = match case {
                "source" => stream.read(&mut bytes[..most]),
                _ => stream.write(&bytes[..most]),
            };
            match moved.expect("a guest that goes on") {
                0 => panic!("an end, and {rest} bytes missing"),
                moved => rest -= moved,
            }
        }
    });
    finished
}

#[test]
fn a_busy_stream_needs_few_kicks_and_exits() {
    require_kvm!();
    if one_processor() {
        return;
    }
    for case in ["source", "sink"] {
        let finished = one_way(case, 128 << 20);
        finished.passed();
        let device = device(&finished);
        let packets = device.requests;
        assert!(packets >= 4096, "{case}: {packets} packets for 128 MiB");
        let told = device.kicks + device.events;
        assert!(
            told * 100 <= packets,
            "{case}: {told} kicks and events: {device:?}"
        );
        let exits = finished.outcome.stats.total_exits();
        assert!(exits * 50 <= packets, "{case}: {exits} exits");
        assert_eq!(finished.exits(ExitKind::Doorbell), 0);
    }
}
