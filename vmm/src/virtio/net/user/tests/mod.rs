//! The network with a guest in the same process, against sockets of the host's.

mod calls;
mod datagrams;
pub(crate) mod fuzz;
mod garbage;
mod guest;
mod hostile;
mod streams;

/// Bytes that repeat nowhere near.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(next).collect()
}
