//! The card: its queues with their buffers, and what it is to a network stack.

use super::checksum;
use super::token::{HEADER, Received, Room};
use crate::virtio::{
    Completion, Data, Device, Error, Queue, SetupError, Shape, SharedQueue, device, kind,
};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::mem::offset_of;
use core::task::{Context, Poll};
use embassy_net_driver::{Capabilities, Checksum, Driver, HardwareAddress, LinkState, TxToken};
use hypercall_abi::net::{Config, LINK_UP, RECEIVE, SEND, feature, flags};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// The most bytes of a packet where the device does not say.
const MTU: u16 = 1500;
/// The most buffers of a queue.
const BUFFERS: u16 = 256;
/// Buffers that go back to the device together while there are other frames to look at.
const BATCH: usize = 32;
/// What this driver can make use of.
const WANTED: u64 =
    feature::CSUM | feature::GUEST_CSUM | feature::MTU | feature::MAC | feature::STATUS;

/// A network card.
///
/// A network stack has it as its [`Driver`]. A program that wants frames has [`send`](Card::send) and [`next`](Card::next).
pub struct Card {
    inbound: Inbound,
    outbound: Outbound,
    device: Device,
    mac: [u8; 6],
    mtu: usize,
    /// Whether a network stack has asked for the link.
    asked: bool,
}

/// Why a card cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The VM has none, or none of that name.
    NoCard,
    /// It could not be set up.
    Setup(SetupError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NoCard => f.write_str(
                "there is no such network card: this VM's configuration has no [[net]] for it",
            ),
            OpenError::Setup(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<SetupError> for OpenError {
    fn from(error: SetupError) -> OpenError {
        OpenError::Setup(error)
    }
}

impl Card {
    /// Opens the first card.
    ///
    /// # Errors
    /// An [`OpenError`].
    pub fn open() -> Result<Card, OpenError> {
        Card::set_up(device::find(kind::NET, 0).ok_or(OpenError::NoCard)?)
    }

    /// Opens the card with that name in the configuration.
    ///
    /// # Errors
    /// An [`OpenError`].
    pub fn open_named(name: &str) -> Result<Card, OpenError> {
        Card::set_up(device::find_named(kind::NET, name).ok_or(OpenError::NoCard)?)
    }

    fn set_up(entry: device::Entry) -> Result<Card, OpenError> {
        let mut setup = entry.take()?;
        let features = setup.negotiate(WANTED)?;
        let (mac, mtu) = entry.config(|space| {
            (
                space.bytes(offset_of!(Config, mac)),
                space.u16(offset_of!(Config, mtu)),
            )
        });
        let mtu = match features & feature::MTU {
            0 => MTU,
            _ => mtu,
        };
        let len = HEADER + ETHERNET + usize::from(mtu);
        let shape = Shape::new(BUFFERS.min(entry.queue_size()));
        let mut receiving: Queue<Vec<u8>> = setup.queue(RECEIVE, shape)?;
        let sending: Queue<Vec<u8>> = setup.queue(SEND, shape)?;
        for _ in 0..receiving.capacity() {
            // There is room for each of them.
            let _ = receiving.post(&[], Data::In(vec![0; len]));
        }
        let free = (0..sending.capacity()).map(|_| Vec::with_capacity(len));
        let card = Card {
            inbound: Inbound {
                waiting: VecDeque::with_capacity(receiving.capacity().into()),
                used: Vec::with_capacity(receiving.capacity().into()),
                queue: SharedQueue::new(receiving),
                features,
            },
            outbound: Outbound {
                free: free.collect(),
                queue: SharedQueue::new(sending),
                features,
                most: len,
            },
            device: setup.start()?,
            mac,
            mtu: mtu.into(),
            asked: false,
        };
        card.inbound.queue.with(Queue::kick);
        Ok(card)
    }

    /// Its Ethernet address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The most bytes of a packet, without the Ethernet header.
    #[must_use]
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// Whether there is a way for frames: whether somebody is at the other end.
    #[must_use]
    pub fn has_link(&self) -> bool {
        let entry = self.device.entry();
        let status = entry.config(|space| space.u16(offset_of!(Config, status)));
        let known = self.device.features() & feature::STATUS != 0;
        !entry.broken() && (!known || status & LINK_UP != 0)
    }

    /// Sends a frame as soon as there is room, from the Ethernet header on, without check sequence. One that is too long is lost.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        poll_fn(|context| self.outbound.poll_room(context)).await?;
        let outbound = &mut self.outbound;
        Room { outbound }.consume(frame.len(), |room| room.copy_from_slice(frame));
        Ok(())
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub async fn next(&mut self) -> Result<Received<'_>, Error> {
        let (buffer, len) = poll_fn(|context| self.inbound.poll_next(context)).await?;
        let inbound = &mut self.inbound;
        Ok(Received {
            inbound,
            buffer,
            len,
        })
    }
}

/// Frames that come. Every buffer is the device's, waits here, or is in a token.
pub(super) struct Inbound {
    queue: SharedQueue<Vec<u8>>,
    /// Packets, and their lengths.
    waiting: VecDeque<(Vec<u8>, usize)>,
    /// To go back.
    used: Vec<Vec<u8>>,
    features: u64,
}

impl Inbound {
    /// The next packet.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<(Vec<u8>, usize), Error>> {
        loop {
            if let Some((buffer, len)) = self.waiting.pop_front() {
                if self.is_sound(&buffer, len) {
                    return Poll::Ready(Ok((buffer, len)));
                }
                self.give_back(buffer);
            } else if let Err(error) = self.refill(context) {
                return Poll::Ready(Err(error));
            } else if self.waiting.is_empty() {
                return Poll::Pending;
            }
        }
    }

    /// Whether what the device says of a packet can be, and its checksum holds unless the device vouches for it.
    fn is_sound(&self, buffer: &[u8], len: usize) -> bool {
        let vouched = flags::NEEDS_CSUM | flags::DATA_VALID;
        match buffer
            .get(..len)
            .and_then(|packet| packet.split_at_checked(HEADER))
        {
            Some((header, frame)) => {
                self.features & feature::GUEST_CSUM == 0
                    || header[0] & vouched != 0
                    || checksum::holds(frame)
            }
            None => false,
        }
    }

    /// Gives the device its buffers back and takes what has come; where nothing has, the context's task is woken when something does.
    fn refill(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let Inbound {
            queue,
            waiting,
            used,
            ..
        } = self;
        queue.with(|queue| {
            post(queue, used);
            queue.kick();
            let looked = queue.look();
            while let Some(Completion { data, written, .. }) = queue.pop() {
                let buffer = data.into_buffer().unwrap_or_default();
                waiting.push_back((buffer, written as usize));
            }
            if waiting.is_empty() {
                looked?;
                queue.wake_when_ready(context.waker());
            }
            Ok(())
        })
    }

    /// Takes a buffer back.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        self.used.push(buffer);
        if self.used.len() >= BATCH {
            let used = &mut self.used;
            self.queue.with(|queue| {
                post(queue, used);
                queue.kick();
            });
        }
    }
}

