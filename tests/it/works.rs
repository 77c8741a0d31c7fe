//! What the SDK gives a guest, seen from both sides.

use hypercall_abi::call;
use hypercall_abi::fault::vector;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::fault::Cause;
use vmm::{End, StopReason};

fn run(args: &[&str]) -> Finished {
    Boot::guest("works", args).run()
}

/// Runs on four vCPUs.
fn run_on_four(case: &str) -> Finished {
    Boot::guest("works", &[case]).vcpus(4).run()
}

#[test]
fn hello_is_at_most_three_exits() {
    require_kvm!();
    let finished = run(&["hello"]);
    finished.passed();
    assert_eq!(finished.text(), "hello\n");
    let exits = finished.outcome.stats.total_exits();
    assert!(exits <= 3, "{exits} exits");
}

#[test]
fn arguments_and_environment() {
    require_kvm!();
    let args = ["arguments", "one", "zwei Wörter", "", "--flag=\"quoted\""];
    let env = [("A", "1"), ("EMPTY", ""), ("B", "x=y z")];
    let finished = Boot::guest("works", &args).env(&env).run();
    finished.passed();
    let expected = "arg \"one\"\narg \"zwei Wörter\"\narg \"\"\narg \"--flag=\\\"quoted\\\"\"\n\
                    var \"A\" \"1\"\nvar \"EMPTY\" \"\"\nvar \"B\" \"x=y z\"\n";
    assert_eq!(finished.text(), expected);
}

#[test]
fn many_arguments() {
    require_kvm!();
    let numbers: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let mut args = vec!["arguments"];
    args.extend(numbers.iter().map(String::as_str));
    let finished = Boot::guest("works", &args).env(&[("EMPTY", "")]).run();
    finished.passed();
    assert_eq!(finished.text().lines().count(), 1001);
}

#[test]
fn printing_is_one_call_a_line() {
    require_kvm!();
    let finished = run(&["lines"]);
    finished.passed();
    let expected: String = (0..100).map(|line| format!("line {line}.\n")).collect();
    assert_eq!(finished.text(), expected);
    assert_eq!(finished.outcome.stats.made(call::CONSOLE_WRITE), 100);
}

#[test]
fn a_long_line_is_a_few_calls() {
    require_kvm!();
    let finished = run(&["one-long-line"]);
    finished.passed();
    let expected: String = (0..40_000)
        .map(|n| ["alpha ", "beta ", "gamma "][n % 3])
        .collect();
    assert!(
        finished.text() == expected,
        "{} bytes",
        finished.console.len()
    );
    let calls = finished.outcome.stats.made(call::CONSOLE_WRITE);
    assert!(calls <= 6, "{calls} calls for {} bytes", expected.len());
}

#[test]
fn both_streams_and_the_log() {
    require_kvm!();
    let finished = run(&["streams"]);
    finished.passed();
    assert_eq!(finished.text(), "out\nerror\n");

    let boot = Boot::guest("works", &["log"]).env(&[("LOG", "info,quiet=error")]);
    let text = boot.run().text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        matches!(lines[..], [first, second] if first.ends_with("] seen") && second.ends_with("] seen too")),
        "{text}"
    );
}

#[test]
fn values_of_main() {
    require_kvm!();
    assert_eq!(run(&["code"]).exit_code(), Some(7));
    let failed = run(&["error"]);
    assert_eq!(
        (failed.exit_code(), failed.text().as_str()),
        (Some(1), "Error: \"no luck\"\n")
    );
    let hooks = run(&["exit-hooks"]);
    assert_eq!(
        (hooks.exit_code(), hooks.text().as_str()),
        (Some(0), "first, second\nlast\n")
    );
}

#[test]
fn panics_say_what_and_where() {
    require_kvm!();
    let finished = run(&["panic"]);
    let panic = finished.panic();
    assert_eq!((panic.message.as_str(), panic.vcpu), ("no way: 7", 0));
    let (file, line, column) = panic.location.clone().expect("a location");
    assert!(
        file.ends_with("works/main.rs") && line > 1 && column > 1,
        "{file}:{line}:{column}"
    );
    assert!(panic.backtrace.len() > 1);

    let finished = Boot::guest("works", &["panic-elsewhere"]).vcpus(2).run();
    let panic = finished.panic();
    assert_eq!(
        (panic.message.as_str(), panic.vcpu),
        ("not on the first vCPU", 1)
    );
}

/// Runs a guest, asks it to end once it is ready, and returns how it ended.
fn asked(guest: &str, case: &str) -> (End, String) {
    let (vm, console) = Boot::guest(guest, &[case]).vm();
    let stopper = vm.stopper();
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| vm.run());
        while !run.is_finished() && std::fs::read(console.path()).is_ok_and(|text| text.is_empty())
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        stopper.request_shutdown();
        run.join().expect("the VM's thread")
    });
    let text = std::fs::read_to_string(console.path()).expect("the console's file");
    (outcome.expect("the host can run it").end, text)
}

