//! Command line arguments and environment variables, as the VM's configuration gives them.
//!
//! Owns nothing: the strings lie in guest memory from boot on, and are handed out as they are.
//!
//! ```
//! use guest_sdk::env;
//! let name = env::args().next().unwrap_or("guest");
//! let verbose = env::var("VERBOSE").is_some();
//! # let _ = (name, verbose);
//! ```

use crate::platform::boot;
use hypercall_abi::Gpa;
use hypercall_abi::boot::Bytes;

/// The arguments; the first is the image's name.
pub fn args() -> impl ExactSizeIterator<Item = &'static str> + DoubleEndedIterator {
    let page = boot();
    table(page.args, page.args_count).iter().map(text)
}

/// The environment variables, as name and value.
pub fn vars() -> impl Iterator<Item = (&'static str, &'static str)> {
    let page = boot();
    table(page.env, page.env_count)
        .iter()
        .map(text)
        .map(|variable| variable.split_once('=').unwrap_or((variable, "")))
}

/// The value of an environment variable.
#[must_use]
pub fn var(name: &str) -> Option<&'static str> {
    vars()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn table(start: Gpa, count: u64) -> &'static [Bytes] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the boot page's tables are `count` entries in memory that the host set aside for them, and
    // that neither the heap nor the stack reaches.
    unsafe { core::slice::from_raw_parts(start.0 as *const Bytes, count as usize) }
}

/// The host checks its configuration to be UTF-8; a byte that is not ends the text.
fn text(entry: &Bytes) -> &'static str {
    if entry.len == 0 {
        return "";
    }
    // SAFETY: as in `table`.
    let bytes =
        unsafe { core::slice::from_raw_parts(entry.gpa.0 as *const u8, entry.len as usize) };
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_variables_are_the_process_own() {
        assert!(args().eq(std::env::args()));
        assert_eq!(var("PATH"), std::env::var("PATH").ok().as_deref());
        assert_eq!(var("NO_SUCH_VARIABLE"), None);
    }
}
