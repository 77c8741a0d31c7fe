//! What the same work costs with nothing of ours in it: the limits that calls are held against.

pub mod bare;
pub mod disk;
pub mod loopback;
pub mod program;
pub mod system;
pub mod threads;
