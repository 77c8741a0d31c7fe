//! Random bytes, and what is seeded by them.
//!
//! Owns no generator: bytes come from the host's, with one call a buffer. The `getrandom` crate is served by
//! [`entry!`](crate::entry!), so that `rand` and everything above it works once it is a dependency.
//!
//! ```
//! let mut key = [0_u8; 32];
//! guest_sdk::random::fill(&mut key)?;
//! # Ok::<(), guest_sdk::abi::Status>(())
//! ```

use crate::calls;
use hypercall_abi::{Status, call::MAX_TRANSFER};

/// Fills a buffer with cryptographically secure random bytes.
///
/// # Errors
/// [`Status::DENIED`] where the operator does not grant the class `random`.
pub fn fill(buffer: &mut [u8]) -> Result<(), Status> {
    buffer
        .chunks_mut(MAX_TRANSFER as usize)
        .try_for_each(calls::random)
}

/// A random number: a seed, a port, an identifier.
///
/// # Errors
/// As [`fill`].
pub fn number() -> Result<u64, Status> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// What `getrandom`'s custom backend is, in a program with [`entry!`](crate::entry!).
///
/// # Safety
/// `dest` must be writable for `len` bytes.
#[cfg(any(pv_guest, target_os = "none"))]
#[doc(hidden)]
pub unsafe fn getrandom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    // SAFETY: the caller's promise; the bytes are written before they are made a slice of.
    let buffer = unsafe {
        dest.write_bytes(0, len);
        core::slice::from_raw_parts_mut(dest, len)
    };
    fill(buffer).map_err(|_| getrandom::Error::UNEXPECTED)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_fills_differ() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        super::fill(&mut one).unwrap();
        super::fill(&mut other).unwrap();
        assert_ne!(one, other);
        assert_ne!(super::number(), super::number());
    }
}
