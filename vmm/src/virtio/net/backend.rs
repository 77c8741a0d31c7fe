//! Where a network card's frames go to and come from.
//!
//! A packet, both ways, is the [`Header`](hypercall_abi::net::Header) that virtio puts before every frame, and an Ethernet frame without its check sequence. A backend that
//! [offers](Backend::features) no offloads skips the header of what it is given and leaves that of what it gives zero.

use crate::io::Sources;
use std::io;
use vmm_sys_util::epoll::EventSet;

/// Bytes of a packet before its frame.
pub(crate) const HEADER: usize = size_of::<hypercall_abi::net::Header>();
/// The shortest frame: an Ethernet header.
pub(crate) const LEAST_FRAME: usize = 14;
/// The longest frame: an Ethernet header with a VLAN tag and the longest IP packet, which only segmentation offload makes.
pub(crate) const MOST_FRAME: usize = 18 + 65_535;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// It is on its way, at the latest after [`Backend::flush`].
    Taken,
    /// It went nowhere, and never will: there is no link, or the host refuses it.
    Dropped,
    /// Not now, and nothing of it was taken: try again after [`Backend::ready`].
    Full,
}

/// What frames go to and come from. It never blocks; it lives on the VM's I/O thread.
///
/// Its descriptors are best watched with [`EventSet::EDGE_TRIGGERED`], for reading and writing at once: the card calls [`receive`](Backend::receive) until there is
/// nothing, or, where the guest has no room, again when it has.
pub(crate) trait Backend: Send {
    /// The [feature bits](hypercall_abi::net::feature) that the card can offer because of it, such as `CSUM`.
    fn features(&self) -> u64 {
        0
    }

    /// The driver has taken these feature bits, of those offered: begins to watch its descriptors, by tokens from 0 to 0xffff.
    ///
    /// # Errors
    /// The host's; the card has no link then.
    fn watch(&mut self, features: u64, sources: &mut Sources) -> io::Result<()>;

    /// The driver is gone: watches nothing any more. Frames that were not received may be lost.
    fn forget(&mut self, sources: &mut Sources);

    /// One of its descriptors is ready: frames may be there or fit now. It may watch other ones.
    fn ready(&mut self, token: u32, events: EventSet, sources: &mut Sources);

    /// Takes a packet that the guest sends; its frame has from [`LEAST_FRAME`] to [`MOST_FRAME`] bytes.
    fn send(&mut self, packet: &[u8]) -> Sent;

    /// A batch of packets has ended, sent and received.
    fn flush(&mut self, sources: &mut Sources) {
        let _ = sources;
    }

    /// How many frames from the other end went nowhere since it was asked last: too short, too long, too many.
    fn take_dropped(&mut self) -> u64 {
        0
    }

    /// The next packet for the guest, into the beginning of `room`, which is as long as any may be; says how long it is, or that there is none now.
    fn receive(&mut self, room: &mut [u8]) -> Option<usize>;

    /// Whether there is a way for frames: the card's link status. May change in [`ready`](Backend::ready), [`send`](Backend::send), `flush` and [`receive`](Backend::receive).
    fn has_link(&self) -> bool {
        true
    }
}
