//! How text from a guest or an image is made safe and short enough to print, and how a terminal is coloured.

use std::borrow::Cow;

/// Whether the report may use a terminal's colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI escape sequences.
    Ansi,
}

impl Colour {
    /// What happened.
    pub(super) fn alarm(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A heading or a name worth finding.
    pub(super) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// The frame around an excerpt, and marks in it.
    pub(super) fn mark(self, text: &str) -> String {
        self.paint("1;34", text)
    }

    /// What seldom matters.
    pub(super) fn quiet(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Colour::Never => text.to_owned(),
            Colour::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The text with everything that a terminal would obey written out; line ends and tabs stay where `lines` says so.
pub fn safe(text: &str, lines: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if lines && matches!(c, '\n' | '\t') {
            safe.push(c);
        } else if c.is_control() || is_bidi(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Characters that reorder what is around them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in at most `width` characters: the middle of a longer one is left out, as its beginning says where it
/// belongs and its end what it is.
pub fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= width {
        return Cow::Borrowed(text);
    }
    let kept = width.saturating_sub(1);
    let head = kept / 2;
    let tail = kept.saturating_sub(head);
    let mut short: String = text.chars().take(head).collect();
    short.push('…');
    short.extend(text.chars().skip(length.saturating_sub(tail)));
    Cow::Owned(short)
}

/// The text in lines of at most `width` characters, broken at spaces; a longer word keeps its line to itself.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(length) < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A path as short as an operator would write it: relative to `directory` if below it, and without the machine's own
/// prefix if it is the standard library's or a registry crate's.
pub fn short_path(path: &str, directory: Option<&str>) -> String {
    let own = |path: &str, marks: &[&str], keep: &str| {
        let mark = marks.iter().find_map(|mark| path.split_once(mark))?;
        Some(format!("{keep}{}", mark.1))
    };
    let below = directory
        .and_then(|directory| path.strip_prefix(directory))
        .and_then(|rest| rest.strip_prefix('/'));
    let short = below.map(str::to_owned).or_else(|| {
        own(path, &["/lib/rustlib/src/rust/library/"], "library/").or_else(|| {
            let rest = own(path, &["/rustc/", "/registry/src/"], "")?;
            rest.split_once('/').map(|(_, rest)| rest.to_owned())
        })
    });
    safe(short.as_deref().unwrap_or(path), false)
}

/// Whether a path is the standard library's.
pub fn is_standard_library(path: &str) -> bool {
    path.starts_with("/rustc/") || path.contains("/lib/rustlib/src/rust/library/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_does_not_drive_the_terminal() {
        assert_eq!(safe("a\x1b[2Jb\r\n", false), "a\\u{1b}[2Jb\\r\\n");
        assert_eq!(safe("a\n\tb\0", true), "a\n\tb\\u{0}");
        assert_eq!(safe("é\u{202e}x\u{9b}", false), "é\\u{202e}x\\u{9b}");
    }

    #[test]
    fn keeps_both_ends() {
        assert_eq!(shorten("abcdefgh", 8), "abcdefgh");
        assert_eq!(shorten("abcdefghi", 8), "abc…fghi");
        assert_eq!(shorten("äöüäöü", 3), "ä…ü");
        assert_eq!(shorten("ab", 1), "…");
        assert_eq!(shorten("ab", 0), "…");
    }

    #[test]
    fn breaks_at_spaces() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("a bc def", 5), ["a bc", "def"]);
        assert_eq!(wrap("abcdef g", 3), ["abcdef", "g"]);
        assert_eq!(wrap("", 3), [""]);
    }

    #[test]
    fn paths_lose_what_every_path_has() {
        let home = Some("/home/me/project");
        assert_eq!(
            short_path("/home/me/project/src/main.rs", home),
            "src/main.rs"
        );
        assert_eq!(
            short_path("/home/me/projects/x.rs", home),
            "/home/me/projects/x.rs"
        );
        assert_eq!(
            short_path("/rustc/59807616e/library/core/src/ptr/mod.rs", home),
            "library/core/src/ptr/mod.rs"
        );
        assert_eq!(
            short_path("/x/lib/rustlib/src/rust/library/core/src/a.rs", None),
            "library/core/src/a.rs"
        );
        assert_eq!(
            short_path("/c/registry/src/index-1/spin-0.12.3/src/lib.rs", None),
            "spin-0.12.3/src/lib.rs"
        );
        assert_eq!(short_path("a\x1b.rs", None), "a\\u{1b}.rs");
        assert_eq!(short_path("", Some("")), "");
    }
}
