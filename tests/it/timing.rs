//! How long calls take, as real guests and the host find it out together.

use crate::transports::{null_calls, some_polled};
use hypercall_abi::call;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::config::Transport;
use vmm::stats::{CallTimes, Carried, Latency};

fn times(finished: &Finished, number: u32, carried: Carried) -> CallTimes {
    let stats = &finished.outcome.stats;
    *stats
        .times_of(number, carried)
        .unwrap_or_else(|| panic!("{number:#x} {carried:?}: {:?}", stats.times))
}

fn in_order(latency: &Latency) {
    let p99 = latency.p99.unwrap_or(latency.max);
    assert!(latency.p50 <= p99 && p99 <= latency.max, "{latency:?}");
    assert_eq!(latency.p99.is_some(), latency.count >= 950, "{latency:?}");
}

/// Whether the host's kernel trusts its TSC. Where it does not, KVM moves the guest's to and fro, and no length of the guest's is to be believed.
fn tsc_is_stable() -> bool {
    let names = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
    let names = std::fs::read_to_string(names).unwrap_or_default();
    names.split_whitespace().any(|name| name == "tsc")
}

/// The parts are of the same calls, and none is longer than the whole: returns how many.
fn whole(times: &CallTimes) -> u64 {
    let parts = (times.whole, times.guest, times.transport);
    if parts == (None, None, None) && !tsc_is_stable() {
        eprintln!("the guest's TSC is not the host's: its part is not known here");
        return times.handler.count;
    }
    let (Some(whole), Some(guest), Some(transport)) = parts else {
        panic!("the guest noted its times: {times:?}");
    };
    for part in [whole, guest, transport, times.handler] {
        in_order(&part);
        assert!(part.max <= whole.max, "{times:?}");
    }
    assert_eq!((guest.count, transport.count), (whole.count, whole.count));
    whole.count
}

#[test]
fn trapped_calls_have_all_their_parts() {
    require_kvm!();
    let boot = Boot::guest("works", &["null-calls", "2000"]).timed();
    let finished = boot.transport(Transport::Trap).run();
    finished.passed();
    let null = times(&finished, call::NULL, Carried::Trapped);
    assert_eq!(null.handler.count, 2000, "{null:?}");
    assert_eq!(
        whole(&null),
        2000,
        "the last is found at the exit: {null:?}"
    );
    let exit = times(&finished, call::EXIT, Carried::Trapped);
    assert_eq!(
        (exit.handler.count, exit.whole),
        (1, None),
        "it never came back"
    );
    let stats = &finished.outcome.stats;
    assert!(stats.times_of(call::NULL, Carried::Polled).is_none());
    assert!(matches!(stats.vcpu_cpu[..], [(0, used)] if !used.is_zero()));
    assert_eq!(stats.poller_share(), 0.0);
}

#[test]
fn polled_calls_have_all_their_parts_and_trapped_ones_beside_them() {
    require_kvm!();
    let boot = Boot::guest("works", &["null-calls", "20000"]).timed();
    let Some(finished) = some_polled(boot) else {
        return;
    };
    let count = null_calls(&finished);
    let polled = times(&finished, call::NULL, Carried::Polled);
    assert_eq!(polled.handler.count, count.polled, "{polled:?}");
    let trapped = times(&finished, call::NULL, Carried::Trapped);
    assert_eq!(trapped.handler.count, count.made - count.polled);
    assert_eq!(whole(&polled) + whole(&trapped), 20_000, "each was noted");
    let stats = &finished.outcome.stats;
    assert!(stats.poller_share() > 0.0 && !stats.poller_cpu.is_zero());
    assert!(stats.poller_cpu <= stats.to_end, "one thread");
}

#[test]
fn entries_of_a_batch_are_timed_by_the_host() {
    require_kvm!();
    let boot = Boot::guest("works", &["batches", "64", "50"]).timed();
    let finished = boot.transport(Transport::Trap).run();
    finished.passed();
    let entry = times(&finished, call::NULL, Carried::Batched);
    assert_eq!((entry.handler.count, entry.guest), (3200, None));
    let (Some(whole_entry), Some(transport)) = (entry.whole, entry.transport) else {
        panic!("the host's own: {entry:?}");
    };
    assert_eq!((whole_entry.count, transport.count), (3200, 3200));
    let submit = times(&finished, call::BATCH_SUBMIT, Carried::Trapped);
    assert_eq!(submit.handler.count, 50);
    assert_eq!(whole(&submit), 50);
}

#[test]
fn nothing_is_timed_unless_asked_for() {
    require_kvm!();
    let finished = Boot::guest("works", &["null-calls", "10"]).run();
    finished.passed();
    assert_eq!(finished.outcome.stats.times, None);
}

#[test]
fn every_vcpu_is_charged() {
    require_kvm!();
    let finished = Boot::guest("works", &["threads"]).vcpus(3).timed().run();
    finished.passed();
    let charged = finished.outcome.stats.vcpu_cpu.iter();
    let charged: Vec<u32> = charged.map(|(index, _)| *index).collect();
    // A thread that ends before the next one starts leaves it its vCPU.
    assert!(charged == [0, 1, 2] || charged == [0, 1], "{charged:?}");
}

#[test]
fn forged_times_are_only_figures() {
    require_kvm!();
    for transport in Transport::ALL {
        let boot = Boot::guest("hostile", &["forged-times"]).timed();
        let finished = boot.transport(transport).run();
        finished.passed();
        for times in finished.outcome.stats.times.iter().flatten() {
            [
                times.whole,
                times.guest,
                times.transport,
                Some(times.handler),
            ]
            .iter()
            .flatten()
            .for_each(in_order);
        }
    }
}
