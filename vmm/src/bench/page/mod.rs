//! The results as one self-contained page.

use super::results::Results;

/// The page.
#[must_use]
pub fn render(results: &Results) -> String {
    String::new() + &results.kind
}
