//! Datagrams, echoes, and what the router itself answers.

use super::super::host;
use super::guest::{ADDRESS, GATEWAY, Guest, MAC, RESOLVER, network};
use super::noise;
use crate::config::{Forward, Protocol};
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{dhcpv4, icmp};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpEndpoint, Ipv4Address};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

/// The next datagram, and who sent it.
pub fn received(guest: &mut Guest, handle: SocketHandle) -> (Vec<u8>, IpEndpoint) {
    guest.until("a datagram", |guest| guest.udp(handle).can_recv());
    let (bytes, from) = guest.udp(handle).recv().unwrap();
    (bytes.to_vec(), from.endpoint)
}

#[test]
fn datagrams_reach_the_host_and_its_answers_the_guest() {
    let host = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = IpEndpoint::new(GATEWAY.into(), host.local_addr().unwrap().port());
    let mut guest = Guest::with_host();
    let handle = guest.datagrams(4000);
    // As long as the network carries.
    let whole = noise(1472);
    for out in [&b""[..], b"x", &whole] {
        guest.udp(handle).send_slice(out, to).unwrap();
        guest.until("the host's", |_| {
            host.set_nonblocking(true).unwrap();
            host.peek_from(&mut [0; 2]).is_ok()
        });
        let mut bytes = [0; 2000];
        let (length, from) = host.recv_from(&mut bytes).unwrap();
        assert!(bytes[..length] == *out);
        host.send_to(&bytes[..length], from).unwrap();
        let (bytes, from) = received(&mut guest, handle);
        assert!(bytes == out);
        assert_eq!(from, to);
    }
    // What is too long for the guest's network is lost, and the next one comes.
    let (_, from) = {
        guest.udp(handle).send_slice(b"y", to).unwrap();
        guest.until("the host's", |_| host.peek_from(&mut [0; 2]).is_ok());
        host.recv_from(&mut [0; 2]).unwrap()
    };
    host.send_to(&noise(1473), from).unwrap();
    host.send_to(b"short", from).unwrap();
    assert_eq!(received(&mut guest, handle).0, b"short");
    assert_eq!(guest.network.datagrams(), 1);
}

#[test]
fn an_exchange_ends_after_a_silence() {
    let host = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = IpEndpoint::new(GATEWAY.into(), host.local_addr().unwrap().port());
    let mut guest = Guest::with_host();
    let handle = guest.datagrams(4000);
    for _ in 0..2 {
        guest.udp(handle).send_slice(b"x", to).unwrap();
        guest.until("the exchange", |guest| guest.network.datagrams() == 1);
        guest.network.pass(Duration::from_secs(50));
        assert_eq!(guest.network.datagrams(), 1);
    }
    guest.network.pass(Duration::from_secs(10));
    assert_eq!(guest.network.datagrams(), 0);
}

#[test]
fn a_stranger_is_not_heard() {
    let (host, stranger) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    let to = IpEndpoint::new(GATEWAY.into(), host.local_addr().unwrap().port());
    let mut guest = Guest::with_host();
    let handle = guest.datagrams(4000);
    guest.udp(handle).send_slice(b"x", to).unwrap();
    host.set_nonblocking(true).unwrap();
    guest.until("the host's", |_| host.peek_from(&mut [0; 2]).is_ok());
    let (_, from) = host.recv_from(&mut [0; 2]).unwrap();
    stranger.send_to(b"stranger", from).unwrap();
    host.send_to(b"host", from).unwrap();
    assert_eq!(received(&mut guest, handle).0, b"host");
    assert!(!guest.udp(handle).can_recv());
}

#[test]
fn names_are_asked_of_the_hosts_servers_by_datagram_and_by_connection() {
    // A port that is free for datagrams may be some other test's for connections.
    let mut both = std::iter::repeat_with(|| {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let streams = TcpListener::bind(datagrams.local_addr().unwrap());
        streams.map(|streams| (datagrams, streams))
    });
    let (datagrams, streams) = both.find_map(Result::ok).unwrap();
    let server = datagrams.local_addr().unwrap();
    let mut guest = Guest::new(network(false, &[], &[server]));
    let by_datagram = thread::spawn(move || {
        let mut bytes = [0; 64];
        let (length, from) = datagrams.recv_from(&mut bytes).unwrap();
        bytes[..length].reverse();
        datagrams.send_to(&bytes[..length], from).unwrap();
    });
    let by_stream = thread::spawn(move || {
        let (mut stream, _) = streams.accept().unwrap();
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        bytes.reverse();
        stream.write_all(&bytes).unwrap();
    });
    let handle = guest.datagrams(4000);
    let resolver = IpEndpoint::new(RESOLVER.into(), 53);
    guest.udp(handle).send_slice(b"query", resolver).unwrap();
    assert_eq!(received(&mut guest, handle), (b"yreuq".to_vec(), resolver));
    let handle = guest.connect(RESOLVER, 53);
    guest.until("the connection", |guest| guest.tcp(handle).may_send());
    guest.tcp(handle).send_slice(b"query").unwrap();
    assert_eq!(guest.receive_all(handle), b"yreuq");
    by_datagram.join().unwrap();
    by_stream.join().unwrap();
}

