//! The network as a fuzz target: any frame at any moment, in connections that are really there, while programs of the host connect, send,
//! read and vanish, and time passes.
//!
//! After every step: nothing is longer than the guest's network carries, and there are never more connections than there may be.

use super::super::checksum;
use super::super::frame::Packet;
use super::super::network::Network;
use super::guest::{ADDRESS, GATEWAY, MTU, RESOLVER, network};
use super::hostile::{ethernet, frame};
use crate::config::{Forward, Protocol};
use crate::fuzz::Source;
use smoltcp::wire::{IpProtocol, Ipv4Address, TcpPacket};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// The guest's ports.
const PORTS: u64 = 4;
/// The guest's port to which the forward goes: one of them.
const SERVED: u16 = 2;
/// Bytes before TCP's header in a frame.
const HEADERS: usize = 34;

/// Any frames.
pub(crate) fn frames(source: &mut Source) {
    let mut play = Play::new();
    while source.step() {
        match source.below(16) {
            0..=6 => play.segment(source),
            7 | 8 => play.datagram(source),
            9 => play.noise(source),
            10 | 11 => play.host(source),
            12 => {
                let time = source.pick(&[1, 20, 1_000, 75_000, 400_000]);
                play.network.pass(Duration::from_millis(time));
            }
            _ => play.take(source),
        }
        assert!(play.network.streams() <= 256);
        assert!(play.network.datagrams() <= 128);
    }
    play.network.clear();
    assert_eq!(play.network.streams(), 0);
}

/// What the guest knows of a connection: where it is, and what has come.
#[derive(Clone, Copy, Default)]
struct Known {
    foreign: u16,
    next: u32,
    expected: u32,
}

struct Play {
    network: Network,
    listener: TcpListener,
    forward: SocketAddr,
    peers: Vec<TcpStream>,
    known: [Known; PORTS as usize],
}

impl Play {
    fn new() -> Play {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let forward = Forward {
            protocol: Protocol::Tcp,
            host: "127.0.0.1:0".parse().unwrap(),
            guest: SERVED,
        };
        let network = network(true, &[forward], &[]);
        let port = listener.local_addr().unwrap().port();
        let known = Known {
            foreign: port,
            ..Known::default()
        };
        Play {
            forward: network.forwards()[0],
            network,
            listener,
            peers: Vec::new(),
            known: [known; PORTS as usize],
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.network.send(bytes);
    }

    /// A segment that may fit into a connection.
    fn segment(&mut self, source: &mut Source) {
        let port = source.below(PORTS);
        let known = &mut self.known[port as usize];
        let flags = match source.below(8) {
            0 | 1 => 0x02,
            2 => 0x11,
            3 => source.any() as u8,
            _ => 0x18,
        };
        let near = |source: &mut Source| match source.below(8) {
            0 => source.any() as u32,
            1 => (source.below(5) as u32).wrapping_sub(2),
            2 => (source.below(200_000) as u32).wrapping_sub(100_000),
            _ => 0,
        };
        let length = match source.below(4) {
            0 => source.below(1400),
            1 => source.below(30),
            _ => 0,
        };
        let sequence = known.next.wrapping_add(near(source));
        let acknowledged = known.expected.wrapping_add(near(source));
        let offset = match source.once_in(8) {
            true => source.any() as u8,
            false => 0x50,
        };
        let window = match source.once_in(4) {
            true => source.below(3) as u16,
            false => source.any() as u16,
        };
        let mut bytes = vec![0; 12];
        bytes[1] = port as u8;
        bytes[2..4].copy_from_slice(&known.foreign.to_be_bytes());
        bytes[4..8].copy_from_slice(&sequence.to_be_bytes());
        bytes[8..12].copy_from_slice(&acknowledged.to_be_bytes());
        bytes.extend_from_slice(&[offset, flags]);
        bytes.extend_from_slice(&window.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend((0..length).map(|_| source.any() as u8));
        if sequence == known.next {
            let counted = length as u32 + u32::from(flags & 2 != 0) + u32::from(flags & 1);
            known.next = known.next.wrapping_add(counted);
        }
        self.send(&frame(GATEWAY, 6, &bytes));
    }

    /// A datagram, to the DHCP server, the name server, or somewhere of the gateway's.
    fn datagram(&mut self, source: &mut Source) {
        let port = source.pick(&[67_u16, 67, 53, 9, 40_001]);
        let mut payload = Vec::new();
        if port == 67 && !source.once_in(4) {
            payload.extend_from_slice(&[1, 1, 6, 0]);
            payload.resize(236, 0);
            payload.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, source.below(9) as u8]);
        }
        payload.extend((0..source.below(60)).map(|_| source.any() as u8));
        let length = match source.once_in(6) {
            true => source.any() as u16,
            false => payload.len() as u16 + 8,
        };
        let mut bytes = Vec::new();
        for word in [source.below(PORTS) as u16, port, length, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&payload);
        let to = source.pick(&[GATEWAY, RESOLVER, Ipv4Address::BROADCAST, ADDRESS]);
        self.send(&frame(to, 17, &bytes));
    }

