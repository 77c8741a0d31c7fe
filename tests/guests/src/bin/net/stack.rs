//! With a network stack.

use alloc::boxed::Box;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
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
