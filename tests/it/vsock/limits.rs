//! Limits of a vsock device.

use super::{Sockets, device, dial, echoed, noise};
use std::time::{Duration, Instant};
use trapless_tests::require_kvm;

/// Bytes that go there and come back.
const BYTES: usize = 300_000;

#[test]
fn a_limit_on_bytes_is_kept() {
    require_kvm!();
    const RATE: u64 = 1_000_000;
    let sockets = Sockets::new();
    let boot = sockets.boot(&["echo", "1"]);
    let boot = boot.change(|config| config.vsocks[0].bytes_per_second = Some(RATE));
    let bytes = noise(BYTES, 7);
    let began = Instant::now();
    let (finished, back) = sockets.play(&boot, |path| echoed(&dial(path), &bytes));
    let took = began.elapsed();
    finished.passed();
    assert!(back == bytes, "{} of {BYTES} bytes", back.len());
    // Both ways. The burst is a tenth of a second's, and one packet may begin while there is anything left.
    let late = 2 * BYTES as u64 - RATE / 10 - (64 << 10);
    let least = Duration::from_micros(late * 1_000_000 / RATE);
    assert!(took >= least, "{took:?} for what takes {least:?}");
}

#[test]
fn a_limit_on_packets_is_kept() {
    require_kvm!();
    const RATE: u64 = 50;
    let sockets = Sockets::new();
    let boot = sockets.boot(&["echo", "1"]);
    let boot = boot.change(|config| config.vsocks[0].ops_per_second = Some(RATE));
    let bytes = noise(BYTES, 8);
    let began = Instant::now();
    let (finished, back) = sockets.play(&boot, |path| echoed(&dial(path), &bytes));
    let took = began.elapsed();
    finished.passed();
    assert!(back == bytes, "{} of {BYTES} bytes", back.len());
    let device = device(&finished);
    assert!(device.requests > 2 * RATE / 10, "{device:?}");
    let least = Duration::from_secs(device.requests - RATE / 10 - 1) / RATE as u32;
    assert!(
        took >= least,
        "{took:?} for what takes {least:?}: {device:?}"
    );
    // Whoever waits for the timer wants no kicks.
    assert!(device.kicks <= device.requests, "{device:?}");
}
