//! Statistics as a table for people.
//!
//! [`CallTimes`] says what the parts of a call's time are.

use super::devices;
use crate::stats::{CallTimes, ExitKind, Latency, Stats};
use hypercall_abi::call;
use std::fmt::Write;
use std::time::Duration;

/// Exits by kind, calls by name, devices, and times: what did not happen is left out.
pub(super) fn render(stats: &Stats) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, stats);
    text
}

fn write(text: &mut String, stats: &Stats) -> std::fmt::Result {
    writeln!(text, "{:18}{:>12}", "exits", stats.total_exits())?;
    for (kind, count) in ExitKind::ALL.iter().zip(stats.exits) {
        if count != 0 {
            writeln!(text, "  {:16}{count:>12}", kind.name())?;
        }
    }
    let made: u64 = stats.calls.iter().map(|count| count.made).sum();
    let made = made.saturating_add(stats.unknown_calls);
    writeln!(text, "{:18}{made:>12}", "calls")?;
    for count in stats.calls.iter().filter(|count| count.made != 0) {
        write!(text, "  {:16}{:>12}", name(count.number), count.made)?;
        let remarks = [
            (count.polled, "without an exit"),
            (count.batched, "in batches"),
            (count.refused, "not answered OK"),
        ];
        let remarks = remarks.iter().filter(|(count, _)| *count != 0);
        let remarks: Vec<String> = remarks
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match remarks.is_empty() {
            true => writeln!(text)?,
            false => writeln!(text, "  ({})", remarks.join(", "))?,
        }
    }
    if stats.unknown_calls != 0 {
        writeln!(text, "  {:16}{:>12}", "unknown", stats.unknown_calls)?;
    }
    if let Some(times) = stats.times.as_deref().filter(|times| !times.is_empty()) {
        write_times(text, times)?;
    }
    devices::write(text, &stats.devices)?;
    for (index, used) in &stats.vcpu_cpu {
        let name = format!("vcpu {index} cpu");
        writeln!(text, "{name:18}{:>12}", millis(*used))?;
    }
    if stats.poller_wakes != 0 {
        writeln!(
            text,
            "{:18}{:>12}  ({} times, {:.1} % of the VM's life)",
            "poller awake",
            millis(stats.poller_awake),
            stats.poller_wakes,
            stats.poller_share() * 100.0
        )?;
        let used = millis(stats.poller_cpu);
        writeln!(text, "{:18}{used:>12}", "poller cpu")?;
    }
    if stats.io_cpu != Duration::ZERO {
        let (used, looking) = (millis(stats.io_cpu), millis(stats.io_looking));
        writeln!(
            text,
            "{:18}{used:>12}  (looked at queues in vain for {looking})",
            "io cpu"
        )?;
    }
    let first = stats.to_first_call.map_or("none".to_owned(), millis);
    writeln!(text, "{:18}{first:>12}", "to first call")?;
    writeln!(text, "{:18}{:>12}", "to end", millis(stats.to_end))
}

/// A line for each call and what carried it; of the parts, the middle ones.
fn write_times(text: &mut String, all: &[CallTimes]) -> std::fmt::Result {
    writeln!(
        text,
        "{:26}{:>12}{:>10}{:>10}{:>10} | {:>8}{:>11}{:>10}",
        "times", "timed", "p50", "p99", "max", "guest", "transport", "handler"
    )?;
    for times in all {
        let name = format!("  {} {}", name(times.number), times.carried.name());
        let whole = times.whole.as_ref();
        let middle = |part: Option<&Latency>| length(part.map(|part| part.p50));
        writeln!(
            text,
            "{name:26}{:>12}{:>10}{:>10}{:>10} | {:>8}{:>11}{:>10}",
            times.handler.count,
            middle(whole),
            length(whole.and_then(|whole| whole.p99)),
            length(whole.map(|whole| whole.max)),
            middle(times.guest.as_ref()),
            middle(times.transport.as_ref()),
            middle(Some(&times.handler)),
        )?;
    }
    Ok(())
}

