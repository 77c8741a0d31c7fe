//! Network cards: Ethernet frames out and in, over two virtio queues.
//!
//! Owns the driver. It has no network stack: [`Card`] is a driver of [`embassy_net_driver`], and whatever takes one of those has a network,
//! `embassy-net` above all.
//!
//! ```ignore
//! #[guest_sdk::main]
//! async fn main(spawner: Spawner) {
//!     let card = net::Card::open().expect("a network card");
//!     let resources = Box::leak(Box::new(StackResources::<4>::new()));
//!     let (stack, runner) = embassy_net::new(card, Config::dhcpv4(Default::default()), resources, random::number());
//!     spawner.spawn(serve(runner).expect("one of it"));
//!     stack.wait_config_up().await;
//!     // and so on
//! }
//!
//! #[guest_sdk::task]
//! async fn serve(mut runner: Runner<'static, net::Card>) {
//!     runner.run().await;
//! }
//! ```
//!
//! # What it costs
//! All buffers are allocated when the card is opened, as many as the queues hold. The device is kicked only when it has asked to be, and it asks only
//! when it has gone to sleep; events come only to who waits. What is sent is on its way when the next frame is asked for, or the program
//! rests.

mod card;
mod checksum;
mod token;

pub use card::{Card, OpenError};
pub use token::{Received, Room};
