//! What is behind the hypercall page, and the ports the host listens on. Nobody else need know either.

use crate::memory::{Memory, OutOfRange};
use hypercall_abi::{Gpa, map};

/// A call.
pub(crate) const CALL_PORT: u16 = 0xe0;
/// An exception, from its ring-0 stub.
pub(crate) const FAULT_PORT: u16 = 0xe1;

/// `out CALL_PORT, al; ret`: one exit, registers as they are. The fastest instruction that reaches user space on every
/// kind of host.
const TRAP: [u8; 3] = [0xe6, CALL_PORT as u8, 0xc3];
const _: () = assert!(
    CALL_PORT < 256 && FAULT_PORT < 256,
    "the ports are immediate operands"
);

/// Fills the hypercall page; what is not the gate is `int3`.
pub(crate) fn write(memory: &Memory) -> Result<(), OutOfRange> {
    let mut page = [0xcc; 64];
    let (gate, _) = page.split_at_mut(TRAP.len());
    gate.copy_from_slice(&TRAP);
    memory.write(Gpa(map::HYPERCALL_PAGE), &page)
}
