//! A guest that waits costs nothing.

use crate::alone;
use std::io::Write;
use tempfile::Builder;
use trapless_tests::alone::{Alone, Report};
use trapless_tests::{guest, require_kvm};

#[test]
fn waiting_makes_no_exits() {
    require_kvm!();
    let wait = |ms| alone(1, &["wait", ms]).report();
    let (short, long) = (wait("1"), wait("2000"));
    assert_eq!(
        (short.end.as_str(), long.end.as_str()),
        ("Exit(0)", "Exit(0)")
    );
    // It prints, waits and exits.
    assert_eq!((short.exits, short.calls), (3, 3));
    assert_eq!((long.exits, long.calls), (3, 3));
}

#[test]
fn waiting_uses_no_processor() {
    require_kvm!();
    let wait = |ms| alone(4, &["wait", ms]).report();
    let (short, long) = (wait("1"), wait("3000"));
    assert_eq!(
        (short.end.as_str(), long.end.as_str()),
        ("Exit(0)", "Exit(0)")
    );
    // One vCPU that polled would have used 3,000 ms more, and four of them more yet.
    assert!(
        long.cpu_ms < short.cpu_ms + 1000,
        "{} ms of processor time for a wait of 3,000 ms, {} ms for one of 1 ms",
        long.cpu_ms,
        short.cpu_ms
    );
    // Three starts, a line, four waits, an exit; the three that wait for ever are kicked at the end.
    assert!(long.calls <= 9 && long.exits <= 12, "{long:?}");
}

/// A VM that asks for random numbers so often, of which it gets one in a second.
fn held_up(requests: u32) -> Report {
    let mut file = Builder::new().suffix(".toml").tempfile().unwrap();
    let image = guest("devices");
    writeln!(
        file,
        "[guest]\nimage = {image:?}\nargs = [\"fill\", \"{requests}\"]\n[machine]\nrng = {{ ops_per_second = 1 }}"
    )
    .unwrap();
    let program = env!("CARGO_BIN_EXE_trapless-test-alone");
    Alone::configured(program, file.path()).report()
}

#[test]
fn a_device_that_its_limit_holds_up_uses_no_processor() {
    require_kvm!();
    // The second is had on credit, and each further one comes a second after the one before.
    let (short, long) = (held_up(1), held_up(5));
    assert_eq!(
        (short.end.as_str(), long.end.as_str()),
        ("Exit(0)", "Exit(0)")
    );
    // A thread of the host's, or a vCPU, that looked for what the timer lets go would have used 3,000 ms more.
    assert!(
        long.cpu_ms < short.cpu_ms + 1000,
        "{} ms of processor time for five requests, {} ms for one",
        long.cpu_ms,
        short.cpu_ms
    );
}
