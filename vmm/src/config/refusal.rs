//! A refused configuration file: where, what was wrong, what would be right.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a configuration file was refused. Displayed, it is `file:line:column: problem` and the line itself with a mark under
/// the offending part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What was wrong; what would be right.
    pub problem: String,
    /// That line.
    source: String,
    /// How many characters of it are marked, at least 1.
    marked: usize,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, line) = (self.path.display(), self.line);
        let gutter = " ".repeat(line.to_string().len());
        // A tab is as wide above the mark as in the line it is under.
        let indent: String = self
            .source
            .chars()
            .chain(std::iter::repeat(' '))
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{path}:{line}:{}: {}", self.column, self.problem)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {}", self.source)?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(self.marked))
    }
}

impl Refusal {
    /// A refusal of the bytes `span` of `text`.
    pub(super) fn new(path: &Path, text: &str, span: Range<usize>, problem: String) -> Refusal {
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let source = text[line_start..].lines().next().unwrap_or_default();
        let marked = text[start..floor_boundary(text, span.end.max(start))]
            .lines()
            .next()
            .unwrap_or_default();
        Refusal {
            path: path.to_owned(),
            line: line(text, start),
            column: text[line_start..start].chars().count() + 1,
            problem,
            source: source.to_owned(),
            marked: marked.chars().count().max(1),
        }
    }

    /// A refusal by the TOML reader or by the tree's types.
    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Refusal {
        let span = error.span().unwrap_or(0..0);
        let source = text.get(span.clone()).unwrap_or_default();
        Refusal::new(path, text, span, in_our_words(error.message(), source))
    }
}

/// The line of a byte of `text`, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    text[..floor_boundary(text, at)].matches('\n').count() + 1
}

/// The nearest character boundary at or below `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// serde and the TOML reader state unknown keys, wrong types and wrong spelling in fixed sentences; these are what a person wants to read instead. Everything else the
/// tree's types have said in their own words.
fn in_our_words(message: &str, source: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (key, known) = rest.split_once("`, expected ").unwrap_or((rest, ""));
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        return unknown("key", key, &known);
    }
    if message == "duplicate key" {
        return "the key is there twice; remove one".to_owned();
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let Some(found) = found.strip_prefix("invalid type: ") else {
        return format!("{found}; expected {expected}");
    };
    let found = match found {
        "map" if source.starts_with(|c: char| c.is_ascii_digit()) => "a date or time",
        "map" => "a table",
        "sequence" => "an array",
        other => other
            .trim_end_matches(" as i128")
            .trim_end_matches(" as u128"),
    };
    let expected = match expected {
        "a boolean" => "true or false",
        other => other,
    };
    format!("found {found}; expected {expected}")
}

/// The sentence about an unknown name: the nearest known one where there is one, and all of them.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance);
    let all = known.join(", ");
    match nearest {
        Some((_, nearest)) => {
            format!("unknown {what} `{name}`; did you mean `{nearest}`? Known here: {all}")
        }
        None => format!("unknown {what} `{name}`; known here: {all}"),
    }
}