fn post(queue: &mut Queue<Vec<u8>>, buffers: &mut Vec<Vec<u8>>) {
    for buffer in buffers.drain(..) {
        // Refused only by a device that is of no use any more.
        let _ = queue.post(&[], Data::In(buffer));
    }
}

/// Frames that go.
pub(super) struct Outbound {
    queue: SharedQueue<Vec<u8>>,
    /// Buffers that the device does not have.
    free: Vec<Vec<u8>>,
    pub(super) features: u64,
    /// Bytes of the longest packet.
    most: usize,
}

impl Outbound {
    /// Whether a packet can be sent; where none can, the context's task is woken when one can.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.free.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let free = &mut self.free;
        self.queue.with(|queue| {
            let looked = queue.look();
            while let Some(done) = queue.pop() {
                free.extend(done.data.into_buffer());
            }
            match (free.is_empty(), looked) {
                (false, _) => Poll::Ready(Ok(())),
                (true, Err(error)) => Poll::Ready(Err(error)),
                (true, Ok(_)) => {
                    queue.kick();
                    queue.wake_when_ready(context.waker());
                    Poll::Pending
                }
            }
        })
    }

    /// A buffer for a packet of so many bytes.
    pub(super) fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        if len > self.most {
            return None;
        }
        let mut buffer = self.free.pop()?;
        buffer.resize(len, 0);
        Some(buffer)
    }

    /// Sends a packet.
    pub(super) fn send(&mut self, buffer: Vec<u8>) {
        self.queue.with(|queue| {
            // Refused only by a device that is of no use any more.
            let _ = queue.post(&[], Data::Out(buffer));
            queue.kick();
        });
    }
}

impl Driver for Card {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        // Every frame may be answered at once.
        let Poll::Ready(Ok(())) = self.outbound.poll_room(context) else {
            return None;
        };
        let Poll::Ready(Ok((buffer, len))) = self.inbound.poll_next(context) else {
            return None;
        };
        let (inbound, outbound) = (&mut self.inbound, &mut self.outbound);
        let received = Received {
            inbound,
            buffer,
            len,
        };
        Some((received, Room { outbound }))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Room<'_>> {
        // `embassy-net` sends before it asks for the link, and begins anew when it finds one: it would ask for an address twice.
        if !self.asked {
            return None;
        }
        match self.outbound.poll_room(context) {
            Poll::Ready(Ok(())) => Some(Room {
                outbound: &mut self.outbound,
            }),
            _ => None,
        }
    }

    // A change wakes whoever waits for a frame: that is what a queue's `arm` does.
    fn link_state(&mut self, context: &mut Context<'_>) -> LinkState {
        if !core::mem::replace(&mut self.asked, true) {
            // What was not sent until now.
            context.waker().wake_by_ref();
        }
        match self.has_link() {
            true => LinkState::Up,
            false => LinkState::Down,
        }
    }

    fn capabilities(&self) -> Capabilities {
        let features = self.device.features();
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = self.mtu + ETHERNET;
        let checksum = match (
            features & feature::CSUM != 0,
            features & feature::GUEST_CSUM != 0,
        ) {
            (false, false) => Checksum::Both,
            (false, true) => Checksum::Tx,
            (true, false) => Checksum::Rx,
            (true, true) => Checksum::None,
        };
        capabilities.checksum.tcp = checksum;
        capabilities.checksum.udp = checksum;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac)
    }
}
