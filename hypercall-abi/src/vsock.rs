//! Sockets between guest and host, as the virtio specification 1.2 has them in section 5.10: what both sides need of it by number.
//!
//! On [`RECEIVE`] and [`SEND`] a packet is a [`Header`] and, with [`op::RW`], up to [`MAX_PAYLOAD`] bytes of data. [`EVENT`] is there and carries nothing: a VM is never
//! moved.
//!
//! # Credit
//! Each side says in every packet how many bytes it has room for in all ([`Header::buf_alloc`]) and how many it has passed on so far ([`Header::fwd_cnt`], which wraps). The
//! other never has more than `buf_alloc` bytes on their way; the host resets a connection on which the guest has.
//!
//! # Ends
//! A side that will send no more says so by [`op::SHUTDOWN`]; what it sent before arrives before. When neither sends any more the host says [`op::RST`] and the connection is gone,
//! unless it has said itself that it neither sends nor receives: then it is gone with that.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The queue of buffers for packets to the guest. Each has room for a header at least.
pub const RECEIVE: u16 = 0;
/// The queue of packets from the guest.
pub const SEND: u16 = 1;
/// The queue of buffers for events.
pub const EVENT: u16 = 2;

/// The host's context ID.
pub const HOST_CID: u64 = 2;
/// The least that a guest can have.
pub const FIRST_GUEST_CID: u32 = 3;
/// [`Header::kind`]: a byte stream, the only one there is.
pub const STREAM: u16 = 1;
/// The most bytes of data in a packet.
pub const MAX_PAYLOAD: u32 = 64 << 10;

/// What every packet begins with (5.10.6). Whoever sends it writes it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, packed(4))]
pub struct Header {
    /// The sender's context ID.
    pub src_cid: u64,
    /// The receiver's context ID.
    pub dst_cid: u64,
    /// The sender's port.
    pub src_port: u32,
    /// The receiver's port.
    pub dst_port: u32,
    /// Bytes of data that follow.
    pub len: u32,
    /// [`STREAM`].
    pub kind: u16,
    /// Of [`op`].
    pub op: u16,
    /// Of [`shutdown`], with [`op::SHUTDOWN`].
    pub flags: u32,
    /// Bytes that the sender has room for in all.
    pub buf_alloc: u32,
    /// Bytes that it has passed on to its program so far.
    pub fwd_cnt: u32,
}

layout!(Header, size 44, src_cid @ 0, dst_cid @ 8, src_port @ 16, dst_port @ 20, len @ 24, kind @ 28, op @ 30, flags @ 32, buf_alloc @ 36,
    fwd_cnt @ 40);

/// The configuration space (5.10.4). Written by the host.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Config {
    /// The guest's context ID.
    pub guest_cid: u64,
}

layout!(Config, size 8, guest_cid @ 0);

/// [`Header::op`].
pub mod op {
    /// The sender asks for a connection.
    pub const REQUEST: u16 = 1;
    /// It has one.
    pub const RESPONSE: u16 = 2;
    /// There is none, or none any more.
    pub const RST: u16 = 3;
    /// The sender will not do any more what the flags say.
    pub const SHUTDOWN: u16 = 4;
    /// Data.
    pub const RW: u16 = 5;
    /// How much room the sender has.
    pub const CREDIT_UPDATE: u16 = 6;
    /// The sender wants to know how much room there is.
    pub const CREDIT_REQUEST: u16 = 7;
}

/// [`Header::flags`] of a shutdown.
pub mod shutdown {
    /// It will receive no more.
    pub const RECEIVE: u32 = 1;
    /// It will send no more.
    pub const SEND: u32 = 2;
    /// Neither.
    pub const BOTH: u32 = RECEIVE | SEND;
}
