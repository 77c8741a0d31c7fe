//! A guest with ports. The first argument chooses the case; `tests/it` plays the host's side and says how each must end.
#![no_std]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embassy_futures::join::join;
use guest_sdk::console::{OpenError, Port};
use guest_sdk::println;
use test_guests::{arg, arg_number, check, fail};

#[guest_sdk::main]
async fn main(_: guest_sdk::executor::Spawner) {
    match arg(1) {
        "two" => two(),
        "echo" => echo().await,
        "stream" => stream().await,
        "hold" => hold(),
        "names" => names(),
        other => fail(format_args!("no case is called {other:?}")),
    }
}

fn open(name: &str) -> Port {
    Port::open(name).unwrap_or_else(|error| fail(format_args!("{name}: {error}")))
}

/// Writes to two ports, blocking, in pieces of all lengths.
fn two() {
    let (mut one, mut other) = (open("one"), open("other"));
    for len in 0..100 {
        one.write_all(&vec![b'1'; len]).unwrap();
        other.write_all(&vec![b'2'; len]).unwrap();
    }
    one.flush().unwrap();
    other.flush().unwrap();
}

/// Gives clients back what they send, one after the other.
async fn echo() {
    let mut port = open("echo");
    let mut bytes = [0; 1000];
    let mut clients = arg_number(2);
    println!("ready");
    while clients > 0 {
        match port.read_async(&mut bytes).await.unwrap() {
            0 => clients -= 1,
            read => port.write_all_async(&bytes[..read]).await.unwrap(),
        }
    }
}

/// The bytes that go each way.
fn pattern(from: u64, bytes: &mut [u8]) {
    for (at, byte) in (from..).zip(bytes) {
        *byte = (at ^ at >> 8 ^ at >> 16) as u8;
    }
}

/// Sends and receives a number of bytes at once, and knows each of them.
async fn stream() {
    let len = arg_number(2);
    let (mut reader, mut writer) = open("stream").split();
    let send = async {
        let mut bytes = vec![0; 50_000];
        let mut at = 0;
        while at < len {
            let piece = (len - at).min(bytes.len() as u64) as usize;
            pattern(at, &mut bytes[..piece]);
            writer.write_all_async(&bytes[..piece]).await.unwrap();
            at += piece as u64;
        }
        writer.flush_async().await.unwrap();
    };
    let receive = async {
        let (mut bytes, mut expected) = (vec![0; 7000], vec![0; 7000]);
        let mut at = 0;
        while at < len {
            let read = reader.read_async(&mut bytes).await.unwrap();
            check!(read > 0, "the end of input after {at} bytes");
            pattern(at, &mut expected[..read]);
            check!(bytes[..read] == expected[..read], "other bytes after {at}");
            at += read as u64;
        }
    };
    join(send, receive).await;
}

/// Writes without a client until no more is taken, says so, and goes on when there is one.
fn hold() {
    let mut port = open("held");
    let piece = [b'x'; 1000];
    let mut count = 0;
    let mut context = Context::from_waker(Waker::noop());
    // Each write either is taken at once or waits.
    while let Poll::Ready(done) = pin!(port.write_all_async(&piece)).poll(&mut context) {
        done.unwrap();
        count += 1;
        check!(
            count < 1000,
            "output without anybody to take it is not held"
        );
    }
    println!("{count}");
    for _ in 0..50 {
        port.write_all(&piece).unwrap();
    }
    port.flush().unwrap();
}

/// What names there are, and that each port has one user.
fn names() {
    check!(
        Port::open("nobody").err() == Some(OpenError::NoPort),
        "no such port"
    );
    for _ in 0..3 {
        let ports: Vec<Port> = ["a", "b", "c"].map(open).into();
        check!(Port::open("b").err() == Some(OpenError::Taken), "taken");
        drop(ports);
    }
}
