//! The plot of every operation's cost, side by side: called, trapped, floor.

use super::axis::{Log, decades, figure};
use super::{Text, operations};
use crate::bench::results::{Line, Results};
use crate::bench::rows::Figure;
use crate::bench::table::{side, time};
use std::fmt::{self, Write};

const WIDTH: f64 = 380.0;
const BAR: f64 = 12.0;
const ROW: f64 = 34.0;
const HEAD: f64 = 24.0;

pub fn write(page: &mut String, results: &Results) -> fmt::Result {
    let shown = |line: &Line| line.figure != Figure::Cpu && line.cost_ns.is_some();
    let costs = results.rows.iter().filter(|line| shown(line));
    let costs = costs.filter_map(|line| line.cost_ns);
    let Some(axis) = Log::over(costs.map(|cost| cost.median), 10.0, 4.0, WIDTH - 76.0) else {
        return Ok(());
    };
    page.push_str("<h2>What an operation costs</h2>\n<p>On a logarithmic axis: each line is ten times the one before. The strong end of a bar is its 95 % interval.</p>\n<div class=\"plots\">\n");
    for (name, lines) in operations(results) {
        let lines: Vec<&Line> = lines.into_iter().filter(|line| shown(line)).collect();
        if lines.is_empty() {
            continue;
        }
        let bottom = HEAD + ROW * lines.len() as f64;
        let height = bottom + 22.0;
        figure(page, WIDTH, height, name)?;
        decades(page, &axis, HEAD, bottom)?;
        for (index, line) in lines.iter().enumerate() {
            bar(page, &axis, HEAD + ROW * index as f64, line)?;
        }
        page.push_str("</svg>\n");
    }
    page.push_str("</div>\n");
    Ok(())
}

fn bar(page: &mut String, axis: &Log, top: f64, line: &Line) -> fmt::Result {
    let Some(cost) = line.cost_ns else {
        return Ok(());
    };
    let start = axis.at(0.0);
    let (low, end, high) = (axis.at(cost.low), axis.at(cost.median), axis.at(cost.high));
    let (class, y) = (side(line.side), top + 17.0);
    writeln!(
        page,
        "<text x=\"{start:.1}\" y=\"{:.1}\">{}</text>",
        top + 13.0,
        Text(&line.mechanism)
    )?;
    writeln!(
        page,
        "<rect class=\"{class}\" opacity=\".65\" x=\"{start:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
        (end - start).max(1.0)
    )?;
    writeln!(
        page,
        "<rect class=\"{class}\" x=\"{low:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
        (high - low).max(2.0)
    )?;
    writeln!(
        page,
        "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        high.max(end) + 6.0,
        y + BAR - 1.5,
        time(cost.median)
    )
}
