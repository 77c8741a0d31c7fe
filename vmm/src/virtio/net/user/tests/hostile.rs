//! What a guest may send that no guest should.

use super::super::network::Network;
use super::guest::{ADDRESS, GATEWAY, MAC, RESOLVER, network, wait};
use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};
use std::io::Read;
use std::net::TcpListener;

/// A frame to the router with an IP packet.
pub fn frame(to: Ipv4Address, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: ADDRESS,
        dst_addr: to,
        next_header: IpProtocol::from(protocol),
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut packet = vec![0; 20];
    packet.extend_from_slice(payload);
    header.emit(
        &mut Ipv4Packet::new_unchecked(&mut packet[..]),
        &ChecksumCapabilities::default(),
    );
    ethernet(0x0800, &packet)
}

pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&MAC.0);
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A segment to a port.
fn segment(to: Ipv4Address, from: u16, port: u16, control: TcpControl, ack: bool) -> Vec<u8> {
    let repr = TcpRepr {
        src_port: from,
        dst_port: port,
        control,
        seq_number: TcpSeqNumber(1),
        ack_number: ack.then_some(TcpSeqNumber(1)),
        window_len: 1000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(
        &mut TcpPacket::new_unchecked(&mut bytes[..]),
        &ADDRESS.into(),
        &to.into(),
        &ChecksumCapabilities::default(),
    );
    frame(to, 6, &bytes)
}

/// The frames that wait for the guest.
pub fn taken(network: &mut Network) -> Vec<Vec<u8>> {
    let mut room = vec![0; 2048];
    std::iter::from_fn(|| {
        let length = network.receive(&mut room)?;
        Some(room[..length].to_vec())
    })
    .collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_flood_of_connections_ends_in_refusals() {
    // It takes connections, and nobody accepts them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut network = network(true, &[], &[]);
    let (before, mut resets) = (descriptors(), 0);
    for from in 1..5000 {
        network.send(&segment(GATEWAY, from, port, TcpControl::Syn, false));
        network.ready();
        network.flush();
        // TCP's flags, in a packet without options of IP's.
        let is_reset = |frame: &&Vec<u8>| frame[47] & 4 != 0;
        resets += taken(&mut network).iter().filter(is_reset).count();
    }
    assert_eq!(network.streams(), 256);
    assert_eq!(resets, 4999 - 256, "all others are refused");
    // Other tests of this process have some, too.
    assert!(descriptors() < before + 1024);
    network.clear();
    assert_eq!(network.streams(), 0);
}

/// What a card offers the guest: segments longer than packets, without checksums.
#[test]
fn a_long_segment_without_a_checksum_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut network = network(true, &[], &[]);
    network.send(&segment(GATEWAY, 1000, port, TcpControl::Syn, false));
    let mut answers = Vec::new();
    while answers.is_empty() {
        wait(&network);
        network.ready();
        answers = taken(&mut network);
    }
    // Ports, the guest's next number, what it expects, flags, window, no checksum.
    let mut long = answers[0][36..38].to_vec();
    long.extend_from_slice(&answers[0][34..36]);
    long.extend_from_slice(&answers[0][42..46]);
    let [a, b, c, d] = answers[0][38..42] else {
        unreachable!();
    };
    let next = u32::from_be_bytes([a, b, c, d]).wrapping_add(1);
    long.extend_from_slice(&next.to_be_bytes());
    long.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    let data = super::noise(30_000);
    long.extend_from_slice(&data);
    assert!(network.send(&frame(GATEWAY, 6, &long)));
    network.flush();
    let mut bytes = vec![0; data.len()];
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut bytes).unwrap();
    assert!(bytes == data);
}

#[test]
fn a_flood_without_answers_taken_is_bounded() {
    let mut network = network(true, &[], &[]);
    for from in 1..5000 {
        network.send(&segment(GATEWAY, from, 9, TcpControl::None, true));
    }
    assert_eq!(taken(&mut network).len(), 64);
}

