//! Connections, both ways.

use super::guest::{GATEWAY, Guest, network};
use super::noise;
use crate::config::{Forward, Protocol};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use smoltcp::wire::Ipv4Address;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A program of the host's that accepts one connection.
fn server<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || serve(listener.accept().unwrap().0));
    (port, thread)
}

pub(super) fn established(guest: &mut Guest, handle: SocketHandle) {
    guest.until("the connection", |guest| guest.tcp(handle).may_send());
}

pub(super) fn nothing_is_left(guest: &mut Guest) {
    guest.until("the last connection's end", |guest| {
        guest.network.streams() == 0
    });
}

#[test]
fn what_the_guest_sends_comes_back() {
    let (port, server) = server(|mut stream| {
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    });
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.tcp(handle).send_slice(b"hello").unwrap();
    assert_eq!(guest.receive_all(handle), b"hello");
    guest.tcp(handle).close();
    server.join().unwrap();
    nothing_is_left(&mut guest);
}

#[test]
fn megabytes_pass_both_ways_at_once_and_unchanged() {
    const LENGTH: usize = 6 << 20;
    let (port, server) = server(|mut stream| {
        let mut reader = stream.try_clone().unwrap();
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        });
        stream.write_all(&noise(LENGTH)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        reader.join().unwrap()
    });
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    let (out, mut sent, mut received) = (noise(LENGTH), 0, Vec::new());
    guest.until("the end of both", |guest| {
        let socket = guest.tcp(handle);
        while socket.can_recv() {
            let took = socket.recv(|room| (room.len(), received.extend_from_slice(room)));
            took.unwrap();
        }
        if sent < LENGTH && socket.can_send() {
            sent += socket.send_slice(&out[sent..]).unwrap();
            if sent == LENGTH {
                socket.close();
            }
        }
        sent == LENGTH && !socket.may_recv()
    });
    assert!(received == out, "{} bytes came", received.len());
    guest.until("the server's end", |_| server.is_finished());
    assert!(server.join().unwrap() == out);
    nothing_is_left(&mut guest);
}

