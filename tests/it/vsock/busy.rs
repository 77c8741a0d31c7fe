//! A stream that is busy both ways.

use super::{Sockets, device, echoed, noise};
use trapless_tests::{Finished, require_kvm};
use vmm::stats::ExitKind;

/// The sum that ends a stream of the guest `pump`.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// A guest connects to the host and pumps bytes, both ways at once.
fn pumped(count: usize) -> Finished {
    let sockets = Sockets::new();
    let listener = sockets.listen();
    let (finished, ()) = sockets.run(&["pump", &count.to_string()], |_| {
        let (stream, _) = listener.accept().expect("the guest");
        let mut bytes = noise(count, 3);
        bytes.extend(sum(&bytes).to_le_bytes());
        let back = echoed(&stream, &bytes);
        let (data, total) = back.split_at(count);
        assert_eq!(total, sum(data).to_le_bytes());
    });
    finished
}

#[test]
fn a_guest_connects_and_both_sides_send_at_once() {
    require_kvm!();
    pumped(5 << 20).passed();
}

#[test]
fn a_busy_stream_needs_few_kicks_and_exits() {
    require_kvm!();
    let (short, long) = (pumped(1 << 20), pumped(33 << 20));
    for finished in [&short, &long] {
        finished.passed();
        assert_eq!(finished.exits(ExitKind::Doorbell), 0);
    }
    let packets = device(&long).requests - device(&short).requests;
    assert!(packets > 1000, "{packets} packets for 64 MiB");
    let told = device(&long).kicks + device(&long).events;
    assert!(
        told <= packets / 20,
        "{told} kicks and events for {packets} packets"
    );
    let exits = long.outcome.stats.total_exits();
    assert!(exits <= packets / 20, "{exits} exits for {packets} packets");
}
