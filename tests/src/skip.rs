//! What a test says that cannot be run on this machine.

use std::io::Write;

/// Says why the calling test cannot be run here.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // Straight to the stream: the test harness keeps what `eprintln!` says of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped, {why}: {name}");
}

/// Whether this machine has one processor, where nobody polls a line or looks at a ring while the guest runs; then the calling test is said to be skipped.
#[must_use]
pub fn one_processor() -> bool {
    let one = std::thread::available_parallelism().map_or(1, usize::from) < 2;
    if one {
        skipped("one processor");
    }
    one
}
