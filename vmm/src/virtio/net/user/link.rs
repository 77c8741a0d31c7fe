//! The link between the TCP stack and the guest: at most one packet in, and at most one out, at a time.

use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::time::Instant;

/// The link, for one step of the stack.
pub(super) struct Link<'a> {
    /// A packet from the guest.
    pub packet: Option<&'a [u8]>,
    /// Where one to the guest is written.
    pub room: &'a mut [u8],
    /// How long that one is.
    pub written: Option<usize>,
    /// The most bytes of one.
    pub mtu: u16,
}

impl Device for Link<'_> {
    type RxToken<'b>
        = Received<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Place<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Place<'_>)> {
        let packet = self.packet.take()?;
        let place = Place {
            room: self.room,
            written: &mut self.written,
        };
        Some((Received(packet), place))
    }

    fn transmit(&mut self, _: Instant) -> Option<Place<'_>> {
        if self.written.is_some() {
            return None;
        }
        Some(Place {
            room: self.room,
            written: &mut self.written,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        // What comes from the guest came through memory; for what goes there they are done later, if at all.
        let mut checksum = ChecksumCapabilities::default();
        checksum.tcp = Checksum::None;
        checksum.ipv4 = Checksum::Tx;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu.into();
        capabilities.checksum = checksum;
        capabilities
    }
}

/// The packet from the guest.
pub(super) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// The place for one to the guest.
pub(super) struct Place<'a> {
    room: &'a mut [u8],
    written: &'a mut Option<usize>,
}

impl TxToken for Place<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        match self.room.get_mut(..length) {
            Some(room) => {
                *self.written = Some(length);
                write(room)
            }
            // Longer than the link carries: it is lost.
            None => write(&mut vec![0; length]),
        }
    }
}
