//! A guest that waits costs nothing.

use crate::alone;
use trapless_tests::require_kvm;

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
