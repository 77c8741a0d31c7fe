//! Network cards, as the virtio specification 1.2 has them in section 5.1: what both sides need of it by number.
//!
//! A card has two queues, [`RECEIVE`] and [`SEND`]. On both, a packet is a [`Header`] and an Ethernet frame without its check sequence.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The queue of buffers for packets to the guest.
pub const RECEIVE: u16 = 0;
/// The queue of packets from the guest.
pub const SEND: u16 = 1;

/// Feature bits of a network card (5.1.3).
pub mod feature {
    /// The device takes packets whose checksum is to be completed.
    pub const CSUM: u64 = 1 << 0;
    /// The driver takes packets whose checksum is to be completed, and learns which were checked.
    pub const GUEST_CSUM: u64 = 1 << 1;
    /// The configuration says the most bytes of a packet.
    pub const MTU: u64 = 1 << 3;
    /// The configuration says the card's address.
    pub const MAC: u64 = 1 << 5;
    /// The driver takes TCP segments over IPv4 that are to be cut.
    pub const GUEST_TSO4: u64 = 1 << 7;
    /// The driver takes TCP segments over IPv6 that are to be cut.
    pub const GUEST_TSO6: u64 = 1 << 8;
    /// The driver takes such segments also with congestion bits.
    pub const GUEST_ECN: u64 = 1 << 9;
    /// The device cuts TCP segments over IPv4.
    pub const HOST_TSO4: u64 = 1 << 11;
    /// The device cuts TCP segments over IPv6.
    pub const HOST_TSO6: u64 = 1 << 12;
    /// The device cuts such segments also with congestion bits.
    pub const HOST_ECN: u64 = 1 << 13;
    /// A received packet may lie in several buffers.
    pub const MRG_RXBUF: u64 = 1 << 15;
    /// The configuration says whether there is a link.
    pub const STATUS: u64 = 1 << 16;
}

/// What precedes every frame (5.1.6). All zeros: a whole frame with its checksums done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Of [`flags`].
    pub flags: u8,
    /// Of [`gso`].
    pub gso_type: u8,
    /// Bytes of the headers that each piece of a segment begins with.
    pub hdr_len: u16,
    /// Bytes of data that each piece has.
    pub gso_size: u16,
    /// Where the bytes begin that the checksum is over.
    pub csum_start: u16,
    /// Where the checksum belongs, from there.
    pub csum_offset: u16,
    /// How many buffers a received packet lies in; 0 in one that is sent.
    pub num_buffers: u16,
}

layout!(Header, size 12, flags @ 0, gso_type @ 1, hdr_len @ 2, gso_size @ 4, csum_start @ 6, csum_offset @ 8, num_buffers @ 10);

/// [`Header::flags`].
pub mod flags {
    /// The checksum is to be completed.
    pub const NEEDS_CSUM: u8 = 1;
    /// The checksum was checked.
    pub const DATA_VALID: u8 = 2;
}

/// [`Header::gso_type`].
pub mod gso {
    /// Nothing is to be cut.
    pub const NONE: u8 = 0;
    /// A TCP segment over IPv4.
    pub const TCPV4: u8 = 1;
    /// A TCP segment over IPv6.
    pub const TCPV6: u8 = 4;
    /// Beside one of those: it has congestion bits.
    pub const ECN: u8 = 0x80;
}

/// The configuration space (5.1.4). Written by the host.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Config {
    /// The card's address.
    pub mac: [u8; 6],
    /// [`LINK_UP`] or 0.
    pub status: u16,
    /// Zero: there is one pair of queues.
    pub max_virtqueue_pairs: u16,
    /// The most bytes of a packet, without the Ethernet header.
    pub mtu: u16,
}

layout!(Config, size 12, mac @ 0, status @ 6, max_virtqueue_pairs @ 8, mtu @ 10);

/// [`Config::status`]: there is a way for frames.
pub const LINK_UP: u16 = 1;
