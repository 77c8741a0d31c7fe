//! Statistics as a table for people.

use crate::stats::{ExitKind, Stats};
use hypercall_abi::call;
use std::fmt::Write;
use std::time::Duration;

/// Exits by kind, calls by name, and times: what did not happen is left out.
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
    if stats.poller_wakes != 0 {
        let awake = millis(stats.poller_awake);
        writeln!(
            text,
            "{:18}{awake:>12}  ({} times)",
            "poller awake", stats.poller_wakes
        )?;
    }
    let first = stats.to_first_call.map_or("none".to_owned(), millis);
    writeln!(text, "{:18}{first:>12}", "to first call")?;
    writeln!(text, "{:18}{:>12}", "to end", millis(stats.to_end))
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
    use hypercall_abi::Status;

    #[test]
    fn the_table_has_what_happened_and_nothing_else() {
        let mut stats = Stats {
            exits: [3, 0, 1, 0, 0, 0, 0, 0],
            to_first_call: Some(Duration::from_nanos(912_345)),
            to_end: Duration::from_millis(1203),
            ..Stats::default()
        };
        stats.count_call(call::EXIT, Status::OK);
        stats.count_call(call::CONSOLE_WRITE, Status::OK);
        stats.count_call(call::CONSOLE_WRITE, Status::IO);
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
}