#[test]
fn a_forward_of_datagrams_answers_each_peer() {
    let forward = Forward {
        protocol: Protocol::Udp,
        host: "127.0.0.1:0".parse().unwrap(),
        guest: 53,
    };
    let network = network(false, &[forward], &[]);
    let at = network.forwards()[0];
    let peers = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    for (number, peer) in (0..).zip(&peers) {
        peer.send_to(&[number; 10], at).unwrap();
    }
    let mut guest = Guest::new(network);
    let handle = guest.datagrams(53);
    for _ in &peers {
        let (bytes, from) = received(&mut guest, handle);
        guest.udp(handle).send_slice(&bytes[..7], from).unwrap();
    }
    guest.step();
    for (number, peer) in (0..).zip(&peers) {
        let mut bytes = [0; 20];
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (7, at));
        assert_eq!(bytes[..7], [number; 7]);
    }
}

#[test]
fn an_address_is_leased() {
    let mut guest = Guest::new(network(false, &[], &[]));
    guest
        .interface
        .update_ip_addrs(|addresses| addresses.clear());
    guest.interface.routes_mut().remove_default_ipv4_route();
    let mut socket = dhcpv4::Socket::new();
    socket.set_outgoing_options(&[]);
    let handle = guest.sockets.add(socket);
    let mut lease = None;
    guest.until("the lease", |guest| {
        let socket = guest.sockets.get_mut::<dhcpv4::Socket>(handle);
        if let Some(dhcpv4::Event::Configured(config)) = socket.poll() {
            lease = Some((
                config.address.to_string(),
                config.router,
                config.dns_servers.to_vec(),
                config.server.identifier,
            ));
        }
        lease.is_some()
    });
    let expected = (
        "10.0.2.15/24".to_owned(),
        Some(GATEWAY),
        vec![RESOLVER],
        GATEWAY,
    );
    assert_eq!(lease, Some(expected));
}

/// Sends an echo to an address, from a new socket.
fn echo(guest: &mut Guest, to: Ipv4Address, data: &[u8]) -> SocketHandle {
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(77)).unwrap();
    let echo = Icmpv4Repr::EchoRequest {
        ident: 77,
        seq_no: 3,
        data,
    };
    let room = socket.send(echo.buffer_len(), to.into()).unwrap();
    echo.emit(
        &mut Icmpv4Packet::new_unchecked(room),
        &ChecksumCapabilities::default(),
    );
    guest.sockets.add(socket)
}

#[test]
fn the_router_answers_echoes() {
    let mut guest = Guest::new(network(false, &[], &[]));
    for address in [GATEWAY, RESOLVER] {
        let data = noise(1400);
        let handle = echo(&mut guest, address, &data);
        guest.until("the answer", |guest| {
            guest.sockets.get_mut::<icmp::Socket>(handle).can_recv()
        });
        let socket = guest.sockets.get_mut::<icmp::Socket>(handle);
        let (message, from) = socket.recv().unwrap();
        assert_eq!(from, address.into());
        let view = Icmpv4Packet::new_checked(message).unwrap();
        let answer = Icmpv4Repr::parse(&view, &ChecksumCapabilities::default()).unwrap();
        assert_eq!(
            answer,
            Icmpv4Repr::EchoReply {
                ident: 77,
                seq_no: 3,
                data: &data
            }
        );
        guest.sockets.remove(handle);
    }
    let handle = echo(&mut guest, Ipv4Address::new(10, 0, 2, 77), b"x");
    for _ in 0..20 {
        guest.step();
    }
    assert!(!guest.sockets.get_mut::<icmp::Socket>(handle).can_recv());
}

#[test]
fn echoes_go_out_where_the_host_lets_them() {
    let own = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = own.connect("192.0.2.1:9").and_then(|()| own.local_addr());
    let Ok(SocketAddr::V4(own)) = own else {
        return eprintln!("this host has no address to the world");
    };
    if host::connect_echoes(own.into()).is_err() {
        return eprintln!("this host lets this user send no echoes");
    }
    let mut guest = Guest::with_host();
    let handle = echo(&mut guest, *own.ip(), b"far");
    guest.until("the answer", |guest| {
        guest.sockets.get_mut::<icmp::Socket>(handle).can_recv()
    });
    let socket = guest.sockets.get_mut::<icmp::Socket>(handle);
    let (message, from) = socket.recv().unwrap();
    assert_eq!(from, (*own.ip()).into());
    assert_eq!((message[0], &message[4..]), (0, &b"\0\x4d\0\x03far"[..]));
}

#[test]
fn a_datagram_that_goes_nowhere_is_told_of() {
    let mut guest = Guest::with_host();
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket
        .bind(icmp::Endpoint::Udp((ADDRESS, 4000).into()))
        .unwrap();
    let told = guest.sockets.add(socket);
    let handle = guest.datagrams(4000);
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let to = IpEndpoint::new(GATEWAY.into(), port);
    guest.udp(handle).send_slice(b"nobody", to).unwrap();
    guest.until("the message", |guest| {
        guest.sockets.get_mut::<icmp::Socket>(told).can_recv()
    });
    let (message, from) = guest.sockets.get_mut::<icmp::Socket>(told).recv().unwrap();
    assert_eq!(from, GATEWAY.into());
    // Destination unreachable, port.
    assert_eq!(message[..2], [3, 3]);
    assert_eq!(MAC.0[0] & 1, 0);
}
