//! Sizes as people write them: `"64MiB"`.
//!
//! Only binary units, because RAM comes in them; a number without a unit is refused rather than guessed at.

/// The units, largest first, with their bytes.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads a size such as `64MiB` or `2 GiB`, in bytes.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let wrong = || {
        format!(
            "{text:?} is not a size; write a whole number with KiB, MiB or GiB, such as \"64MiB\""
        )
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(
            match UNITS.iter().find(|(name, _)| names_loosely(name, unit)) {
                Some((name, _)) => format!("{text:?} is not a size; write \"{digits}{name}\""),
                None => wrong(),
            },
        );
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(*bytes))
        .ok_or_else(|| {
            format!("{text:?} is more than any machine has; write a size such as \"64MiB\"")
        })
}

/// Whether `written` is `MiB` as people also write it: `M`, `MB`, `mib`, `Mi`.
fn names_loosely(unit: &str, written: &str) -> bool {
    let (unit, written) = (unit.to_lowercase(), written.to_lowercase());
    !written.is_empty()
        && (written == unit
            || written == unit[..1]
            || written == unit[..2]
            || written == unit.replace('i', ""))
}

/// A size in the largest unit that divides it, as [`parse`] reads it.
#[must_use]
pub fn render(bytes: u64) -> String {
    for (name, unit) in UNITS {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::{parse, render};

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, bytes) in [
            ("4KiB", 4096),
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("1536MiB", 3 << 29),
        ] {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(render(bytes), text);
        }
        assert_eq!(parse("2 GiB"), Ok(2 << 30));
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_the_right_spelling() {
        for (text, right) in [
            ("64MB", "write \"64MiB\""),
            ("64M", "write \"64MiB\""),
            ("1g", "write \"1GiB\""),
            ("64mib", "write \"64MiB\""),
            ("64", "such as \"64MiB\""),
            ("MiB", "such as \"64MiB\""),
            ("", "such as \"64MiB\""),
            ("-1MiB", "such as \"64MiB\""),
            ("1.5GiB", "such as \"64MiB\""),
            ("64 parsecs", "such as \"64MiB\""),
            ("६४MiB", "such as \"64MiB\""),
            ("99999999999GiB", "more than any machine has"),
            ("99999999999999999999GiB", "more than any machine has"),
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.contains(right), "{text:?}: {refusal}");
        }
    }
}
