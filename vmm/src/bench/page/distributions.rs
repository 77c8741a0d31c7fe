//! The plot of every row's distribution: how many of its rounds took longer than a time, both axes logarithmic, so that the tail is seen.

use super::axis::{Log, decades, figure};
use super::{Text, operations};
use crate::bench::results::{Line, Results};
use crate::bench::table::{side, time};
use std::fmt::{self, Write};

const WIDTH: f64 = 380.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 192.0;
const LEFT: f64 = 44.0;
/// Dashes that tell apart the rows of one side.
const DASHES: [&str; 4] = ["none", "6 3", "2 3", "9 3 2 3"];

pub fn write(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str(
        "<h2>How long single rounds take</h2>\n<p>A line shows which part of the rounds took longer than a time: all of them, one in ten, one in a hundred. It falls steeply where nearly all rounds take \
         the same, and its foot is the slowest one. Both axes are logarithmic.</p>\n<div class=\"plots\">\n",
    );
    for (name, lines) in operations(results) {
        let lines: Vec<&Line> = lines.into_iter().filter(|line| line.samples > 0).collect();
        // As many as there are dashes to tell them apart.
        for lines in lines.chunks(DASHES.len()) {
            plot(page, name, lines)?;
        }
    }
    page.push_str("</div>\n");
    Ok(())
}

fn plot(page: &mut String, name: &str, lines: &[&Line]) -> fmt::Result {
    let edges = lines
        .iter()
        .flat_map(|line| line.histogram.iter().map(|(_, to, _)| *to));
    let Some(times) = Log::over(edges, 10.0, LEFT, WIDTH - 8.0) else {
        return Ok(());
    };
    let most = lines.iter().map(|line| line.samples).max().unwrap_or(1);
    let Some(parts) = Log::over([0.99, 1.0 / most as f64].into_iter(), 10.0, BOTTOM, TOP) else {
        return Ok(());
    };
    let height = BOTTOM + 24.0 + 18.0 * lines.len() as f64;
    figure(page, WIDTH, height, name)?;
    decades(page, &times, TOP, BOTTOM)?;
    let powers = parts.powers(10.0);
    let step = powers.len().div_ceil(6);
    for power in powers.iter().rev().step_by(step) {
        let (y, name) = (parts.at(*power), one_in(1.0 / power));
        write!(
            page,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/>",
            WIDTH - 8.0
        )?;
        writeln!(
            page,
            "<text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 5.0,
            y + 4.0
        )?;
    }
    for (index, line) in lines.iter().enumerate() {
        let dash = dash(lines, index);
        let y = BOTTOM + 34.0 + 18.0 * index as f64;
        curve(page, line, &times, &parts, dash)?;
        sample(page, line, y, dash)?;
    }
    page.push_str("</svg>\n");
    Ok(())
}

/// A part of all, by how many there is one in.
fn one_in(many: f64) -> String {
    match many {
        many if many < 1.5 => "all".to_owned(),
        many if many < 900.0 => format!("1:{many:.0}"),
        many if many < 900e3 => format!("1:{:.0}k", many / 1e3),
        many => format!("1:{:.0}M", many / 1e6),
    }
}

/// The dash of a row: solid for the first of its side.
fn dash(lines: &[&Line], index: usize) -> &'static str {
    let side = lines.get(index).map(|line| line.side);
    let before = lines
        .iter()
        .take(index)
        .filter(|line| Some(line.side) == side);
    DASHES
        .get(before.count() % DASHES.len())
        .copied()
        .unwrap_or("none")
}

fn curve(page: &mut String, line: &Line, times: &Log, parts: &Log, dash: &str) -> fmt::Result {
    let mut beyond = line.samples;
    write!(
        page,
        "<path class=\"{}\" style=\"fill:none\" stroke-width=\"1.8\" stroke-dasharray=\"{dash}\" d=\"M{:.1} {:.1}",
        side(line.side),
        times.at(line.histogram.first().map_or(0.0, |(from, ..)| *from)),
        parts.at(1.0)
    )?;
    for (_, to, count) in &line.histogram {
        beyond = beyond.saturating_sub(*count);
        let y = if beyond == 0 {
            parts.at(0.0)
        } else {
            parts.at(beyond as f64 / line.samples as f64)
        };
        write!(page, "L{:.1} {y:.1}", times.at(*to))?;
    }
    page.push_str("\"/>\n");
    Ok(())
}

/// The row's line and name, below the plot.
fn sample(page: &mut String, line: &Line, y: f64, dash: &str) -> fmt::Result {
    let class = side(line.side);
    let middle = line.p50_ns.map_or_else(|| "–".to_owned(), time);
    writeln!(
        page,
        "<path class=\"{class}\" stroke-width=\"1.8\" stroke-dasharray=\"{dash}\" d=\"M{LEFT} {:.1}h26\"/>\
         <text x=\"{:.1}\" y=\"{y:.1}\">{}: half above {middle}</text>",
        y - 4.0,
        LEFT + 32.0,
        Text(&line.mechanism)
    )
}