/// A length of time in the unit that suits it; a dash where it is not known.
pub(super) fn length(time: Option<Duration>) -> String {
    let Some(time) = time else {
        return "-".to_owned();
    };
    match time.as_nanos() {
        ns @ 0..10_000 => format!("{ns} ns"),
        ns @ 10_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        ns @ 1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        ns => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// A call's name in reports.
pub(super) fn name(number: u32) -> &'static str {
    call::entry(number).map_or("unknown", |entry| entry.name)
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> String {
    format!("{}.{:03} ms", time.as_millis(), time.subsec_micros() % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Carried;
    use hypercall_abi::Status;

    #[test]
    fn the_table_has_what_happened_and_nothing_else() {
        let mut stats = Stats {
            exits: [3, 0, 1, 0, 0, 0, 0, 0],
            to_first_call: Some(Duration::from_nanos(912_345)),
            to_end: Duration::from_millis(1203),
            ..Stats::default()
        };
        stats.count_call(call::row(call::EXIT), Status::OK);
        stats.count_call(call::row(call::CONSOLE_WRITE), Status::OK);
        stats.count_call(call::row(call::CONSOLE_WRITE), Status::IO);
        assert_eq!(
            render(&stats),
            "exits                        4\n\
             \x20 call                       3\n\
             \x20 kick                       1\n\
             calls                        3\n\
             \x20 exit                       1\n\
             \x20 console_write              2  (1 not answered OK)\n\
             to first call         0.912 ms\n\
             to end             1203.000 ms\n"
        );
        let nothing = render(&Stats {
            unknown_calls: 7,
            ..Stats::default()
        });
        assert!(
            nothing.contains("  unknown                    7\n"),
            "{nothing}"
        );
        assert!(
            nothing.contains("to first call             none\n"),
            "{nothing}"
        );
    }

    #[test]
    fn times_are_a_line_for_each_call_and_carrier() {
        let of = |count, p50, p99: Option<u64>, max| Latency {
            count,
            p50: Duration::from_nanos(p50),
            p99: p99.map(Duration::from_nanos),
            max: Duration::from_nanos(max),
        };
        let stats = Stats {
            times: Some(vec![
                CallTimes {
                    number: call::NULL,
                    carried: Carried::Polled,
                    whole: Some(of(2000, 146, Some(9_999), 12_345_678)),
                    guest: Some(of(2000, 12, Some(14), 90)),
                    transport: Some(of(2000, 130, Some(9_900), 12_345_600)),
                    handler: of(2001, 4, Some(5), 60),
                },
                CallTimes {
                    number: call::WAIT,
                    carried: Carried::Trapped,
                    whole: None,
                    guest: None,
                    transport: None,
                    handler: of(1, 25_070, None, 25_070),
                },
            ]),
            vcpu_cpu: vec![(0, Duration::from_micros(1500))],
            poller_wakes: 2,
            poller_awake: Duration::from_millis(1),
            poller_cpu: Duration::from_micros(990),
            io_cpu: Duration::from_micros(80),
            io_looking: Duration::from_micros(70),
            to_end: Duration::from_millis(8),
            ..Stats::default()
        };
        assert_eq!(
            render(&stats),
            "exits                        0\n\
             calls                        0\n\
             times                            timed       p50       p99       max |    guest  transport   handler\n\
             \x20 null polled                     2001    146 ns   9999 ns  12.35 ms |    12 ns     130 ns      4 ns\n\
             \x20 wait trapped                       1         -         -         - |        -          -   25.1 µs\n\
             vcpu 0 cpu            1.500 ms\n\
             poller awake          1.000 ms  (2 times, 12.5 % of the VM's life)\n\
             poller cpu            0.990 ms\n\
             io cpu                0.080 ms  (looked at queues in vain for 0.070 ms)\n\
             to first call             none\n\
             to end                8.000 ms\n"
        );
    }
}
