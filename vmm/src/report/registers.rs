//! The block of registers.

use super::text::Colour;
use crate::fault::Registers;
use std::fmt::Write;

/// The general registers in the processor's own numbering.
pub const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// The order in which people look for them.
const ORDER: [usize; 16] = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];

/// Bits of RFLAGS that say something about a guest.
const FLAGS: [(u64, &str); 11] = [
    (1 << 0, "CF"),
    (1 << 2, "PF"),
    (1 << 4, "AF"),
    (1 << 6, "ZF"),
    (1 << 7, "SF"),
    (1 << 8, "TF"),
    (1 << 9, "IF"),
    (1 << 10, "DF"),
    (1 << 11, "OF"),
    (1 << 18, "AC"),
    (1 << 21, "ID"),
];

pub fn render(registers: &Registers, colour: Colour) -> String {
    let general = ORDER
        .iter()
        .filter_map(|&index| Some((*NAMES.get(index)?, *registers.gpr.get(index)?)));
    let cell = |(name, value)| format!("{name:>5} {}", word(value, colour));
    let cells: Vec<String> = general
        .chain([
            ("rip", registers.rip),
            ("cr2", registers.cr2),
            ("cr3", registers.cr3),
        ])
        .map(cell)
        .collect();
    let mut text = format!("{}\n", colour.strong("registers"));
    for row in cells.chunks(4) {
        let _ = writeln!(text, "{}", row.concat());
    }
    let set: Vec<&str> = FLAGS
        .iter()
        .filter(|(bit, _)| registers.rflags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    let bases = [("fs", registers.fs_base), ("gs", registers.gs_base)]
        .map(cell)
        .concat();
    let flags = set.join(" ");
    let _ = writeln!(text, "{bases}  flags {:#x} [{flags}]", registers.rflags);
    text
}

/// Sixteen digits, of which leading zeros are quiet.
fn word(value: u64, colour: Colour) -> String {
    let digits = format!("{value:016x}");
    let zeros = digits
        .len()
        .saturating_sub(digits.trim_start_matches('0').len().max(1));
    let (quiet, loud) = digits.split_at(zeros);
    if quiet.is_empty() {
        return loud.to_owned();
    }
    format!("{}{loud}", colour.quiet(quiet))
}
