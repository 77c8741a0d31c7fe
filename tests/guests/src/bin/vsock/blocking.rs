//! Streams without tasks.

use crate::streams::{GUEST, HOST};
use embedded_io::{Read, Write};
use guest_sdk::println;
use guest_sdk::vsock::{VsockListener, VsockStream};
use test_guests::check;

/// A connection each way.
pub fn both_ways() {
    let mut stream = VsockStream::connect_blocking(HOST).expect("a listener");
    stream.write_all(b"question\n").expect("a host that reads");
    stream.flush().expect("a host that reads");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect("an answer");
    check!(&answer == b"answer\n", "{answer:?}");
    stream.close_blocking().expect("a device");
    let listener = VsockListener::bind(GUEST).expect("a device");
    println!("ready");
    let mut stream = listener.accept_blocking().expect("a connection");
    stream.read_exact(&mut answer).expect("bytes");
    stream.write_all(&answer).expect("a host that reads");
    stream.close_blocking().expect("a device");
}
