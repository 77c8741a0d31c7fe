//! The rule about `/dev/kvm`: a test that needs it fails with one clear line where it is missing, unless
//! [`SKIP_VARIABLE`] is `1`. Then the test is skipped, says so, and is counted in the process's last line.

use crate::skip::skipped;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The environment variable that says to skip.
pub const SKIP_VARIABLE: &str = "TRAPLESS_SKIP_KVM";

/// How many tests of this process were skipped.
static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Ends the test function it stands in, as skipped, where there is no KVM and the environment says to skip.
#[macro_export]
macro_rules! require_kvm {
    () => {
        if !$crate::kvm::available() {
            return;
        }
    };
}

/// Whether this machine has KVM; false means that the calling test is counted as skipped, so ask once in each.
///
/// # Panics
/// Where there is none and the environment does not say to skip.
#[must_use]
pub fn available() -> bool {
    let Err(error) = open() else { return true };
    assert!(
        std::env::var_os(SKIP_VARIABLE).is_some_and(|value| value == "1"),
        "no KVM on this machine: /dev/kvm: {error} ({SKIP_VARIABLE}=1 skips the tests that need it)"
    );
    skip();
    false
}

/// Whether this machine has KVM, for a test that has something to do either way.
#[must_use]
pub fn present() -> bool {
    open().is_ok()
}

fn open() -> std::io::Result<File> {
    File::options().read(true).write(true).open("/dev/kvm")
}

/// Counts the calling test as skipped.
fn skip() {
    if SKIPPED.fetch_add(1, Ordering::Relaxed) == 0 {
        // SAFETY: `print_count` is an `extern "C"` function without arguments, as `atexit` wants, and never unwinds.
        unsafe { libc::atexit(print_count) };
    }
    skipped("no KVM");
}

extern "C" fn print_count() {
    let count = SKIPPED.load(Ordering::Relaxed);
    let _ = writeln!(
        std::io::stderr(),
        "{count} of the tests that passed were skipped: there is no KVM on this machine"
    );
}