#[test]
fn a_host_that_does_not_read_stops_the_guest_and_nothing_grows() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (port, server) = server(move |mut stream| {
        wait.recv().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    // More than the host's kernel keeps for a socket.
    let out = noise(24 << 20);
    let (mut sent, mut still) = (0, 0);
    guest.until("a closed window", |guest| {
        let socket = guest.tcp(handle);
        let before = sent;
        if socket.can_send() {
            sent += socket.send_slice(&out[sent..]).unwrap();
        }
        still = if sent == before { still + 1 } else { 0 };
        still == 200
    });
    assert!(sent < out.len());
    go.send(()).unwrap();
    guest.send_all(handle, &out[sent..]);
    guest.until("the server's end", |_| server.is_finished());
    assert!(server.join().unwrap() == out);
}

#[test]
fn each_side_may_finish_first() {
    let (port, asked) = server(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        stream.write_all(b"answer").unwrap();
        bytes
    });
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.send_all(handle, b"question");
    assert_eq!(guest.receive_all(handle), b"answer");
    assert_eq!(asked.join().unwrap(), b"question");
    nothing_is_left(&mut guest);

    let (port, server) = server(|mut stream| {
        stream.write_all(b"greeting").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let handle = guest.connect(GATEWAY, port);
    assert_eq!(
        {
            established(&mut guest, handle);
            guest.receive_all(handle)
        },
        b"greeting"
    );
    guest.send_all(handle, b"farewell");
    guest.until("the server's end", |_| server.is_finished());
    assert_eq!(server.join().unwrap(), b"farewell");
    nothing_is_left(&mut guest);
}

#[test]
fn a_port_where_nobody_listens_is_refused() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    guest.until("the refusal", |guest| {
        guest.tcp(handle).state() == State::Closed
    });
    assert_eq!(guest.network.streams(), 0);
}

#[test]
fn the_host_is_not_reached_unless_it_may_be() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::new(network(false, &[], &[]));
    // Also by another one of its own addresses, if it has one that a packet to the world would come from.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe
        .connect("192.0.2.1:9")
        .and_then(|()| probe.local_addr());
    let own = own.ok().and_then(|own| match own.ip() {
        std::net::IpAddr::V4(own) => Some(own),
        std::net::IpAddr::V6(_) => None,
    });
    for address in [Some(GATEWAY), own].into_iter().flatten() {
        let handle = guest.connect(address, port);
        guest.until("the refusal", |guest| {
            guest.tcp(handle).state() == State::Closed
        });
    }
    for address in [[127, 0, 0, 1], [0, 0, 0, 0], [10, 0, 2, 77]] {
        let handle = guest.socket();
        let socket = guest
            .sockets
            .get_mut::<smoltcp::socket::tcp::Socket>(handle);
        let to = (Ipv4Address::from(address), port);
        // The guest's stack refuses one of them itself.
        let _ = socket.connect(guest.interface.context(), to, 50_100);
        for _ in 0..20 {
            guest.step();
        }
    }
    assert_eq!(guest.network.streams(), 0);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_abrupt_end_on_one_side_is_one_on_the_other() {
    let (port, server) = server(|mut stream| stream.read(&mut [0; 8]).unwrap_err().kind());
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.tcp(handle).abort();
    guest.until("the server's end", |_| server.is_finished());
    assert_eq!(server.join().unwrap(), ErrorKind::ConnectionReset);
    nothing_is_left(&mut guest);

    // A program that ends with something unread resets its connection.
    let (port, server) = server_that_leaves();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.tcp(handle).send_slice(b"unread").unwrap();
    guest.until("the reset", |guest| {
        guest.tcp(handle).state() == State::Closed
    });
    server.join().unwrap();
    nothing_is_left(&mut guest);
}

fn server_that_leaves() -> (u16, JoinHandle<()>) {
    server(|stream| while stream.peek(&mut [0; 8]).unwrap() == 0 {})
}

pub(super) fn forward(protocol: Protocol) -> Forward {
    Forward {
        protocol,
        host: "127.0.0.1:0".parse().unwrap(),
        guest: 80,
    }
}

#[test]
fn a_forward_reaches_the_guest() {
    let network = network(false, &[forward(Protocol::Tcp)], &[]);
    let at = network.forwards()[0];
    let mut guest = Guest::new(network);
    // It waits until the guest listens.
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(b"GET /").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let handle = guest.socket();
    guest.tcp(handle).listen(80).unwrap();
    established(&mut guest, handle);
    assert_eq!(
        guest.tcp(handle).remote_endpoint().unwrap().addr,
        GATEWAY.into()
    );
    assert_eq!(guest.receive_all(handle), b"GET /");
    let page = noise(1 << 20);
    guest.send_all(handle, &page);
    guest.until("the client's end", |_| client.is_finished());
    assert!(client.join().unwrap() == page);
    nothing_is_left(&mut guest);
}

#[test]
fn a_forward_at_an_address_in_use_is_refused_with_a_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let forward = Forward {
        host: taken.local_addr().unwrap(),
        ..forward(Protocol::Tcp)
    };
    let user = crate::config::UserNetwork {
        forward: vec![forward],
        ..Default::default()
    };
    let Err(refused) = super::super::User::open(&user, [2; 6], 1500) else {
        panic!("it listens at an address in use");
    };
    let refused = refused.to_string();
    assert!(refused.contains(&forward.to_string()), "{refused}");
    assert!(
        refused.contains("another program listens there"),
        "{refused}"
    );
}

#[test]
fn a_guest_that_goes_ends_its_connections_abruptly() {
    let (port, server) = server(|mut stream| stream.read(&mut [0; 8]).unwrap_err().kind());
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.network.clear();
    assert_eq!(server.join().unwrap(), ErrorKind::ConnectionReset);
    assert_eq!(guest.network.streams(), 0);
}

#[test]
fn a_connection_that_the_guest_forgot_ends() {
    let (port, server) = server(|mut stream| stream.read(&mut [0; 8]).unwrap_err().kind());
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.sockets.remove(handle);
    // Asked whether it is still there, a guest that is not resets it.
    guest.network.pass(Duration::from_secs(80));
    guest.until("the server's end", |_| server.is_finished());
    assert_eq!(server.join().unwrap(), ErrorKind::ConnectionReset);
    nothing_is_left(&mut guest);
}

#[test]
fn a_guest_that_is_silent_for_long_is_given_up() {
    let (port, server) = server(|mut stream| stream.read(&mut [0; 8]).unwrap_err().kind());
    let mut guest = Guest::with_host();
    let handle = guest.connect(GATEWAY, port);
    established(&mut guest, handle);
    guest.network.pass(Duration::from_secs(301));
    let mut room = vec![0; 2048];
    // It gets a reset, if it is there at all.
    while guest.network.receive(&mut room).is_some() {}
    assert_eq!(server.join().unwrap(), ErrorKind::ConnectionReset);
    assert_eq!(guest.network.streams(), 0);
}
