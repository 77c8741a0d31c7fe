//! The line of source that a report points at. Reads files; owns no wording.
//!
//! The paths come from the image, which may name anything: only regular files with a source file's extension are opened.

use super::symbols::Location;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Files are read up to this many bytes.
const MAX_SOURCE: u64 = 4 << 20;
/// Of a line this many characters are shown.
const MAX_LINE: usize = 88;
/// Of a line that is too long, this many characters before the one pointed at are shown.
const LEAD: usize = 60;

/// One line of source, ready to print.
#[derive(Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without control characters.
    pub text: String,
    /// How many characters stand before the one that the location points at; `None` where it points at none of them.
    pub caret: Option<usize>,
}

/// The line at `location`, or `None` where it cannot be had.
pub fn excerpt(location: &Location) -> Option<Excerpt> {
    let path = Path::new(&location.file);
    let known = matches!(path.extension()?.to_str()?, "rs" | "s" | "S" | "c" | "h");
    if !known || !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let reader = BufReader::new(File::open(path).ok()?.take(MAX_SOURCE));
    let index = usize::try_from(location.line).ok()?.checked_sub(1)?;
    let line = reader.lines().nth(index)?.ok()?;
    Some(show(&line, location.column))
}

fn show(line: &str, column: u32) -> Excerpt {
    let line: Vec<char> = line
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // The compiler counts columns in characters from 1.
    let caret = usize::try_from(column)
        .ok()
        .and_then(|column| column.checked_sub(1))
        .filter(|&before| before < line.len());
    let skipped = match caret {
        Some(before) if before >= MAX_LINE => before.saturating_sub(LEAD),
        _ => 0,
    };
    let mut text: String = line.iter().skip(skipped).take(MAX_LINE).collect();
    if skipped != 0 {
        text.insert_str(0, "… ");
    }
    if line.len().saturating_sub(skipped) > MAX_LINE {
        text.push_str(" …");
    }
    let inserted = if skipped == 0 { 0 } else { 2 };
    let caret = caret.map(|before| before.saturating_sub(skipped).saturating_add(inserted));
    Excerpt { text, caret }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_characters() {
        let shown = show("\tläuft(\u{1b}x);  ", 2);
        assert_eq!(
            shown,
            Excerpt {
                text: " läuft( x);".to_owned(),
                caret: Some(1)
            }
        );
        assert_eq!(show("ab", 0).caret, None);
        assert_eq!(show("ab", 3).caret, None);
        assert_eq!(show("ab", u32::MAX).caret, None);
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let line: String = ('a'..='z').cycle().take(4000).collect();
        for column in [1, 50, 88, 89, 500, 3990, 4000] {
            let shown = show(&line, column);
            let caret = shown.caret.unwrap_or(usize::MAX);
            assert_eq!(
                shown.text.chars().nth(caret),
                line.chars().nth(column as usize - 1)
            );
            assert!(shown.text.chars().count() <= MAX_LINE + 4, "{shown:?}");
        }
        assert!(show(&line, 5000).text.ends_with(" …"));
    }

    #[test]
    fn opens_source_files_only() {
        let at = |file: &str, line| {
            excerpt(&Location {
                file: file.to_owned(),
                line,
                column: 1,
            })
        };
        assert_eq!(at("/etc/passwd", 1), None);
        assert_eq!(at("/dev/zero", 1), None);
        assert_eq!(at("/", 1), None);
        assert_eq!(at("", 1), None);
        let this = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/source.rs");
        assert!(at(this, 1).is_some_and(|first| first.text.starts_with("//! The line of source")));
        assert_eq!(at(this, 0), None);
        assert_eq!(at(this, u32::MAX), None);
    }
}
