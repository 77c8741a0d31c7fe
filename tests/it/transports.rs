//! Call lines and batch rings: what they save, and what becomes of those who abuse them.

use hypercall_abi::call;
use hypercall_abi::map::{PAGE_SIZE, vcpu_page};
use std::time::{Duration, Instant};
use trapless_tests::skip::one_processor;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::StopReason;
use vmm::config::Transport;
use vmm::fault::Cause;
use vmm::stats::{CallCount, ExitKind};

/// Runs a hostile case under every transport.
fn under_all(case: &str, vcpus: u32) {
    for transport in Transport::ALL {
        let boot = Boot::guest("hostile", &[case]).vcpus(vcpus);
        boot.transport(transport).run().passed();
    }
}

/// What is counted of null calls.
pub fn null_calls(finished: &Finished) -> CallCount {
    let mut counts = finished.outcome.stats.calls.iter();
    *counts
        .find(|count| count.number == call::NULL)
        .expect("a row for each call")
}

/// Runs a guest that makes null calls on a polled line, until the poller had a processor for some of them; `None` on a machine with one.
///
/// Where other work has every processor, the poller comes too late for whole runs, and each call traps. One minute of that is a failure.
pub fn some_polled(boot: Boot) -> Option<Finished> {
    if one_processor() {
        return None;
    }
    let boot = boot.transport(Transport::Poll);
    let began = Instant::now();
    loop {
        let finished = boot.run();
        finished.passed();
        if null_calls(&finished).polled > 0 {
            return Some(finished);
        }
        let tried = began.elapsed();
        assert!(tried.as_secs() < 60, "none polled: {}", finished.story());
    }
}

#[test]
fn a_line_that_changes_while_it_is_read() {
    require_kvm!();
    for transport in Transport::ALL {
        // Its random calls may overwrite anything of its own, so that it may end in any way. What must not happen: that it does
        // not end, or that the host cannot serve the next one.
        let boot = Boot::guest("hostile", &["scribbled-line"]).limit(Duration::from_secs(20));
        let finished = boot.transport(transport).run();
        assert!(
            finished.outcome.stats.total_exits() > 0,
            "{}",
            finished.story()
        );
        let next = Boot::guest("hostile", &["once-only"]);
        next.transport(transport).run().passed();
    }
}

#[test]
fn lines_of_vcpus_that_do_not_run() {
    require_kvm!();
    under_all("foreign-lines", 4);
}

#[test]
fn a_line_of_a_vcpu_that_is_not_there() {
    require_kvm!();
    for vcpus in [1, 3] {
        let finished = Boot::guest("hostile", &["missing-line"]).vcpus(vcpus).run();
        let page = vcpu_page(vcpus);
        let there = matches!(finished.fault().cause, Cause::Exception { address, .. } if (page..page + PAGE_SIZE).contains(&address));
        assert!(there, "{}", finished.story());
    }
}

#[test]
fn a_post_is_served_once() {
    require_kvm!();
    under_all("once-only", 1);
}

#[test]
fn rings_that_cannot_be() {
    require_kvm!();
    under_all("bad-rings", 1);
}

#[test]
fn entries_that_cannot_be() {
    require_kvm!();
    under_all("bad-entries", 1);
}

#[test]
fn a_batch_that_overwrites_itself() {
    require_kvm!();
    under_all("self-eating-batch", 1);
}

#[test]
fn a_guest_that_keeps_the_poller_awake_is_stopped() {
    require_kvm!();
    for transport in Transport::ALL {
        let boot = Boot::guest("hostile", &["keep-awake"]).limit(Duration::from_millis(300));
        let finished = boot.transport(transport).run();
        assert!(
            finished.stopped(StopReason::TimeLimit),
            "{}",
            finished.story()
        );
    }
}

