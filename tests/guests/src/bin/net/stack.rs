//! With a network stack.

use alloc::boxed::Box;
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{
    Config, IpAddress, IpEndpoint, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4,
};
use embassy_time::{Duration, with_timeout};
use guest_sdk::executor::Spawner;
use guest_sdk::net::Card;
use guest_sdk::{env, println, random};

#[guest_sdk::task]
async fn serve(mut runner: Runner<'static, Card>) {
    runner.run().await;
}

/// Sends back what comes over connections to port 7, one after the other; ends after one that sends `quit`.
pub async fn tcp(card: Card, spawner: Spawner) {
    let stack = start(card, spawner);
    println!("listening");
    let (mut incoming, mut outgoing) = (Box::new([0; 65536]), Box::new([0; 65536]));
    let mut is_last = false;
    while !is_last {
        let mut socket = TcpSocket::new(stack, &mut *incoming, &mut *outgoing);
        socket.accept(7).await.expect("a connection");
        let mut bytes = [0; 4096];
        loop {
            let len = socket.read(&mut bytes).await.expect("a connection");
            if len == 0 {
                break;
            }
            is_last |= bytes[..len].starts_with(b"quit");
            let mut rest = &bytes[..len];
            while !rest.is_empty() {
                let written = socket.write(rest).await.expect("a connection");
                rest = &rest[written..];
            }
        }
        socket.close();
        socket.flush().await.expect("a connection");
    }
}

/// Says when the stack sees the link come and go, twice. Greets everybody whenever it is there, so that nothing is left to be done, and no timer runs.
pub async fn link(card: Card, spawner: Spawner) {
    let stack = start(card, spawner);
    for _ in 0..2 {
        stack.wait_link_up().await;
        println!("up");
        let mut parts = [PacketMetadata::EMPTY; 4];
        let mut parts_out = parts;
        let (mut incoming, mut outgoing) = ([0; 64], [0; 64]);
        let mut socket = UdpSocket::new(
            stack,
            &mut parts,
            &mut incoming,
            &mut parts_out,
            &mut outgoing,
        );
        socket.bind(9).expect("a port");
        let to = IpEndpoint::new(IpAddress::v4(255, 255, 255, 255), 9);
        socket.send_to(b"hello", to).await.expect("a way");
        stack.wait_link_down().await;
        println!("down");
    }
}

/// Asks for an address, and gives up after a second.
pub async fn dhcp(card: Card, spawner: Spawner) {
    let stack = run(card, spawner, Config::dhcpv4(Default::default()));
    let configured = with_timeout(Duration::from_secs(1), stack.wait_config_up());
    assert!(configured.await.is_err(), "nobody answers");
}

/// A stack with the address that the second argument says.
fn start(card: Card, spawner: Spawner) -> Stack<'static> {
    let address = env::args().nth(2).unwrap_or_default();
    let address: Ipv4Cidr = address.parse().expect("an address");
    let config = StaticConfigV4 {
        address,
        gateway: None,
        dns_servers: Default::default(),
    };
    run(card, spawner, Config::ipv4_static(config))
}

/// A stack that runs.
pub fn run(card: Card, spawner: Spawner, config: Config) -> Stack<'static> {
    let resources = Box::leak(Box::new(StackResources::<4>::new()));
    let seed = random::number().expect("random numbers");
    let (stack, runner) = embassy_net::new(card, config, resources, seed);
    spawner.spawn(serve(runner).expect("one of it"));
    stack
}
