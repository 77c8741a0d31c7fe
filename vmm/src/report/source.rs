//! The line of source that a report points at. Reads files; owns no wording.
//!
//! The paths come from the image, which may name anything: only regular files with a source file's extension are opened.

use super::symbols::Location;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Files are read up to this many bytes.
const MAX_SOURCE: u64 = 4 << 20;
/// Lines are shown up to this many characters.
const MAX_LINE: usize = 88;

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
    let text: String = line
        .trim_end()
        .chars()
        .take(MAX_LINE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // The compiler counts columns in characters from 1.
    let caret = usize::try_from(column)
        .ok()
        .and_then(|column| column.checked_sub(1))
        .filter(|&before| before < text.chars().count());
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
        assert_eq!(show(&"x".repeat(4000), 1).text.len(), MAX_LINE);
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
