//! Frames over network cards. At the other end of the first the host sends those back that are marked; that of the second is a user-mode network.
//!
//! One driver both ways. What differs is how each side learns that there is something: by doorbells and events where it has asked for them, or, as with
//! devices whose notifications trap, by an exit for each frame and another for each interrupt.

use crate::block::Run;
use crate::ping;
use crate::rows::done;
use alloc::vec;
use alloc::vec::Vec;
use guest_sdk::abi::net::{Header, RECEIVE, SEND};
use guest_sdk::calls;
use guest_sdk::trapped::pic;
use guest_sdk::virtio::{Data, Device, Error, Queue, Shape, device, kind};

/// How the other side is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kick {
    /// As it has asked for it.
    Asked,
    /// By a call that traps, for each frame; each interrupt is ended at the interrupt controller.
    Trapped,
}

/// The cards, by their places among the host's network cards.
const MIRROR: u32 = 0;
const USER_NETWORK: u32 = 1;
/// Bytes of a packet before what a frame carries: virtio's header and Ethernet's.
const HEADERS: usize = size_of::<Header>() + ETHERNET;
const ETHERNET: usize = 14;
/// What a frame carries: a mark first.
const SEGMENT: usize = 1460;
const REQUEST: usize = 64;
/// Frames of a stream, of which the last is marked: as many as the host's table says.
const STREAM: usize = 1024;
/// Buffers of each queue.
const BUFFERS: u16 = 256;

struct Wire {
    sending: Queue<Vec<u8>>,
    receiving: Queue<Vec<u8>>,
    free: Vec<Vec<u8>>,
    device: Device,
    kick: Kick,
}

/// A marked frame and the same back.
pub fn request(run: &mut Run, kick: Kick) {
    let mut wire = Wire::open(MIRROR, kick);
    run.over(|| {
        wire.send(REQUEST, true);
        wire.receive(|frame| frame[ETHERNET] != 0);
    });
}

/// A ping, and the gateway's answer.
pub fn ping(run: &mut Run, kick: Kick) {
    let mut wire = Wire::open(USER_NETWORK, kick);
    let ping = ping::frame();
    run.over(|| {
        wire.send_frame(&ping);
        wire.receive(ping::is_answer);
    });
}

/// Full frames one after the other, of which the last comes back.
pub fn stream(run: &mut Run, kick: Kick) {
    let mut wire = Wire::open(MIRROR, kick);
    run.over(|| {
        for number in 1..=STREAM {
            wire.send(SEGMENT, number == STREAM);
        }
        wire.receive(|frame| frame[ETHERNET] != 0);
    });
}

/// A card that stopped has measured nothing.
fn works<T>(result: Result<T, Error>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the network card: {error}"),
    }
}

impl Wire {
    fn open(card: u32, kick: Kick) -> Wire {
        let wire = device::find(kind::NET, card).and_then(|entry| {
            let mut setup = entry.take().ok()?;
            setup.negotiate(0).ok()?;
            let shape = Shape::new(BUFFERS);
            let mut receiving = setup.queue(RECEIVE, shape).ok()?;
            let sending: Queue<Vec<u8>> = setup.queue(SEND, shape).ok()?;
            for _ in 0..receiving.capacity() {
                let buffer = vec![0; HEADERS + SEGMENT];
                receiving.post(&[], Data::In(buffer)).ok()?;
            }
            let free = (0..sending.capacity()).map(|_| vec![0; HEADERS + SEGMENT]);
            Some(Wire {
                free: free.collect(),
                sending,
                receiving,
                device: setup.start().ok()?,
                kick,
            })
        });
        match wire {
            Some(mut wire) => {
                wire.receiving.kick();
                wire
            }
            None => panic!("there is no network card"),
        }
    }

    /// Sends a frame that carries so many bytes.
    fn send(&mut self, len: usize, marked: bool) {
        let mut buffer = self.empty();
        buffer.resize(HEADERS + len, 0);
        buffer[HEADERS] = marked.into();
        self.post(buffer);
    }

    fn send_frame(&mut self, frame: &[u8]) {
        let mut buffer = self.empty();
        buffer.resize(size_of::<Header>(), 0);
        buffer.extend_from_slice(frame);
        self.post(buffer);
    }

    /// A buffer to send, with anything in it.
    fn empty(&mut self) -> Vec<u8> {
        if self.free.is_empty() {
            self.reclaim();
        }
        self.free.pop().unwrap_or_default()
    }

    fn post(&mut self, buffer: Vec<u8>) {
        if self.sending.post(&[], Data::Out(buffer)).is_err() {
            panic!("a frame was refused");
        }
        match self.kick {
            Kick::Asked => _ = self.sending.kick(),
            Kick::Trapped => done(calls::doorbell(self.device.entry().doorbell(SEND))),
        }
    }

    /// Takes the buffers back that were sent, of which there must be one in the end.
    fn reclaim(&mut self) {
        works(self.sending.look());
        while let Some(done) = self.sending.pop() {
            self.free.extend(done.data.into_buffer());
        }
        if self.free.is_empty() {
            let done = works(self.sending.wait_pop());
            self.interrupted();
            self.free.extend(done.data.into_buffer());
        }
    }

    /// Takes the frame that is expected, and gives its buffer back.
    fn receive(&mut self, expected: impl Fn(&[u8]) -> bool) {
        let done = works(self.receiving.wait_pop());
        self.interrupted();
        let packet = match &done.data {
            Data::In(buffer) => buffer.get(size_of::<Header>()..done.written as usize),
            _ => None,
        };
        assert!(packet.is_some_and(expected), "another frame came");
        if self.receiving.post(&[], done.data).is_err() {
            panic!("a buffer was refused");
        }
        self.receiving.kick();
    }

    fn interrupted(&self) {
        if self.kick == Kick::Trapped {
            pic::end(pic::TIMER);
        }
    }
}
