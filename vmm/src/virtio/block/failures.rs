//! What the host could not do for a disk: counted, and the first one in words, for the operator. The guest is told of each by its request's status.

use std::io::{self, ErrorKind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: AtomicU64,
    first: OnceLock<String>,
}

impl Failures {
    /// A request failed.
    pub fn note(&self, error: &io::Error) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.first.get_or_init(|| match error.kind() {
            ErrorKind::UnexpectedEof => "the file is shorter than it was".to_owned(),
            _ => error.to_string(),
        });
    }

    /// How many there were, and why the first was one.
    pub fn so_far(&self) -> (u64, Option<String>) {
        let count = self.count.load(Ordering::Relaxed);
        (count, self.first.get().cloned())
    }
}
