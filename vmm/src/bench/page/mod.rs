//! The results as one self-contained page: a table, plots, and what every row means. No script, nothing fetched.

mod axis;
mod batches;
mod distributions;
mod sides;
mod tables;

use super::results::{Line, Results};
use super::rows::Side;
use super::table;
pub(super) use axis::{Log, decade};
use std::fmt::{self, Display, Write};

/// The page.
#[must_use]
pub fn render(results: &Results) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, results);
    page
}

fn write_page(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    writeln!(page, "<title>trapless bench</title>")?;
    writeln!(page, "<style>\n{}</style>", include_str!("style.css"))?;
    writeln!(page, "<h1>What a call costs, and what trapping costs</h1>")?;
    page.push_str(
        "<p>The same work done by a guest that <b class=\"called\">calls</b> the hypervisor, by one that \
         <b class=\"trapped\">traps</b> into it, and with <b class=\"floor\">nothing of ours</b> in it, measured in turn in one run.</p>\n",
    );
    facts(page, results)?;
    legend(page);
    sides::write(page, results)?;
    tables::write(page, results)?;
    distributions::write(page, results)?;
    batches::write(page, results)?;
    meanings(page, results)?;
    page.push_str("</html>\n");
    Ok(())
}

/// What it ran on and how it was measured.
fn facts(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str("<dl class=\"facts\">");
    for (name, value) in [
        ("host", table::host(&results.host)),
        ("state", table::state(&results.host)),
        ("method", table::method(results)),
        ("date", date(results.host.date)),
    ] {
        writeln!(page, "<dt>{name}<dd>{}", Text(&value))?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

fn legend(page: &mut String) {
    for side in [Side::Called, Side::Trapped, Side::Floor] {
        let name = table::side(side);
        let _ = write!(page, "<span class=\"key {name}\"><i></i>{name}</span>");
    }
    page.push('\n');
}

/// What every row means.
fn meanings(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str("<h2>What the rows mean</h2>\n<div class=\"rows\">\n");
    for line in &results.rows {
        writeln!(
            page,
            "<div><h3 class=\"{}\">{}: {}</h3><p>{} <code class=\"faint\">{}</code></div>",
            table::side(line.side),
            Text(&line.operation),
            Text(&line.mechanism),
            Text(&line.explain),
            Text(&line.name)
        )?;
    }
    page.push_str("</div>\n");
    Ok(())
}

/// The rows that were measured, by operation, in order.
fn operations(results: &Results) -> Vec<(&str, Vec<&Line>)> {
    let mut operations: Vec<(&str, Vec<&Line>)> = Vec::new();
    for line in results.rows.iter().filter(|line| line.skipped.is_none()) {
        match operations.last_mut() {
            Some((name, lines)) if *name == line.operation => lines.push(line),
            _ => operations.push((&line.operation, vec![line])),
        }
    }
    operations
}

/// Text that means nothing to a browser.
pub(super) struct Text<'t>(pub(super) &'t str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A day and a time, UTC, from seconds since 1970. Years are counted from March, so that the leap day comes last.
pub(super) fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, turned) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "{}-{month:02}-{day:02} {hour:02}:{minute:02} UTC",
        era * 400 + year + turned
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_right() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_798_761_599), "2026-12-31 23:59 UTC");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            Text("<b> & \"c\"").to_string(),
            "&lt;b&gt; &amp; &quot;c&quot;"
        );
    }
}
