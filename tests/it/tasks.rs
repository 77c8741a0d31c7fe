//! Tasks on a guest's executor, seen from outside: what they cost while they wait.

use hypercall_abi::call;
use std::io::{Read, Write};
use trapless_tests::alone::Alone;
use trapless_tests::{Boot, require_kvm};

/// Starts the guest in a process of its own.
fn alone(args: &[&str]) -> Alone {
    Alone::start(
        env!("CARGO_BIN_EXE_trapless-test-alone"),
        1,
        "executor",
        args,
    )
}

#[test]
fn an_asynchronous_main_is_a_main() {
    require_kvm!();
    let run = |case| Boot::guest("executor", &[case]).run();
    assert_eq!(run("code").exit_code(), Some(7));
    let failed = run("error");
    assert_eq!(
        (failed.exit_code(), failed.text().as_str()),
        (Some(1), "Error: \"no luck\"\n")
    );
    run("note").passed();
}

#[test]
fn waiting_tasks_make_no_exits() {
    require_kvm!();
    let idle = |ms| alone(&["idle", ms]).report();
    let (short, long) = (idle("1"), idle("2000"));
    for report in [&short, &long] {
        assert_eq!(report.end, "Exit(0)");
        // They print, wait if the time is not over before that, and exit; and wait again where the host's clock is ahead of the guest's.
        assert!((2..=6).contains(&report.exits), "{report:?}");
        assert_eq!(report.calls, report.exits);
    }
    // A vCPU that polled would have used 2,000 ms more.
    assert!(long.cpu_ms < short.cpu_ms + 700, "{short:?}, {long:?}");
}

#[test]
fn a_timer_is_one_wait() {
    require_kvm!();
    let finished = Boot::guest("executor", &["ticks"]).run();
    finished.passed();
    // One for each of 30 timers, and another where the host's clock is ahead of the guest's.
    let waits = finished.outcome.stats.made(call::WAIT);
    assert!((1..=60).contains(&waits), "{waits} calls for 30 timers");
}

#[test]
fn input_is_read_beside_timers() {
    require_kvm!();
    let mut alone = alone(&["reads"]);
    let mut input = alone.child.stdin.take().expect("an input pipe");
    for line in ["one", "two"] {
        writeln!(input, "{line}").expect("a guest that reads");
        assert_eq!(alone.first_line(), line);
    }
    drop(input);
    let mut rest = String::new();
    let output = alone.child.stdout.as_mut().expect("an output pipe");
    output
        .read_to_string(&mut rest)
        .expect("the guest's output");
    assert_eq!(rest, "2 lines\n");
    assert_eq!(alone.report().end, "Exit(0)");
}
