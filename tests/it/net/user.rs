//! Cards in a user-mode network, with programs of the host at the other end.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use trapless_tests::{Boot, require_kvm};
use vmm::config::{Forward, Link, Protocol, UserNetwork};

/// An address at which nobody listens, most likely.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn forward(host: SocketAddr) -> UserNetwork {
    UserNetwork {
        forward: vec![Forward {
            protocol: Protocol::Tcp,
            host,
            guest: 7,
        }],
        ..UserNetwork::default()
    }
}

/// What comes back over a connection. Nobody is refused by a guest that is not there yet, or has not come back to listening.
fn exchange(at: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        back
    });
    stream.write_all(sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    reader.join().unwrap()
}

#[test]
fn a_forward_leads_into_the_guest() {
    require_kvm!();
    let at = free();
    let boot = Boot::guest("net", &["tcp", "10.0.2.15/24"]).card(Link::User(forward(at)));
    let (vm, console) = boot.vm();
    let client = thread::spawn(move || {
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
        assert!(exchange(at, &sent) == sent);
        // One after the other.
        for _ in 0..20 {
            assert_eq!(exchange(at, b"again"), b"again");
        }
        assert_eq!(exchange(at, b"quit"), b"quit");
    });
    let finished = boot.finish(vm, &console);
    finished.passed();
    client.join().unwrap();
    let card = &finished.outcome.stats.devices[0];
    assert_eq!((card.name.as_str(), card.broken), ("net0", None));
}

#[test]
fn a_guest_gets_an_address_and_reaches_the_host() {
    require_kvm!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(at).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
        drop(stream);
        let mut bytes = [0; 2048];
        let (len, from) = datagrams.recv_from(&mut bytes).unwrap();
        datagrams.send_to(&bytes[..len], from).unwrap();
    });
    let user = UserNetwork {
        host_access: true,
        ..UserNetwork::default()
    };
    let port = at.port().to_string();
    let finished = Boot::guest("net", &["outbound", &port])
        .card(Link::User(user))
        .run();
    finished.passed();
    server.join().unwrap();
    assert_eq!(
        finished.text(),
        "10.0.2.15/24 Some(10.0.2.2) [10.0.2.3]\ndone\n"
    );
}

#[test]
fn an_address_in_use_is_refused_before_boot() {
    require_kvm!();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let refused = Boot::guest("net", &["tcp", "10.0.2.15/24"])
        .card(Link::User(forward(at)))
        .refused();
    assert!(
        refused.contains(&format!("tcp:{at}:7")) && refused.contains("another program listens"),
        "{refused}"
    );
}
