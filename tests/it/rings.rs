//! Rings that break the specification: the answer it has for them, or a broken device; and the VM goes on.

use trapless_tests::{Boot, require_kvm};

const LOOPS: &str = "a chain of descriptors loops or leads nowhere";
const OUTSIDE: &str = "a buffer does not lie in the guest's memory";
const INDEX: &str = "the available ring holds more than the queue's size";
const OVERLONG: &str = "a chain has more descriptors than its queue";
const ORDER: &str = "a buffer to read comes after one to write in a chain";

/// Each ring, and why the device stops, or how much it says it has written.
const CASES: &[(&str, Result<u32, &str>)] = &[
    ("loop", Err(LOOPS)),
    ("next-outside", Err(LOOPS)),
    ("head-outside", Err(LOOPS)),
    ("head-far-outside", Err(LOOPS)),
    ("index-jumps", Err(INDEX)),
    ("index-goes-back", Err(INDEX)),
    ("wraps", Err(OUTSIDE)),
    ("platform-area", Err(OUTSIDE)),
    ("into-the-platform-area", Err(OUTSIDE)),
    ("past-the-end", Err(OUTSIDE)),
    ("far-away", Err(OUTSIDE)),
    ("four-gib", Ok(4096)),
    ("no-bytes", Ok(0)),
    ("wrong-direction", Ok(0)),
    ("unknown-flags", Ok(64)),
    ("read-after-write", Err(ORDER)),
    ("reused-head", Ok(64)),
    ("used-index-overwritten", Ok(64)),
    ("indirect", Ok(64)),
    ("indirect-misaligned", Ok(64)),
    ("indirect-nested", Err(LOOPS)),
    ("indirect-in-part", Err(LOOPS)),
    ("indirect-empty", Err(LOOPS)),
    ("indirect-huge", Err(LOOPS)),
    ("indirect-and-next", Ok(64)),
    ("indirect-overlong", Err(OVERLONG)),
    ("indirect-loop", Err(LOOPS)),
    ("indirect-in-the-platform-area", Err(LOOPS)),
];

#[test]
fn each_ring_gets_its_answer_or_breaks_the_device_alone() {
    require_kvm!();
    let mut wrong = Vec::new();
    for (case, expected) in CASES {
        let finished = Boot::guest("devices", &["hostile", case]).rng().run();
        if finished.exit_code() != Some(0) {
            wrong.push(finished.story());
            continue;
        }
        let said = match expected {
            Ok(written) => format!("answered {written}\n"),
            Err(_) => "broken\n".to_owned(),
        };
        let broken = finished.outcome.stats.devices[0].broken;
        if finished.text() != said || broken != expected.err() {
            wrong.push(format!("{case}: {:?} {broken:?}", finished.text()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_reset_ends_what_is_in_flight() {
    require_kvm!();
    let finished = Boot::guest("devices", &["reset-in-flight"]).rng().run();
    finished.passed();
    assert_eq!(finished.outcome.stats.devices[0].broken, None);
}
