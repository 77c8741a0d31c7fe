//! One frame, in or out, as a network stack is handed it.

use super::card::{Inbound, Outbound};
use super::checksum;
use alloc::vec;
use alloc::vec::Vec;
use embassy_net_driver::{RxToken, TxToken};
use hypercall_abi::net::{Header, feature};
use zerocopy::IntoBytes;

/// Bytes of a packet before its frame.
pub(super) const HEADER: usize = size_of::<Header>();

/// A frame that has come. Its buffer goes back to the card when this is dropped.
pub struct Received<'a> {
    pub(super) inbound: &'a mut Inbound,
    /// A packet's buffer, and behind the packet whatever was there before.
    pub(super) buffer: Vec<u8>,
    /// Bytes of the packet.
    pub(super) len: usize,
}

impl Received<'_> {
    /// The frame, from the Ethernet header on, without check sequence.
    pub fn frame(&mut self) -> &mut [u8] {
        self.buffer.get_mut(HEADER..self.len).unwrap_or_default()
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, work: F) -> R {
        work(self.frame())
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        self.inbound.give_back(core::mem::take(&mut self.buffer));
    }
}

/// Room for a frame to be sent.
pub struct Room<'a> {
    pub(super) outbound: &'a mut Outbound,
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, work: F) -> R {
        let Some(mut buffer) = self.outbound.take(HEADER + len) else {
            // Longer than the card's frames are: it is lost, as it would be on any network.
            return work(&mut vec![0; len]);
        };
        let (header, frame) = buffer.split_at_mut(HEADER);
        let result = work(frame);
        let wish = match self.outbound.features & feature::CSUM {
            0 => Header::default(),
            _ => checksum::ask(frame),
        };
        header.copy_from_slice(wish.as_bytes());
        self.outbound.send(buffer);
        result
    }
}
