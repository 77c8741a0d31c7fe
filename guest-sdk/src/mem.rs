//! `memcpy` and its family, which compiled Rust code calls and a C library usually has.
//!
//! Weak symbols, so that a kernel's own take precedence. Small sizes go through registers, large ones through string
//! instructions, which today's processors make fast. The routines are in `mem.s`; tests assemble them under other names.

#[cfg(any(pv_guest, target_os = "none"))]
core::arch::global_asm!(
    ".macro routine name",
    ".weak \\name",
    ".type \\name, @function",
    "\\name:",
    ".endm",
    ".text",
    include_str!("mem.s"),
    ".purgem routine",
);

#[cfg(test)]
mod tests {
    core::arch::global_asm!(
        ".macro routine name",
        ".globl tested_\\name",
        "tested_\\name:",
        ".endm",
        ".text",
        include_str!("mem.s"),
        ".purgem routine",
    );

    unsafe extern "C" {
        fn tested_memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
        fn tested_memset(to: *mut u8, byte: i32, len: usize) -> *mut u8;
        fn tested_memcmp(one: *const u8, other: *const u8, len: usize) -> i32;
        fn tested_strlen(text: *const u8) -> usize;
    }

    const LENGTHS: [usize; 20] = [
        0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 511, 512, 513, 1500,
    ];

    fn pattern() -> std::vec::Vec<u8> {
        (0..4096_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect()
    }

    #[test]
    fn moves_overlapping_either_way() {
        for len in LENGTHS {
            for distance in [
                -600_isize, -33, -16, -15, -8, -3, -1, 0, 1, 3, 8, 15, 16, 33, 600,
            ] {
                let (from, to) = (1000_usize, 1000_usize.wrapping_add_signed(distance));
                let mut moved = pattern();
                let mut expected = pattern();
                expected.copy_within(from..from + len, to);
                let base = moved.as_mut_ptr();
                // SAFETY: both ranges lie in the vector.
                let returned = unsafe { tested_memmove(base.add(to), base.add(from), len) };
                assert_eq!(moved, expected, "{len} bytes by {distance}");
                assert_eq!(returned as usize, base as usize + to);
            }
        }
    }

    #[test]
    fn sets_exactly_its_range() {
        for len in LENGTHS {
            let mut set = pattern();
            let mut expected = pattern();
            expected[7..7 + len].fill(0xa5);
            let base = set.as_mut_ptr();
            // SAFETY: the range lies in the vector.
            let returned = unsafe { tested_memset(base.add(7), 0x7a5, len) };
            assert_eq!(set, expected, "{len} bytes");
            assert_eq!(returned as usize, base as usize + 7);
        }
    }

    #[test]
    fn compares_as_unsigned_bytes() {
        for len in LENGTHS {
            let one = pattern();
            // SAFETY: both ranges lie in their vectors.
            assert_eq!(unsafe { tested_memcmp(one.as_ptr(), one.as_ptr(), len) }, 0);
            for at in [0, len / 2, len.saturating_sub(1)] {
                let mut other = pattern();
                other[at] ^= 0x80;
                // SAFETY: as above.
                let order = unsafe { tested_memcmp(one.as_ptr(), other.as_ptr(), len) };
                assert_eq!(
                    order.cmp(&0),
                    one[..len].cmp(&other[..len]),
                    "{len} bytes, difference at {at}"
                );
            }
        }
    }

    #[test]
    fn measures_strings() {
        for text in [c"", c"a", c"four score"] {
            // SAFETY: a C string ends in a zero.
            let len = unsafe { tested_strlen(text.as_ptr().cast()) };
            assert_eq!(len, text.count_bytes());
        }
    }
}
