//! In a network that gives the guest its address, out to the host.

use super::stack;
use alloc::boxed::Box;
use alloc::vec;
use embassy_net::driver::{Checksum, Driver};
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, IpAddress};
use guest_sdk::executor::Spawner;
use guest_sdk::net::Card;
use guest_sdk::println;

/// What the test at the other end sends back.
const LENGTH: usize = 300_000;

/// Asks for an address, and then exchanges bytes with a port of the router's, by TCP and by UDP.
pub async fn outbound(card: Card, spawner: Spawner, port: u16) {
    // What this network says has not left the process at its other end: neither side looks at checksums.
    let checksum = card.capabilities().checksum;
    assert!(matches!(
        (checksum.tcp, checksum.udp),
        (Checksum::None, Checksum::None)
    ));
    let stack = stack::run(card, spawner, Config::dhcpv4(Default::default()));
    stack.wait_config_up().await;
    let config = stack.config_v4().expect("an address");
    println!(
        "{} {:?} {:?}",
        config.address, config.gateway, config.dns_servers
    );
    let router = config.gateway.expect("a router");

    let (mut incoming, mut outgoing) = (Box::new([0; 65536]), Box::new([0; 65536]));
    let mut socket = TcpSocket::new(stack, &mut *incoming, &mut *outgoing);
    socket.connect((router, port)).await.expect("a connection");
    let sent: vec::Vec<u8> = (0..LENGTH).map(|n| ((n * 7) >> 2) as u8).collect();
    let mut rest = &sent[..];
    while !rest.is_empty() {
        let written = socket.write(rest).await.expect("a connection");
        rest = &rest[written..];
    }
    socket.close();
    let mut back = vec![0; LENGTH + 1];
    let mut len = 0;
    loop {
        match socket.read(&mut back[len..]).await.expect("a connection") {
            0 => break,
            read => len += read,
        }
    }
    assert!(back[..len] == sent, "{len} bytes came back");

    let metadata = || [PacketMetadata::EMPTY; 4];
    let (mut in_metadata, mut out_metadata) = (metadata(), metadata());
    let (mut incoming, mut outgoing) = ([0; 4096], [0; 4096]);
    let mut socket = UdpSocket::new(
        stack,
        &mut in_metadata,
        &mut incoming,
        &mut out_metadata,
        &mut outgoing,
    );
    socket.bind(4000).expect("a port");
    let to = (IpAddress::Ipv4(router), port);
    socket.send_to(&sent[..1472], to).await.expect("a route");
    let mut back = [0; 2048];
    let (len, from) = socket.recv_from(&mut back).await.expect("an answer");
    assert_eq!((from.endpoint.addr, from.endpoint.port), to);
    assert!(back[..len] == sent[..1472], "{len} bytes came back");
    println!("done");
}