#[test]
fn a_flood_of_datagrams_is_bounded() {
    let host = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port().to_be_bytes();
    let mut network = network(true, &[], &[]);
    for from in 1_u16..2000 {
        let [a, b] = from.to_be_bytes();
        network.send(&frame(GATEWAY, 17, &[a, b, port[0], port[1], 0, 8, 0, 0]));
    }
    assert_eq!(network.datagrams(), 128);
}

#[test]
fn an_address_that_is_not_the_guests_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut network = network(true, &[], &[]);
    let mut spoofed = segment(GATEWAY, 1000, port, TcpControl::Syn, false);
    // The source's last byte, and the checksum with it.
    spoofed[29] += 1;
    let mut packet = Ipv4Packet::new_unchecked(&mut spoofed[14..]);
    packet.fill_checksum();
    assert!(!network.send(&spoofed));
    assert_eq!(network.streams(), 0);
    assert!(taken(&mut network).is_empty());
}

#[test]
fn a_guest_without_buffers_makes_nothing_grow() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut network = network(true, &[], &[]);
    network.send(&segment(GATEWAY, 1000, port, TcpControl::Syn, false));
    for _ in 0..100 {
        network.send(&segment(GATEWAY, 1000, port, TcpControl::Syn, false));
        wait(&network);
        network.ready();
        network.flush();
    }
    assert_eq!(network.streams(), 1);
    assert!(taken(&mut network).len() <= 66);
}

/// Any frame: noise, or something that looks right at first.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let noise = || proptest::collection::vec(any::<u8>(), 0..400);
    let addresses = [
        GATEWAY,
        RESOLVER,
        ADDRESS,
        Ipv4Address::BROADCAST,
        Ipv4Address::new(10, 0, 2, 99),
    ];
    let ports = prop_oneof![Just(67_u16), Just(53), Just(80), any::<u16>()];
    let datagram =
        (any::<u16>(), ports, any::<u16>(), noise()).prop_map(|(from, to, length, payload)| {
            let exact = u16::try_from(payload.len() + 8).unwrap();
            let length = if length & 3 == 0 { length } else { exact };
            let mut bytes = Vec::new();
            for word in [from, to, length, 0] {
                bytes.extend_from_slice(&word.to_be_bytes());
            }
            bytes.extend_from_slice(&payload);
            bytes
        });
    // A message to the DHCP server whose fixed part is right.
    let dhcp = (any::<[u8; 28]>(), noise()).prop_map(|(start, options)| {
        let mut message = vec![1, 1, 6, 0];
        message.extend_from_slice(&start);
        message.resize(236, 0);
        message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, start[0] % 9]);
        message.extend_from_slice(&options);
        let length = u16::try_from(message.len() + 8).unwrap().to_be_bytes();
        let mut bytes = vec![0, 68, 0, 67, length[0], length[1], 0, 0];
        bytes.extend_from_slice(&message);
        bytes
    });
    let to = proptest::sample::select(addresses.to_vec());
    prop_oneof![
        noise(),
        (any::<u16>(), noise()).prop_map(|(kind, payload)| ethernet(kind, &payload)),
        noise().prop_map(|payload| ethernet(0x0800, &payload)),
        noise().prop_map(|payload| ethernet(0x0806, &payload)),
        (to.clone(), any::<u8>(), noise())
            .prop_map(|(to, protocol, payload)| frame(to, protocol, &payload)),
        (to.clone(), noise()).prop_map(|(to, payload)| frame(to, 1, &payload)),
        (to.clone(), datagram).prop_map(|(to, payload)| frame(to, 17, &payload)),
        (to, dhcp).prop_map(|(to, payload)| frame(to, 17, &payload)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_is_nothing(frames in proptest::collection::vec(any_frame(), 1..60)) {
        let mut network = network(false, &[], &[]);
        for frame in &frames {
            network.send(frame);
            network.ready();
            network.flush();
        }
        prop_assert!(taken(&mut network).len() <= frames.len());
        prop_assert_eq!(network.streams(), 0);
    }
}
