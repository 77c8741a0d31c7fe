//! The plot of what a call costs against how many are submitted together, where there are such rows.

use super::Text;
use super::axis::{Log, decade};
use crate::bench::results::{Line, Results};
use crate::bench::table::{side, time};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

const WIDTH: f64 = 420.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 220.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 346.0;

pub fn write(page: &mut String, results: &Results) -> fmt::Result {
    let mut series: BTreeMap<&str, Vec<(f64, f64, &Line)>> = BTreeMap::new();
    for line in &results.rows {
        let (Some((family, _)), Some(cost)) = (family(line), line.cost_ns) else {
            continue;
        };
        let point = (f64::from(line.per), cost.median, line);
        series.entry(family).or_default().push(point);
    }
    series.retain(|_, points| points.len() > 1);
    let all = || series.values().flatten();
    let (Some(sizes), Some(costs)) = (
        Log::over(all().map(|point| point.0), 2.0, LEFT, RIGHT),
        Log::over(all().map(|point| point.1), 10.0, BOTTOM, TOP),
    ) else {
        return Ok(());
    };
    page.push_str("<h2>Many calls at once</h2>\n<p>What one call costs when so many are queued and submitted together. Both axes are logarithmic.</p>\n");
    writeln!(
        page,
        "<svg class=\"one\" viewBox=\"0 0 {WIDTH} 258\" role=\"img\" aria-label=\"cost of a call by batch size\">"
    )?;
    for power in costs.powers(10.0) {
        let (y, name) = (costs.at(power), decade(power));
        write!(page, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>")?;
        writeln!(
            page,
            "<text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 5.0,
            y + 4.0
        )?;
    }
    let mut sizes_shown: Vec<f64> = all().map(|point| point.0).collect();
    sizes_shown.sort_by(f64::total_cmp);
    sizes_shown.dedup();
    for size in sizes_shown {
        let x = sizes.at(size);
        writeln!(
            page,
            "<text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{size}</text>",
            BOTTOM + 16.0
        )?;
    }
    for (family, points) in &series {
        curve(page, family, points, &sizes, &costs)?;
    }
    writeln!(
        page,
        "<text class=\"faint\" x=\"{LEFT}\" y=\"254\">calls in a batch</text></svg>"
    )
}

/// What a row with a batch's size as the last part of its name, such as `batch/trap/64`, belongs to, and the size.
fn family(line: &Line) -> Option<(&str, u32)> {
    let (family, size) = line.name.rsplit_once('/')?;
    let size = size.parse().ok()?;
    (family.starts_with("batch/") && size == line.per).then_some((family, size))
}

fn curve(
    page: &mut String,
    family: &str,
    points: &[(f64, f64, &Line)],
    sizes: &Log,
    costs: &Log,
) -> fmt::Result {
    let Some((_, _, first)) = points.first() else {
        return Ok(());
    };
    let class = side(first.side);
    let mut path = String::new();
    for (size, cost, _) in points {
        let begin = if path.is_empty() { 'M' } else { 'L' };
        write!(path, "{begin}{:.1} {:.1}", sizes.at(*size), costs.at(*cost))?;
    }
    writeln!(
        page,
        "<path class=\"{class}\" style=\"fill:none\" stroke-width=\"1.8\" d=\"{path}\"/>"
    )?;
    for (size, cost, _) in points {
        let (x, y) = (sizes.at(*size), costs.at(*cost));
        writeln!(
            page,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
             <text class=\"clear\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 4.0,
            y - 8.0,
            time(*cost)
        )?;
    }
    if let Some((size, cost, _)) = points.last() {
        writeln!(
            page,
            "<text class=\"clear\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            sizes.at(*size) + 10.0,
            costs.at(*cost) + 10.0,
            Text(family)
        )?;
    }
    Ok(())
}
