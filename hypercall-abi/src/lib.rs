//! The contract between a Trapless guest and the hypervisor.
//!
//! Both sides compile this crate and nothing else of each other, and no call number, address or
//! layout is written down anywhere else. It is meant to be read in one sitting, in this order:
//!
//! | module | what it fixes |
//! |---|---|
//! | [`call`] | how a call travels, the table of calls |
//! | [`class`] | the groups of calls a VM may be granted |
//! | [`status`] | what a call answers |
//! | [`map`] | where things are in the guest's physical address space |
//! | [`boot`] | the boot page: what a guest is told before its first instruction |
//! | [`info`] | the shared-info page: time, clone generation |
//! | [`vcpu`] | the vCPU page: events, the call line, the registration of a batch ring, the last call's times |
//! | [`mod@line`] | the handshake of a call line, as code |
//! | [`batch`] | an entry of a batch ring |
//! | [`fault`] | the frame of an exception that is reflected to the guest, and of a panic |
//! | [`doorbell`] | one-way kicks |
//! | [`device`] | how a device is described and set up |
//! | [`console`] | what a console with several ports has by number |
//! | [`net`] | what a network card has by number |
//! | [`vsock`] | what sockets to the host have by number |
//! | [`note`] | the ELF note every guest image carries |
//! | [`words`] | what both sides change while they share it, as atomic words |
//! | [`version`] | how this contract may change |
//!
//! # Rules of the wire
//! - Integers only, little-endian, naturally aligned; no `bool`, no enum, no pointer. Every struct
//!   asserts its size and offsets at compile time, beside its definition.
//! - A guest-physical address is a [`Gpa`]: the host cannot dereference it by accident.
//! - Reserved fields are written as zero and ignored when read.
//! - Field docs say who may write: *host*, *guest* or *both*.
#![no_std]
#![forbid(unsafe_code)]

/// Asserts the size of a struct and the offsets of its fields, at compile time.
macro_rules! layout {
    ($ty:ty, size $size:literal, $($field:ident @ $offset:literal),+ $(,)?) => {
        const _: () = {
            assert!(core::mem::size_of::<$ty>() == $size, concat!(
                "the size of ", stringify!($ty), " is part of the ABI: see `version` for how it may change"));
            $(assert!(core::mem::offset_of!($ty, $field) == $offset, concat!(
                "the offset of ", stringify!($ty), "::", stringify!($field),
                " is part of the ABI: see `version` for how it may change"));)+
        };
        impl $crate::Layout for $ty {
            const NAME: &'static str = stringify!($ty);
            const SIZE: usize = $size;
            const FIELDS: &'static [(&'static str, usize)] = &[$((stringify!($field), $offset)),+];
        }
    };
}

pub mod batch;
pub mod boot;
pub mod call;
pub mod class;
pub mod console;
pub mod device;
pub mod doorbell;
pub mod fault;
mod gpa;
pub mod info;
pub mod line;
pub mod map;
pub mod net;
pub mod note;
pub mod status;
pub mod vcpu;
pub mod version;
pub mod vsock;
pub mod words;

pub use gpa::Gpa;
pub use status::Status;

/// A wire struct's name, size in bytes and field offsets, for tools that print or check the ABI.
pub trait Layout {
    /// The struct's name in this crate.
    const NAME: &'static str;
    /// The struct's size in bytes.
    const SIZE: usize;
    /// Each field's name and byte offset, in order.
    const FIELDS: &'static [(&'static str, usize)];
}
