//! What a guest prints, however much and whatever it is.

use crate::alone;
use std::io::Read;
use std::time::Duration;
use trapless_tests::{Boot, require_kvm};

/// Bytes of one block of the guest's flood.
const BLOCK: usize = 64 * 1024;

#[test]
fn bytes_pass_as_they_are() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["not-utf8"]).run();
    finished.passed();
    assert_eq!(finished.console, b"\xff\xfe\0\xc0\x80\xed\xa0\x80");
}

#[test]
fn a_flood_into_a_file_is_all_there() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["flood", "100"]).run();
    finished.passed();
    assert_eq!(finished.console.len(), 100 * BLOCK);
    assert!(finished.console.iter().all(|&byte| byte == b'.'));
}

/// Lets the guest print blocks to a slow reader; KiB of memory that took at most.
fn slowly_read(blocks: usize) -> u64 {
    let mut alone = alone(1, &["flood", &blocks.to_string()]);
    let mut output = alone.child.stdout.take().expect("an output pipe");
    let (mut total, mut piece) = (0, vec![0; BLOCK]);
    loop {
        let read = output.read(&mut piece).expect("the guest's output");
        if read == 0 {
            break;
        }
        total += read;
        std::thread::sleep(Duration::from_micros(200));
    }
    assert_eq!(total, blocks * BLOCK);
    let report = alone.report();
    assert_eq!(report.end, "Exit(0)");
    report.peak_kib
}

#[test]
fn a_slow_reader_holds_the_guest_back_and_fills_no_memory() {
    require_kvm!();
    let (little, much) = (slowly_read(1), slowly_read(640));
    // 40 MiB more were printed.
    assert!(
        much < little + 8 * 1024,
        "{little} KiB for one block, {much} KiB for 640"
    );
}

#[test]
fn a_closed_pipe_is_the_guests_to_know() {
    require_kvm!();
    let mut alone = alone(1, &["flood", "0"]);
    drop(alone.child.stdout.take());
    // The guest is told that the write failed, and exits with 1 for it.
    assert_eq!(alone.report().end, "Exit(1)");
}
