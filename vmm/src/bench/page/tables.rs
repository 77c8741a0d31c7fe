//! The table.

use super::Text;
use crate::bench::results::{Line, Results};
use crate::bench::table::{count, disturbed, figure, ratio, side, time};
use std::fmt::{self, Write};

const COLUMNS: [&str; 13] = [
    "",
    "cost",
    "compared",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "exits",
    "kicks",
    "events",
    "CPU, own",
    "CPU, others",
];

/// How many disturbed rows are named.
const WORST: usize = 8;

pub fn write(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str("<h2>The table</h2>\n");
    writeln!(
        page,
        "<p>Cost is the middle of all blocks. Percentiles are of rounds timed one by one, less {} in the guest and {} on the host for the clock \
         itself; – where fewer than ten rounds lie beyond. Exits to user space, kicks (what wakes the host for a device), events (what \
         tells the guest of one) and CPU time are for one operation; the CPU time of others is that \
         of every other thread, such as a partner or poller on the other processor.</p>",
        time(results.method.timer_guest_ns),
        time(results.method.timer_host_ns)
    )?;
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for column in COLUMNS {
        write!(page, "<th>{column}")?;
    }
    page.push_str("</thead>\n<tbody>\n");
    let mut operation = "";
    for line in &results.rows {
        if line.operation != operation {
            operation = &line.operation;
            writeln!(
                page,
                "<tr class=\"operation\"><th colspan=\"{}\"><span>{}</span>",
                COLUMNS.len(),
                Text(operation)
            )?;
        }
        row(page, line)?;
    }
    page.push_str("</tbody>\n</table></div>\n");
    disturbances(page, results)
}

fn row(page: &mut String, line: &Line) -> fmt::Result {
    let name = format!(
        "<tr><td class=\"{}\">{}",
        side(line.side),
        Text(&line.mechanism)
    );
    page.push_str(&name);
    if let Some(reason) = &line.skipped {
        return writeln!(
            page,
            "<td class=\"wide faint\" colspan=\"{}\">skipped: {}",
            COLUMNS.len() - 1,
            Text(reason)
        );
    }
    write!(
        page,
        "<td>{}",
        figure(line).unwrap_or_else(|| "–".to_owned())
    )?;
    page.push_str("<td>");
    for against in &line.against {
        let estimate = against.ratio;
        write!(
            page,
            "<span class=\"ratio\" title=\"{} to {}, {} pairs\">{} of <code>{}</code></span>",
            ratio(estimate.low),
            ratio(estimate.high),
            against.pairs,
            ratio(estimate.median),
            Text(&against.name)
        )?;
        write!(
            page,
            "<span class=\"ratio faint\">{} to {}</span>",
            ratio(estimate.low),
            ratio(estimate.high)
        )?;
    }
    for value in [
        line.p50_ns,
        line.p90_ns,
        line.p99_ns,
        line.p999_ns,
        line.max_ns,
    ] {
        cell(page, value)?;
    }
    for each in [line.exits, line.kicks, line.events] {
        let shown = each.map_or_else(|| "–".to_owned(), count);
        write!(page, "<td>{shown}")?;
    }
    cell(page, line.cpu_own_ns)?;
    cell(page, line.cpu_others_ns)?;
    page.push('\n');
    Ok(())
}

fn cell(page: &mut String, value: Option<f64>) -> fmt::Result {
    match value {
        Some(ns) => write!(page, "<td>{}", time(ns)),
        None => write!(page, "<td>–"),
    }
}

/// What disturbed the rows is said, not taken out.
fn disturbances(page: &mut String, results: &Results) -> fmt::Result {
    let disturbed: Vec<String> = disturbed(results)
        .into_iter()
        .take(WORST)
        .map(|line| {
            format!(
                "<code>{}</code> {}× ({})",
                Text(&line.name),
                line.preemptions,
                time(line.waited_ns as f64)
            )
        })
        .collect();
    if disturbed.is_empty() {
        return writeln!(
            page,
            "<p class=\"faint\">No row lost its processor while it was measured.</p>"
        );
    }
    writeln!(
        page,
        "<p class=\"faint\">Most often lost their processor while they were measured, and waited for it in all: {}. These rounds are in \
         the upper percentiles.</p>",
        disturbed.join(", ")
    )
}
