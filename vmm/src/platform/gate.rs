//! What is behind the hypercall page, and the ports the host listens on. Nobody else need know either.

use crate::memory::{Memory, OutOfRange};
use hypercall_abi::{Gpa, doorbell, map};

/// A call.
pub(crate) const CALL_PORT: u16 = 0xe0;
/// An exception, from its ring-0 stub.
pub(crate) const FAULT_PORT: u16 = 0xe1;

/// A doorbell: its number, 32 bits.
pub(crate) const DOORBELL_PORT: u16 = 0xe4;

/// `out CALL_PORT, al; ret`: one exit, registers as they are. The fastest instruction that reaches user space on every
/// kind of host.
const TRAP: [u8; 3] = [0xe6, CALL_PORT as u8, 0xc3];
/// `out DOORBELL_PORT, eax; ret`: the kernel wakes who listens, without an exit.
const RING: [u8; 3] = [0xe7, DOORBELL_PORT as u8, 0xc3];
const _: () = assert!(
    CALL_PORT < 256 && FAULT_PORT < 256 && DOORBELL_PORT < 256,
    "the ports are immediate operands"
);

/// Fills the hypercall page; what is not the gate is `int3`.
pub(crate) fn write(memory: &Memory) -> Result<(), OutOfRange> {
    memory.write(Gpa(map::HYPERCALL_PAGE), &[0xcc; 128])?;
    memory.write(Gpa(map::HYPERCALL_PAGE), &TRAP)?;
    memory.write(Gpa(doorbell::GATE), &RING)
}
