//! Messages to the DHCP and the name server that are none.

use super::datagrams::received;
use super::guest::{ADDRESS, Guest, RESOLVER, network};
use super::hostile::{frame, taken};
use super::noise;
use smoltcp::wire::{IpEndpoint, Ipv4Address};
use std::net::UdpSocket;

/// Kinds of DHCP message (RFC 2132, 9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const DECLINE: u8 = 4;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;

/// A client's message: of this kind, and with these options.
fn message(kind: u8, options: &[u8]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd];
    message.resize(236, 0);
    message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
    message.extend(options);
    message.push(255);
    message
}

fn option(number: u8, address: Ipv4Address) -> Vec<u8> {
    [&[number, 4], &address.octets()[..]].concat()
}

/// What the server answers: the kind of its message.
fn answer(message: &[u8]) -> Option<u8> {
    let mut network = network(false, &[], &[]);
    let len = (message.len() as u16 + 8).to_be_bytes();
    let mut datagram = vec![0, 68, 0, 67, len[0], len[1], 0, 0];
    datagram.extend(message);
    network.send(&frame(Ipv4Address::BROADCAST, 17, &datagram));
    let frames = taken(&mut network);
    assert!(frames.len() <= 1);
    let payload = &frames.first()?[14 + 20 + 8..];
    assert_eq!(payload[4..8], [0xaa, 0xbb, 0xcc, 0xdd], "of this client");
    assert_eq!(payload[240..242], [53, 1]);
    Some(payload[242])
}

#[test]
fn dhcp_messages_are_answered_as_their_kind_wants_and_others_not_at_all() {
    let requested = |address| option(50, address);
    let other = Ipv4Address::new(10, 0, 2, 77);
    let cases: &[(&str, Vec<u8>, Option<u8>)] = &[
        ("a question", message(DISCOVER, &[]), Some(OFFER)),
        ("a wish", message(REQUEST, &requested(ADDRESS)), Some(ACK)),
        (
            "for another",
            message(REQUEST, &requested(other)),
            Some(NAK),
        ),
        ("for none", message(REQUEST, &[]), Some(NAK)),
        ("a client with an address", message(INFORM, &[]), Some(ACK)),
        ("nothing", vec![], None),
        ("noise", noise(400), None),
        (
            "half a message",
            message(DISCOVER, &[])[..120].to_vec(),
            None,
        ),
        ("no options", message(DISCOVER, &[])[..236].to_vec(), None),
        ("no kind", message(DISCOVER, &[])[..240].to_vec(), None),
        (
            "a kind cut off",
            message(DISCOVER, &[])[..242].to_vec(),
            None,
        ),
        ("a refusal", message(DECLINE, &[]), None),
        ("a farewell", message(RELEASE, &[]), None),
        ("a server's offer", message(OFFER, &[]), None),
        ("a server's promise", message(ACK, &[]), None),
        ("a server's refusal", message(NAK, &[]), None),
        ("kind 0", message(0, &[]), None),
        ("kind 255", message(255, &[]), None),
        (
            "to another server",
            message(DISCOVER, &option(54, other)),
            None,
        ),
        (
            "with another mark",
            {
                let mut message = message(DISCOVER, &[]);
                message[236..240].fill(0);
                message
            },
            None,
        ),
        (
            "of no Ethernet",
            {
                let mut message = message(DISCOVER, &[]);
                message[1..3].copy_from_slice(&[6, 16]);
                message
            },
            None,
        ),
    ];
    for (name, message, expected) in cases {
        assert_eq!(answer(message), *expected, "{name}");
    }
    // An option that is longer than what is left of the message means nothing, or the message does.
    for end in 0..=255 {
        let cut = [&message(DISCOVER, &[])[..243], &[50, end]].concat();
        assert!(matches!(answer(&cut), None | Some(OFFER)));
    }
}

#[test]
fn questions_of_names_and_their_answers_pass_unread() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let resolver = IpEndpoint::new(RESOLVER.into(), 53);
    let mut guest = Guest::new(network(false, &[], &[server.local_addr().unwrap()]));
    let handle = guest.datagrams(4000);
    for garbage in [vec![], vec![0xff], vec![0; 12], noise(512), noise(1472)] {
        guest.udp(handle).send_slice(&garbage, resolver).unwrap();
        guest.until("the question", |_| server.peek_from(&mut [0; 2]).is_ok());
        let mut bytes = [0; 2000];
        let (len, from) = server.recv_from(&mut bytes).unwrap();
        assert!(bytes[..len] == garbage);
        // One that is longer than the guest's network carries is lost.
        server.send_to(&noise(1473), from).unwrap();
        server.send_to(&garbage, from).unwrap();
        assert_eq!(received(&mut guest, handle), (garbage, resolver));
    }
    // Where there is no server nobody is asked.
    let mut guest = Guest::new(network(false, &[], &[]));
    let handle = guest.datagrams(4000);
    guest.udp(handle).send_slice(b"?", resolver).unwrap();
    guest.step();
    assert_eq!(guest.network.datagrams(), 0);
}