    /// A frame of which less is right.
    fn noise(&mut self, source: &mut Source) {
        let bytes: Vec<u8> = (0..source.below(200)).map(|_| source.any() as u8).collect();
        let noise = match source.below(4) {
            0 => bytes,
            1 => ethernet(source.pick(&[0x0800, 0x0806, 0x86dd]), &bytes),
            2 => frame(GATEWAY, source.pick(&[1, 6, 17, 2]), &bytes),
            _ => {
                let mut whole = frame(GATEWAY, 6, &bytes);
                let at = source.below(whole.len() as u64) as usize;
                whole[at] ^= source.any() as u8;
                whole
            }
        };
        self.send(&noise);
    }

    /// A program of the host's does something.
    fn host(&mut self, source: &mut Source) {
        if self.peers.len() > 8 || source.once_in(12) {
            self.peers.clear();
        }
        while let Ok((peer, _)) = self.listener.accept() {
            peer.set_nonblocking(true).unwrap();
            self.peers.push(peer);
        }
        let Some(index) = source.below(9).checked_sub(1) else {
            if let Ok(peer) = TcpStream::connect(self.forward) {
                peer.set_nonblocking(true).unwrap();
                self.peers.push(peer);
            }
            return;
        };
        let Some(peer) = self.peers.get_mut(index as usize) else {
            return;
        };
        // What it may not do any more it does not.
        match source.below(4) {
            0 => drop(peer.shutdown(Shutdown::Write)),
            1 => drop(peer.read(&mut [0; 3000])),
            _ => drop(peer.write(&vec![7; source.below(80_000) as usize])),
        }
    }

    /// The guest takes some frames.
    fn take(&mut self, source: &mut Source) {
        self.network.ready();
        self.network.flush();
        let mut room = vec![0; 1 << 16];
        for _ in 0..source.below(100) {
            let Some(length) = self.network.receive(&mut room) else {
                break;
            };
            assert!((14..=usize::from(MTU) + 14).contains(&length));
            checksum::fill(&mut room[..length]);
            if room[12..14] != [8, 0] {
                continue;
            }
            let packet = Packet::parse(&room[14..length]).expect("a whole packet");
            assert_eq!(packet.bytes.len(), length - 14, "nothing after it");
            if packet.protocol == IpProtocol::Tcp {
                let segment = TcpPacket::new_checked(&room[HEADERS..length]).unwrap();
                let ends = (&packet.source.into(), &packet.destination.into());
                assert!(segment.verify_checksum(ends.0, ends.1));
                if let Some(known) = self.known.get_mut(usize::from(segment.dst_port())) {
                    let end = segment.seq_number() + segment.segment_len();
                    known.expected = end.0 as u32;
                    known.foreign = segment.src_port();
                }
            }
        }
    }
}
