//! The results as a terminal shows them.

use super::results::{Host, Line, Results};
use super::rows::{Figure, Side};
use std::fmt::Write;

/// The whole text.
#[must_use]
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, results);
    text
}

fn write_all(text: &mut String, results: &Results) -> std::fmt::Result {
    writeln!(text, "host     {}", host(&results.host))?;
    writeln!(text, "state    {}", state(&results.host))?;
    writeln!(text, "method   {}", method(results))?;
    writeln!(
        text,
        "\n{:<25} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  {:>6} {:>6} {:>6} {:>9} {:>9}",
        "",
        "cost",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "exits",
        "kicks",
        "events",
        "CPU own",
        "others"
    )?;
    let mut operation = "";
    for line in &results.rows {
        if line.operation != operation {
            operation = &line.operation;
            writeln!(text, "{operation}")?;
        }
        write_line(text, line)?;
    }
    write_notes(text, results)
}

fn write_line(text: &mut String, line: &Line) -> std::fmt::Result {
    if let Some(reason) = &line.skipped {
        return writeln!(text, "  {:<23} skipped: {reason}", line.mechanism);
    }
    let time = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), self::time);
    write!(text, "  {:<23}", line.mechanism)?;
    write!(
        text,
        " {:>9}",
        figure(line).unwrap_or_else(|| "-".to_owned())
    )?;
    for value in [
        line.p50_ns,
        line.p90_ns,
        line.p99_ns,
        line.p999_ns,
        line.max_ns,
    ] {
        write!(text, " {:>9}", time(value))?;
    }
    let count = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), self::count);
    writeln!(
        text,
        "  {:>6} {:>6} {:>6} {:>9} {:>9}",
        count(line.exits),
        count(line.kicks),
        count(line.events),
        time(line.cpu_own_ns),
        time(line.cpu_others_ns)
    )?;
    for against in &line.against {
        let estimate = against.ratio;
        writeln!(
            text,
            "    {:>11} of {} [{} to {}, {} pairs]",
            ratio(estimate.median),
            against.name,
            ratio(estimate.low),
            ratio(estimate.high),
            against.pairs
        )?;
    }
    Ok(())
}

fn write_notes(text: &mut String, results: &Results) -> std::fmt::Result {
    writeln!(
        text,
        "\ncost: the middle of all blocks. p50 to max: rounds timed one by one, less {} (guest) or {} (host) for the clock;\n\
         - where fewer than ten lie beyond. exits: to user space, an operation. kicks, events: what woke the host for a device and the guest of one, an operation.\n\
         CPU: of the operation's thread, and of all others.",
        time(results.method.timer_guest_ns),
        time(results.method.timer_host_ns)
    )?;
    let disturbed = disturbed(results);
    let Some(worst) = disturbed.first() else {
        return Ok(());
    };
    let all: u64 = disturbed.iter().map(|line| line.preemptions).sum();
    writeln!(
        text,
        "Processors were lost {all} times while {} rows were measured, most often {} times, for {} in all, in {}: the upper percentiles hold that.",
        disturbed.len(),
        worst.preemptions,
        time(worst.waited_ns as f64),
        worst.name
    )
}

/// The rows that lost their processor while they were measured, the worst first.
pub(super) fn disturbed(results: &Results) -> Vec<&Line> {
    let disturbed = results.rows.iter().filter(|line| line.preemptions > 0);
    let mut disturbed: Vec<&Line> = disturbed.collect();
    disturbed.sort_by_key(|line| std::cmp::Reverse(line.preemptions));
    disturbed
}

/// What the host is, in a line.
#[must_use]
pub fn host(host: &Host) -> String {
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let kind = match host.host.as_str() {
        "vmx" => "hardware KVM (VMX)",
        "svm" => "hardware KVM (SVM)",
        _ => "software KVM",
    };
    format!(
        "{kind}, kernel {}, {}, {} of {} cores, huge pages {}, trapless {}",
        or_unknown(&host.kernel),
        or_unknown(&host.cpu),
        host.cpus.len(),
        host.online.len(),
        or_unknown(&host.huge_pages),
        host.version
    )
}

/// How busy it was, in a line.
#[must_use]
pub fn state(host: &Host) -> String {
    let number =
        |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
    format!(
        "load {} before, {} after; processor pressure {} % before, {} % after; on processors {} and {}",
        number(host.load_before),
        number(host.load_after),
        number(host.pressure_before),
        number(host.pressure_after),
        host.first,
        host.second
    )
}

/// How it was measured, in a line.
#[must_use]
pub fn method(results: &Results) -> String {
    let method = &results.method;
    format!(
        "{}{} pairs of blocks of {}, in turn; median of paired ratios with its 95 % interval",
        if method.quick { "quick: " } else { "" },
        method.pairs,
        time(method.block_ns as f64)
    )
}

/// A row's figure: a time, how many fit into a second, or the part of a processor that CPU time in a second is.
#[must_use]
pub fn figure(line: &Line) -> Option<String> {
    let ns = line.cost_ns?.median;
    Some(match line.figure {
        Figure::Cost | Figure::P99 => time(ns),
        Figure::Rate => format!("{}/s", digits(1e9 / ns)),
        Figure::Cpu => format!("{:.3} %", ns / 1e7),
    })
}

/// A time in nanoseconds with a fitting unit, in three digits.
#[must_use]
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 999.5 => (ns, "ns"),
        ns if ns < 999.5e3 => (ns / 1e3, "µs"),
        ns if ns < 999.5e6 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// How often something happens in an operation: with more digits where that is less than once in ten.
#[must_use]
pub fn count(each: f64) -> String {
    match each {
        each if each > 0.0 && each < 0.1 => format!("{each:.4}"),
        each => format!("{each:.2}"),
    }
}

/// A ratio: as it is near 1, as a factor where it is far from it.
#[must_use]
pub fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio > 0.0 && ratio < 0.1 => format!("1/{}", digits(1.0 / ratio)),
        ratio => format!("{}×", digits(ratio)),
    }
}

fn digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value if value < 999.5 => format!("{value:.0}"),
        value => thousands(value),
    }
}

/// Three digits and as many zeros as it takes, in groups: `39,700`.
fn thousands(value: f64) -> String {
    let unit = 10_f64.powf(value.log10().floor() - 2.0);
    let digits = format!("{:.0}", (value / unit).round() * unit);
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a side is called.
#[must_use]
pub fn side(side: Side) -> &'static str {
    match side {
        Side::Called => "called",
        Side::Trapped => "trapped",
        Side::Floor => "floor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (ns, shown) in [
            (0.0, "0.00 ns"),
            (66.04, "66.0 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 µs"),
            (27_512.0, "27.5 µs"),
            (1.5e6, "1.50 ms"),
            (2.5e9, "2.50 s"),
        ] {
            assert_eq!(time(ns), shown);
        }
        assert_eq!(
            [0.0, 0.0042, 0.46, 24.0].map(count),
            ["0.00", "0.0042", "0.46", "24.00"]
        );
        assert_eq!(ratio(1.042), "1.04×");
        assert_eq!(ratio(0.5), "0.50×");
        assert_eq!(ratio(0.0025), "1/400");
        assert_eq!(ratio(412.3), "412×");
        assert_eq!(ratio(999.6), "1,000×");
        assert_eq!(ratio(39_724.0), "39,700×");
        assert_eq!(ratio(1.0 / 2_261_899.0), "1/2,260,000");
    }
}
