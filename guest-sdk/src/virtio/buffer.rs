//! What a request carries: memory that its driver hands over to the device and gets back with the completion.
//!
//! Owns the rule of which memory that can be. Where it is kept meanwhile is [`queue`](super::queue)'s business.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Memory that a request can own while a device reads or writes it.
///
/// # Safety
/// `bytes` returns the same memory each time, for as long as the value lives, also after the value was moved; nobody else reads or
/// writes it meanwhile. It lies in ordinary memory, where physical and virtual addresses are the same: heap and statics do, unless the program has
/// [mapped](crate::paging::Edit::map) other pages there, and then it must not use them for this.
pub unsafe trait Buffer: Send + 'static {
    /// All of it.
    fn bytes(&mut self) -> &mut [u8];
}

// SAFETY: a box's memory stays where it is, and is its owner's alone.
unsafe impl Buffer for Box<[u8]> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

// SAFETY: as a slice in a box.
unsafe impl<const LEN: usize> Buffer for Box<[u8; LEN]> {
    fn bytes(&mut self) -> &mut [u8] {
        &mut **self
    }
}

// SAFETY: a vector's memory stays where it is while nobody changes its length, which takes the vector.
unsafe impl Buffer for Vec<u8> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

// SAFETY: borrowed exclusively and for ever.
unsafe impl Buffer for &'static mut [u8] {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

/// A request's data, and which way it goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Data<B> {
    /// There is none.
    None,
    /// The device reads it.
    Out(B),
    /// The device writes it.
    In(B),
}

impl<B> Data<B> {
    /// The buffer, whichever way it went.
    pub fn into_buffer(self) -> Option<B> {
        match self {
            Data::None => None,
            Data::Out(buffer) | Data::In(buffer) => Some(buffer),
        }
    }
}