/// With a share of a hundredth the poller can serve some thousands of calls in each tenth of a second; all others of that tenth trap, and are
/// served as well.
#[test]
fn a_guest_gets_no_more_of_the_poller_than_its_share() {
    require_kvm!();
    let boot = Boot::guest("works", &["null-calls", "40000"]).poll_percent(1);
    let Some(finished) = some_polled(boot) else {
        return;
    };
    let null = null_calls(&finished);
    let story = finished.story();
    assert_eq!((null.made, null.refused), (40_000, 0), "{story}");
    // In a millisecond a line takes 20,000 calls at the most.
    assert!(null.made - null.polled >= 1000, "{story}");
    // One that never waits for an answer, and so never stops posting, is put away all the same.
    let boot = Boot::guest("hostile", &["keep-awake"]).poll_percent(1);
    let finished = boot.limit(Duration::from_millis(500)).run();
    let stats = &finished.outcome.stats;
    assert!(
        finished.stopped(StopReason::TimeLimit),
        "{}",
        finished.story()
    );
    assert!(
        stats.poller_awake < stats.to_end / 2,
        "{}",
        finished.story()
    );
}

/// The count that polling is for: calls without exits. How many depends on when the poller gets a processor; that every call is
/// accounted for does not.
#[test]
fn polled_calls_make_no_exit() {
    require_kvm!();
    let Some(finished) = some_polled(Boot::guest("works", &["null-calls", "20000"])) else {
        return;
    };
    let stats = &finished.outcome.stats;
    let null = null_calls(&finished);
    assert_eq!(
        (null.made, null.refused),
        (20_000, 0),
        "{}",
        finished.story()
    );
    assert!(
        stats.poller_wakes > 0 && !stats.poller_awake.is_zero(),
        "its processor time is told"
    );
    // A polled call costs no exit; one that the poller was late for costs a `line`.
    let trapped = null.made - null.polled;
    let others = stats
        .calls
        .iter()
        .filter(|count| count.number != call::NULL);
    let others: u64 = others
        .map(|count| count.made - count.polled - count.batched)
        .sum();
    assert_eq!(
        finished.exits(ExitKind::Call),
        trapped + others,
        "{}",
        finished.story()
    );
}

#[test]
fn trapped_calls_are_an_exit_each() {
    require_kvm!();
    let finished = Boot::guest("works", &["null-calls", "500"])
        .transport(Transport::Trap)
        .run();
    finished.passed();
    let stats = &finished.outcome.stats;
    assert!(
        stats.calls.iter().all(|count| count.polled == 0),
        "{}",
        finished.story()
    );
    assert_eq!(stats.poller_wakes, 0);
    assert_eq!(finished.exits(ExitKind::Call), 501, "{}", finished.story());
}

/// Every call is answered, whatever the poller is doing at that moment, on as many vCPUs as fit and on more.
fn bursts(seconds: u32) {
    for vcpus in [1, 2, 4] {
        let seconds = seconds.to_string();
        let boot = Boot::guest("works", &["bursts", &seconds]).vcpus(vcpus);
        let finished = boot.limit(Duration::from_secs(300)).run();
        finished.passed();
        let made: u64 = finished
            .text()
            .trim()
            .parse()
            .expect("how many calls were made");
        assert_eq!(
            finished.outcome.stats.made(call::NULL),
            made,
            "{}",
            finished.story()
        );
    }
}

#[test]
fn no_call_is_lost() {
    require_kvm!();
    bursts(1);
}

#[test]
#[ignore = "takes a minute: cargo test -p trapless-tests --test it -- --ignored"]
fn no_call_is_lost_in_a_minute() {
    require_kvm!();
    bursts(20);
}

/// A batch of 512 null calls is one exit, or none.
#[test]
fn a_batch_is_one_call() {
    require_kvm!();
    let finished = Boot::guest("works", &["batches", "512", "4"])
        .transport(Transport::Trap)
        .run();
    finished.passed();
    let null = null_calls(&finished);
    assert_eq!(
        (null.made, null.batched),
        (2048, 2048),
        "{}",
        finished.story()
    );
    // Four submissions, setting up and taking back, exit.
    assert_eq!(finished.exits(ExitKind::Call), 7, "{}", finished.story());
}
