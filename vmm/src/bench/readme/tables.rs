//! The tables.

use super::{RATIOS, WORKS, Work, devices, line, lines, ratio_of};
use crate::bench::page::date;
use crate::bench::results::{Line, Results};
use crate::bench::table::{figure, host, method, ratio, state};
use std::fmt::{self, Write};

/// Where it was measured, what the work costs on each side, and how far from the floors that is.
#[must_use]
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, results);
    text
}

fn write_all(text: &mut String, results: &Results) -> fmt::Result {
    writeln!(
        text,
        "\nMeasured {} on {}; {}. {}.\n",
        date(results.host.date),
        host(&results.host),
        state(&results.host),
        sentence(&method(results))
    )?;
    text.push_str("| | called | called without an exit | trapped and emulated | calling is cheaper by |\n|---|---:|---:|---:|---:|\n");
    for work in WORKS {
        write_work(text, results, work)?;
    }
    devices::write(text, results)?;
    text.push_str("\n| how near to what is possible | ratio | 95 % interval |\n|---|---:|---:|\n");
    for (row, against, words) in RATIOS {
        let found = line(results, row).and_then(|line| ratio_of(line, against));
        if let Some(estimate) = found {
            writeln!(
                text,
                "| {words} (`{row}`) | {} | {} to {} |",
                ratio(estimate.median),
                ratio(estimate.low),
                ratio(estimate.high)
            )?;
        }
    }
    if let Some(idle) = line(results, "idle/cpu").and_then(figure) {
        writeln!(
            text,
            "| CPU time of a VM that waits (`idle/cpu`) | {idle} | |"
        )?;
    }
    text.push('\n');
    Ok(())
}

fn write_work(text: &mut String, results: &Results, work: &Work) -> fmt::Result {
    let sides = [work.called, work.without_exit, work.trapped].map(|names| lines(results, names));
    if sides.iter().all(Vec::is_empty) {
        return Ok(());
    }
    write!(text, "| {} |", work.name)?;
    for side in &sides {
        let figures: Vec<String> = side.iter().filter_map(|line| figure(line)).collect();
        let shown = if figures.is_empty() {
            "–".to_owned()
        } else {
            figures.join("; ")
        };
        write!(text, " {shown} |")?;
    }
    let [called, without_exit, trapped] = &sides;
    let best = cheapest(called.iter().chain(without_exit));
    match (best, cheapest(trapped)) {
        (Some(best), Some(trapped)) => writeln!(text, " {} |", ratio(trapped / best)),
        _ => writeln!(text, " – |"),
    }
}

/// The least cost of some rows, in nanoseconds.
fn cheapest<'l>(lines: impl IntoIterator<Item = &'l &'l Line>) -> Option<f64> {
    let costs = lines.into_iter().filter_map(|line| line.cost_ns);
    costs
        .map(|cost| cost.median)
        .filter(|cost| *cost > 0.0)
        .min_by(f64::total_cmp)
}

/// With a capital first letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase());
    first.into_iter().flatten().chain(letters).collect()
}
