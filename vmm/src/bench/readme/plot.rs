//! The plot: the same work's cost on the three sides, as a file of its own that fits a light and a dark page.

use super::{WORKS, lines};
use crate::bench::page::{Log, Text, date, decade};
use crate::bench::results::{Line, Results};
use crate::bench::table::{host, time};
use std::fmt::{self, Write};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = WIDTH - 74.0;
const TOP: f64 = 58.0;
const BAR: f64 = 12.0;
/// From one work's last bar to the next one's first.
const GAP: f64 = 12.0;

const SIDES: [(&str, &str); 3] = [
    ("called", "called"),
    ("without", "called without an exit"),
    ("trapped", "trapped and emulated"),
];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1b1f1d}.title{font-size:14px;font-weight:600}.faint{fill:#5c6661}\
.grid{stroke:#d7dcd8}.ground{fill:#fcfcfb}.called{fill:#0b7a5c}.without{fill:#3f6fd0}.trapped{fill:#b4521b}\
@media(prefers-color-scheme:dark){text{fill:#e6ebe8}.faint{fill:#98a49e}.grid{stroke:#323b36}.ground{fill:#121614}\
.called{fill:#4fcfa4}.without{fill:#8fb0ff}.trapped{fill:#f0955a}}";

/// A work and its rows that were measured, with the class of each.
type Group<'r> = (&'static str, Vec<(&'static str, &'r Line)>);

/// The file. Empty but for its heading where nothing of it was measured.
#[must_use]
pub fn render(results: &Results) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut svg, results);
    svg
}

fn write_all(svg: &mut String, results: &Results) -> fmt::Result {
    let groups: Vec<Group> = groups(results);
    let bars: usize = groups.iter().map(|(_, lines)| lines.len()).sum();
    let bottom = TOP + bars as f64 * (BAR + 2.0) + groups.len() as f64 * GAP;
    let height = bottom + 46.0;
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>What an operation costs, called and \
         trapped</title>\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"100%\" height=\"100%\"/>"
    )?;
    writeln!(
        svg,
        "<text class=\"title\" x=\"12\" y=\"22\">What an operation costs (each line is ten times the one before)</text>"
    )?;
    legend(svg)?;
    let costs = groups.iter().flat_map(|(_, lines)| lines);
    let costs = costs.filter_map(|(_, line)| Some(line.cost_ns?.median));
    let Some(axis) = Log::over(costs, 10.0, LEFT, RIGHT) else {
        return svg.write_str("</svg>\n");
    };
    for power in axis.powers(10.0) {
        let (x, name) = (axis.at(power), decade(power));
        writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/><text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            bottom + 15.0
        )?;
    }
    let mut y = TOP + GAP / 2.0;
    for (name, lines) in &groups {
        let middle = y + lines.len() as f64 * (BAR + 2.0) / 2.0 + 3.0;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            Text(name)
        )?;
        for (class, line) in lines {
            bar(svg, &axis, y, class, line)?;
            y += BAR + 2.0;
        }
        y += GAP;
    }
    writeln!(
        svg,
        "<text class=\"faint\" x=\"12\" y=\"{:.1}\">{}; {}</text>\n</svg>",
        height - 10.0,
        Text(&short(&host(&results.host))),
        date(results.host.date)
    )
}

fn groups(results: &Results) -> Vec<Group<'_>> {
    let group = |work: &super::Work| {
        let sides = [work.called, work.without_exit, work.trapped];
        let classes = SIDES.iter().map(|(class, _)| *class);
        let bars = classes.zip(sides).flat_map(|(class, names)| {
            let lines = lines(results, names).into_iter();
            lines.map(move |line| (class, line))
        });
        (work.name, bars.collect())
    };
    let groups = WORKS.iter().map(group);
    groups
        .filter(|(_, bars): &Group| !bars.is_empty())
        .collect()
}

fn legend(svg: &mut String) -> fmt::Result {
    let mut x = 12.0;
    for (class, name) in SIDES {
        writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.0}\" y=\"34\" width=\"12\" height=\"12\" rx=\"2\"/><text x=\"{:.0}\" y=\"44\">{name}</text>",
            x + 18.0
        )?;
        x += 46.0 + 6.6 * name.len() as f64;
    }
    Ok(())
}

fn bar(svg: &mut String, axis: &Log, y: f64, class: &str, line: &Line) -> fmt::Result {
    let cost = line.cost_ns.map_or(0.0, |cost| cost.median);
    let (start, end) = (axis.at(0.0), axis.at(cost));
    writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{start:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"><title>{}</title></rect>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        (end - start).max(1.0),
        Text(&line.name),
        end + 5.0,
        y + BAR - 1.5,
        time(cost)
    )
}

/// What fits below the plot.
fn short(host: &str) -> String {
    host.split(", ").take(3).collect::<Vec<_>>().join(", ")
}
