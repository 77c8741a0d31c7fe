//! Ending a VM from outside: by a limit, or from another thread at any point.

use crate::alone;
use hypercall_abi::call;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::{End, StopReason};

/// Runs a guest, stops it once it has printed a line, and expects exactly that end.
fn stopped_after_its_line(boot: Boot) {
    let (vm, console) = boot.vm();
    let stopper = vm.stopper();
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| vm.run());
        while !run.is_finished() && std::fs::read(console.path()).is_ok_and(|text| text.is_empty())
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        stopper.stop(StopReason::Requested);
        run.join().expect("the VM's thread")
    });
    let end = outcome.expect("the host can run it").end;
    assert!(
        matches!(end, End::Stopped(StopReason::Requested)),
        "{end:?}"
    );
}

#[test]
fn before_it_runs() {
    require_kvm!();
    let (vm, _console) = Boot::guest("hostile", &["spin"]).vcpus(4).vm();
    let stopper = vm.stopper();
    stopper.stop(StopReason::Requested);
    let outcome = vm.run().expect("the host can run it");
    assert!(
        matches!(outcome.end, End::Stopped(StopReason::Requested)),
        "{outcome:?}"
    );
    assert_eq!(outcome.stats.made(call::CONSOLE_WRITE), 0);
    // Of a VM that is gone.
    stopper.stop(StopReason::Requested);
}

#[test]
fn while_it_spins() {
    require_kvm!();
    stopped_after_its_line(Boot::guest("hostile", &["spin"]));
    stopped_after_its_line(Boot::guest("hostile", &["spin"]).vcpus(4));
}

#[test]
fn while_it_waits() {
    require_kvm!();
    stopped_after_its_line(Boot::guest("hostile", &["wait", "0"]));
    stopped_after_its_line(Boot::guest("hostile", &["wait", "0"]).vcpus(4));
}

#[test]
fn at_any_moment() {
    require_kvm!();
    let busy: [&[&str]; 6] = [
        &["null-calls", "100000000"],
        &["start-storm", "100000000"],
        &["flush-storm", "100000000"],
        &["fault-storm", "100000000"],
        &["shifting-buffer", "100000000"],
        &["sum", "100000000000"],
    ];
    for round in 0..60_u32 {
        let args = busy[round as usize % busy.len()];
        let (vm, _console) = Boot::guest("hostile", args).vcpus(3).vm();
        let stopper = vm.stopper();
        let outcome = std::thread::scope(|scope| {
            let run = scope.spawn(|| vm.run());
            std::thread::sleep(Duration::from_micros(u64::from(round) * 150));
            // Several at once do no harm.
            scope.spawn(|| stopper.stop(StopReason::Requested));
            stopper.stop(StopReason::Requested);
            run.join().expect("the VM's thread")
        });
        let end = outcome.expect("the host can run it").end;
        assert!(
            matches!(end, End::Stopped(StopReason::Requested)),
            "{args:?}: {end:?}"
        );
    }
}

#[test]
fn while_nobody_reads_its_output() {
    require_kvm!();
    let alone = alone(1, &["flood", "0"]);
    let pipe = alone
        .child
        .stdout
        .as_ref()
        .expect("an output pipe")
        .as_raw_fd();
    // The pipe takes 64 KiB, in pieces of at least a page: the guest is held up when there is no room for another.
    let mut full = 0;
    while full <= 60 * 1024 {
        // SAFETY: FIONREAD writes one `int`.
        let failed = unsafe { libc::ioctl(pipe, libc::FIONREAD, &raw mut full) };
        assert_eq!(failed, 0, "FIONREAD: {}", std::io::Error::last_os_error());
        std::thread::sleep(Duration::from_millis(1));
    }
    alone.stop();
    assert_eq!(alone.report().end, "Stopped(Requested)");
}

#[test]
fn while_it_waits_for_input() {
    require_kvm!();
    let mut alone = alone(1, &["read"]);
    assert_eq!(alone.first_line(), "reading");
    // Waiting for a process ends its input, unless somebody else holds it.
    let _input = alone.child.stdin.take();
    alone.stop();
    assert_eq!(alone.report().end, "Stopped(Requested)");
}

#[test]
fn input_arrives_and_ends() {
    require_kvm!();
    let mut alone = alone(1, &["read"]);
    assert_eq!(alone.first_line(), "reading");
    let mut input = alone.child.stdin.take().expect("an input pipe");
    for line in ["one\n", "two\n"] {
        input
            .write_all(line.as_bytes())
            .expect("writing the guest's input");
        assert_eq!(alone.first_line(), line.trim_end());
    }
    drop(input);
    let mut rest = String::new();
    let output = alone.child.stdout.as_mut().expect("an output pipe");
    output
        .read_to_string(&mut rest)
        .expect("the guest's output");
    assert_eq!(rest, "end of input\n");
    assert_eq!(alone.report().end, "Exit(0)");
}

/// A run that its limit has to end.
fn limited(boot: Boot) -> Finished {
    let finished = boot.limit(Duration::from_millis(200)).run();
    assert!(
        finished.stopped(StopReason::TimeLimit),
        "{}",
        finished.story()
    );
    finished
}

#[test]
fn by_its_time_limit() {
    require_kvm!();
    limited(Boot::guest("hostile", &["spin"]).vcpus(4));
    limited(Boot::guest("hostile", &["wait", "0"]).vcpus(4));
    // Until the year 2540, and until just before the end of time.
    limited(Boot::guest("hostile", &["wait", "18000000000000"]));
    limited(Boot::guest("hostile", &["wait", "18446744073709"]));
    limited(Boot::guest("hostile", &["null-calls", "100000000"]));
    limited(Boot::guest("hostile", &["flush-storm", "100000000"]).vcpus(4));
}

#[test]
fn a_limit_that_is_not_reached_changes_nothing() {
    require_kvm!();
    let boot = Boot::guest("hostile", &["sum", "1000"]).vcpus(2);
    boot.limit(Duration::from_secs(10_000_000)).run().passed();
}

#[test]
fn by_a_limit_of_nothing() {
    require_kvm!();
    let finished = Boot::guest("hostile", &["spin"])
        .vcpus(2)
        .limit(Duration::ZERO)
        .run();
    assert!(
        finished.stopped(StopReason::TimeLimit),
        "{}",
        finished.story()
    );
}