#[test]
fn a_guest_that_is_asked_to_end() {
    require_kvm!();
    for guest in ["works", "executor"] {
        let (end, text) = asked(guest, "asked-to-end");
        assert!(matches!(end, End::Exit(3)), "{guest}: {end:?}");
        assert_eq!(text, "ready\nasked\n");
    }
    let (end, _) = asked("works", "deaf");
    assert!(
        matches!(end, End::Stopped(StopReason::Requested)),
        "{end:?}"
    );
}

#[test]
fn the_clock_is_read_without_a_call() {
    require_kvm!();
    let finished = run(&["clock"]);
    finished.passed();
    let calls: u64 = finished
        .outcome
        .stats
        .calls
        .iter()
        .map(|count| count.made)
        .sum();
    assert_eq!(calls, 1, "calls beside exit");
}

#[test]
fn the_time_of_day_is_the_hosts() {
    require_kvm!();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock that is set")
            .as_secs()
    };
    let before = now();
    let finished = run(&["time-of-day"]);
    finished.passed();
    let guest: u64 = finished.text().trim().parse().expect("a number of seconds");
    assert!(
        (before.saturating_sub(1)..=now() + 1).contains(&guest),
        "{before}, {guest}"
    );
}

#[test]
fn sleeping_and_waiting() {
    require_kvm!();
    let finished = run(&["sleep"]);
    finished.passed();
    // One for each of four sleeps, and another where the host's clock is ahead of the guest's.
    let waits = finished.outcome.stats.made(call::WAIT);
    assert!(waits <= 20, "{waits} calls for four sleeps");
    run(&["deadlines"]).passed();
}

#[test]
fn only_pages_that_go_or_change_are_flushed() {
    require_kvm!();
    let finished = Boot::guest("works", &["map"]).vcpus(2).run();
    finished.passed();
    // One for the guard page under the thread's stack, one for the page that is replaced, one for all that are removed; none for the 41 that
    // are new.
    assert_eq!(finished.outcome.stats.made(call::MMU_FLUSH), 3);
}

#[test]
fn the_heap_grows_with_the_memory() {
    require_kvm!();
    let blocks = |mib: u64| {
        let finished = Boot::guest("works", &["heap"]).memory(mib << 20).run();
        finished.passed();
        finished
            .text()
            .trim()
            .parse::<u64>()
            .expect("a number of blocks")
    };
    let (small, large) = (blocks(16), blocks(128));
    assert!(
        small >= 8 && large >= small + 80,
        "{small} MiB of 16, {large} MiB of 128"
    );
    let exhausted = run(&["heap-exhausted"]);
    assert!(
        exhausted.panic().message.contains("allocation"),
        "{}",
        exhausted.story()
    );
}

#[test]
fn random_bytes() {
    require_kvm!();
    let (first, second) = (run(&["random"]), run(&["random"]));
    first.passed();
    second.passed();
    let (first, second) = (first.text(), second.text());
    let differ = first
        .lines()
        .zip(second.lines())
        .all(|(one, other)| one != other);
    assert!(differ, "{first}\n{second}");
}

#[test]
fn pages_the_guest_protects() {
    require_kvm!();
    let finished = run(&["protect"]);
    finished.passed();
    // One for the guard page below the handler's stack, one for eight pages together, one for each that is opened again.
    assert_eq!(finished.outcome.stats.made(call::MMU_FLUSH), 10);
}

#[test]
fn threads() {
    require_kvm!();
    for case in [
        "threads",
        "too-many-threads",
        "mutex",
        "channel",
        "condvar",
        "short-threads",
    ] {
        run_on_four(case).passed();
    }
}

#[test]
fn threads_with_more_vcpus_than_the_host_has() {
    require_kvm!();
    for case in ["threads", "mutex"] {
        Boot::guest("works", &[case]).vcpus(8).run().passed();
    }
}

#[test]
fn floating_point() {
    require_kvm!();
    let finished = run(&["float"]);
    finished.passed();
    assert_eq!(finished.text(), "1.643934\n");
}

#[test]
fn mistakes_end_in_faults() {
    require_kvm!();
    let fault = |case: &str| {
        let finished = run(&[case]);
        match finished.fault().cause {
            Cause::Exception {
                vector,
                code,
                address,
            } => (vector, code, address),
            _ => panic!("{}", finished.story()),
        }
    };
    assert_eq!(fault("divide"), (vector::DIVIDE, 0, 0));
    assert_eq!(fault("null"), (vector::PAGE_FAULT, 4, 0));
    assert_eq!(fault("jump-null"), (vector::PAGE_FAULT, 0x14, 0));
    assert_eq!(fault("write-code").1, 7);
    assert_eq!(fault("execute-data").1, 0x15);

    let overflow = run(&["overflow"]);
    let fault = overflow.fault();
    let guard = fault.stack.0 - hypercall_abi::map::STACK_GUARD..fault.stack.0;
    match fault.cause {
        Cause::Exception {
            vector: vector::PAGE_FAULT,
            address,
            ..
        } => {
            assert!(
                guard.contains(&address),
                "{address:#x} is not in {guard:x?}"
            );
        }
        _ => panic!("{}", overflow.story()),
    }
}
