//! The programs that the probe's VM runs, as bytes. Each leaves through the gate's port; `rcx` is how often it goes round.

use crate::memory::{Memory, OutOfRange};
use crate::platform::gate::CALL_PORT;
use hypercall_abi::{Gpa, map};

const PORT: u8 = CALL_PORT as u8;
const STRIDE: u64 = 32;

/// `dec rcx; jnz`, then one exit.
pub const COUNT: u64 = map::RAM_BASE;
/// Instructions in one round of [`COUNT`].
pub const COUNT_INSTRUCTIONS: u64 = 2;
/// Exits for ever.
pub const EXIT: u64 = COUNT + STRIDE;
/// Writes [`RING`] to the port, `rcx` times, then [`LEAVE`].
pub const BELL: u64 = EXIT + STRIDE;
/// Leaves the time-stamp counter in `edx:eax`, then exits.
pub const TSC: u64 = BELL + STRIDE;

/// The value that rings the bell, where one hangs.
pub const RING: u8 = 1;
/// The value that always exits.
const LEAVE: u8 = 0;

/// Writes all of them.
pub fn write(memory: &Memory) -> Result<(), OutOfRange> {
    let programs: [(u64, &[u8]); 4] = [
        // dec rcx; jnz -5; out PORT, al
        (COUNT, &[0x48, 0xff, 0xc9, 0x75, 0xfb, 0xe6, PORT]),
        // out PORT, al; jmp -4
        (EXIT, &[0xe6, PORT, 0xeb, 0xfc]),
        // mov al, RING; out PORT, al; dec rcx; jnz -7; mov al, LEAVE; out PORT, al
        (
            BELL,
            &[
                0xb0, RING, 0xe6, PORT, 0x48, 0xff, 0xc9, 0x75, 0xf9, 0xb0, LEAVE, 0xe6, PORT,
            ],
        ),
        // rdtsc; out PORT, al
        (TSC, &[0x0f, 0x31, 0xe6, PORT]),
    ];
    programs
        .iter()
        .try_for_each(|(at, code)| memory.write(Gpa(*at), code))
}
