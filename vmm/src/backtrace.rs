//! The walk along a guest's frame pointers. Owns no memory and knows no symbols: it is given a way to read eight
//! bytes, and every value it reads may be a lie.
//!
//! Code built with frame pointers keeps, at `rbp`, the caller's `rbp` and above it the return address; the first
//! frame's saved `rbp` is zero.

#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

/// The most addresses a backtrace has.
pub const MAX_FRAMES: usize = 64;

/// Code addresses, innermost first: `rip`, then the return addresses found from `rbp` on.
///
/// At most `limit` and [`MAX_FRAMES`] of them. `read` answers the eight bytes at an address, or `None` where there is
/// no memory. The walk ends at the first frame that is not 8-aligned, does not lie above the one before, cannot be read, or has a
/// return address of zero.
pub fn walk(rip: u64, rbp: u64, limit: usize, read: impl FnMut(u64) -> Option<u64>) -> Vec<u64> {
    extend(vec![rip], rbp, limit, read)
}

/// Like [`walk`], for a vCPU that faulted on the very fetch of `rip`: a call through a bad pointer.
///
/// The function at `rip` never ran and made no frame, so the call's own return address is still on top of the
/// stack, and the frame at `rbp` is the caller's.
pub fn walk_bad_call(
    rip: u64,
    rsp: u64,
    rbp: u64,
    limit: usize,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Vec<u64> {
    let mut addresses = vec![rip];
    if rsp.is_multiple_of(8) {
        addresses.extend(read(rsp).filter(|&address| address != 0));
    }
    extend(addresses, rbp, limit, read)
}

fn extend(
    mut addresses: Vec<u64>,
    mut rbp: u64,
    limit: usize,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Vec<u64> {
    let limit = limit.min(MAX_FRAMES);
    addresses.truncate(limit);
    while addresses.len() < limit && rbp != 0 && rbp.is_multiple_of(8) {
        let Some(caller) = read(rbp) else { break };
        let Some(address) = rbp.checked_add(8).and_then(&mut read) else {
            break;
        };
        if address == 0 {
            break;
        }
        addresses.push(address);
        if caller <= rbp {
            break;
        }
        rbp = caller;
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Memory made of `(address, word)` pairs.
    fn memory(words: &[(u64, u64)]) -> impl FnMut(u64) -> Option<u64> {
        let words: HashMap<u64, u64> = words.iter().copied().collect();
        move |address| words.get(&address).copied()
    }

    #[test]
    fn follows_frames_and_stops_where_they_stop_making_sense() {
        type Case = (&'static str, u64, &'static [(u64, u64)], &'static [u64]);
        let cases: [Case; 10] = [
            ("no frame pointer", 0, &[], &[1]),
            (
                "to the zero frame",
                0x100,
                &[(0x100, 0x200), (0x108, 2), (0x200, 0), (0x208, 3)],
                &[1, 2, 3],
            ),
            ("rbp unreadable", 0x100, &[], &[1]),
            ("return address unreadable", 0x100, &[(0x100, 0x200)], &[1]),
            ("unaligned", 0x101, &[(0x101, 0x200), (0x109, 2)], &[1]),
            (
                "points at itself",
                0x100,
                &[(0x100, 0x100), (0x108, 2)],
                &[1, 2],
            ),
            (
                "goes back down",
                0x100,
                &[(0x100, 0x80), (0x108, 2), (0x80, 0x100), (0x88, 3)],
                &[1, 2],
            ),
            (
                "leaves memory",
                0x100,
                &[
                    (0x100, 0xffff_ffff_ffff_fff8),
                    (0x108, 2),
                    (0xffff_ffff_ffff_fff8, 0),
                ],
                &[1, 2],
            ),
            (
                "zero return address",
                0x100,
                &[(0x100, 0x200), (0x108, 0)],
                &[1],
            ),
            (
                "next frame unaligned",
                0x100,
                &[(0x100, 0x204), (0x108, 2), (0x204, 0), (0x20c, 3)],
                &[1, 2],
            ),
        ];
        for (name, rbp, words, expected) in cases {
            assert_eq!(walk(1, rbp, MAX_FRAMES, memory(words)), expected, "{name}");
        }
    }

    #[test]
    fn is_bounded() {
        // Every word holds the address 16 bytes further: an endless, well-formed chain.
        let endless = |address: u64| address.checked_add(16);
        assert_eq!(walk(1, 0x100, usize::MAX, endless).len(), MAX_FRAMES);
        assert_eq!(walk(1, 0x100, 3, endless).len(), 3);
        assert_eq!(walk(1, 0x100, 0, endless).len(), 0);
        assert_eq!(walk_bad_call(1, 0x100, 0x100, 1, endless), [1]);
    }

    #[test]
    fn a_bad_call_shows_who_made_it() {
        let words = [(0x80, 9), (0x100, 0), (0x108, 2)];
        assert_eq!(walk_bad_call(0, 0x80, 0x100, 64, memory(&words)), [0, 9, 2]);
        assert_eq!(
            walk_bad_call(0, 0x81, 0x100, 64, memory(&words)),
            [0, 2],
            "stack unaligned"
        );
        assert_eq!(
            walk_bad_call(0, 0x90, 0x100, 64, memory(&words)),
            [0, 2],
            "stack unreadable"
        );
    }
}
