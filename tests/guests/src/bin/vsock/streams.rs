//! Streams by the SDK.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use embassy_futures::join::join;
use embedded_io_async::{Read, Write};
use guest_sdk::executor::Spawner;
use guest_sdk::println;
use guest_sdk::vsock::{VsockError, VsockListener, VsockReader, VsockStream, VsockWriter};
use test_guests::{arg_number, check};

/// The port that the guest listens to, and the one of the host's.
pub const GUEST: u32 = 5000;
pub const HOST: u32 = 6000;

static ENDED: AtomicU64 = AtomicU64::new(0);

/// Repeats what comes on as many connections as the argument says, all at once.
pub async fn echo(spawner: Spawner) {
    let listener = VsockListener::bind(GUEST).expect("a device");
    println!("ready");
    let count = arg_number(2);
    for _ in 0..count {
        let stream = listener.accept().await.expect("a connection");
        spawner.spawn(repeat(stream).expect("a place in the pool"));
    }
    while ENDED.load(Ordering::Relaxed) < count {
        guest_sdk::executor::sleep(guest_sdk::time::Duration::from_millis(1)).await;
    }
}

#[guest_sdk::task(pool_size = 256)]
async fn repeat(mut stream: VsockStream) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => stream
                .write_all(&buffer[..count])
                .await
                .expect("a host that reads"),
            Err(error) => panic!("{error}"),
        }
    }
    stream.close().await.expect("a device");
    ENDED.fetch_add(1, Ordering::Relaxed);
}

/// A byte of the streams that `pump` sends, and the sum that ends them.
fn byte(at: u64) -> u8 {
    (at ^ at >> 8 ^ at >> 16) as u8
}

fn sum(sum: u64, byte: u8) -> u64 {
    (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
}

async fn send(mut writer: VsockWriter, count: u64) {
    let mut at = 0;
    let mut total = 0;
    let mut bytes = Vec::new();
    while at < count {
        let next = count.min(at + 50_000);
        bytes.clear();
        bytes.extend((at..next).map(byte));
        total = bytes.iter().fold(total, |total, byte| sum(total, *byte));
        writer.write_all(&bytes).await.expect("a host that reads");
        at = next;
    }
    writer
        .write_all(&total.to_le_bytes())
        .await
        .expect("a host that reads");
}

async fn receive(mut reader: VsockReader, count: u64) {
    let mut buffer = vec![0; 40_000];
    let mut total = 0;
    let mut rest = count;
    while rest > 0 {
        let most = rest.min(buffer.len() as u64) as usize;
        let len = reader.read(&mut buffer[..most]).await.expect("more");
        check!(len > 0, "{rest} bytes too few");
        total = buffer[..len]
            .iter()
            .fold(total, |total, byte| sum(total, *byte));
        rest -= len as u64;
    }
    let mut expected = [0; 8];
    reader.read_exact(&mut expected).await.expect("a sum");
    check!(u64::from_le_bytes(expected) == total, "another sum");
    let end = reader.read(&mut buffer).await;
    check!(end == Ok(0), "{end:?} at the end");
}

/// Sends and receives as many bytes as the argument says, both at once, with their sums.
pub async fn pump() {
    let count = arg_number(2);
    let stream = VsockStream::connect(HOST).await.expect("a listener");
    let (reader, writer) = stream.split();
    // The writer is dropped at its end, which tells the host.
    join(send(writer, count), receive(reader, count)).await;
}

/// The host ends first, then the guest; and the other way round.
pub async fn halves() {
    let listener = VsockListener::bind(GUEST).expect("a device");
    println!("ready");
    for first in [false, true] {
        let mut stream = listener.accept().await.expect("a connection");
        if first {
            stream.write_all(b"done").await.expect("a host that reads");
            stream.end_writing();
            check!(
                stream.write(b"x").await == Err(VsockError::Closed),
                "no more after the end"
            );
        }
        let mut all: Vec<u8> = Vec::new();
        let mut buffer = [0; 7];
        loop {
            match stream.read(&mut buffer).await.expect("a half that is open") {
                0 => break,
                count => all.extend(&buffer[..count]),
            }
        }
        check!(all == b"all of it", "{all:?}");
        check!(stream.read(&mut buffer).await == Ok(0), "an end stays one");
        if !first {
            stream.write_all(b"done").await.expect("a host that reads");
        }
        stream.close().await.expect("a device");
    }
}

/// Nobody listens; then somebody does, and is gone, and is there again.
pub async fn refused() {
    let listener = VsockListener::bind(GUEST).expect("a device");
    for _ in 0..2 {
        let refused = VsockStream::connect(HOST).await.map(drop);
        check!(refused == Err(VsockError::Refused), "{refused:?}");
        // The program is told here that it was missed, and says that it is there, and that it is gone.
        let mut sign = listener.accept().await.expect("a sign");
        sign.write_all(b"?").await.expect("a host that reads");
        sign.read_exact(&mut [0]).await.expect("a sign");
        let mut stream = VsockStream::connect(HOST).await.expect("a listener");
        let mut line = [0; 5];
        stream.read_exact(&mut line).await.expect("a line");
        check!(&line == b"here\n", "{line:?}");
        let end = stream.read(&mut line).await;
        check!(end == Ok(0), "{end:?}");
        check!(sign.read(&mut line).await == Ok(0), "a sign");
    }
}

/// Ports are whose they are.
pub async fn ports() {
    let listener = VsockListener::bind(GUEST).expect("a device");
    let again = VsockListener::bind(GUEST).map(drop);
    check!(again == Err(VsockError::InUse), "{again:?}");
    println!("ready");
    let one = listener.accept().await.expect("a connection");
    let two = listener.accept().await.expect("a connection");
    check!(
        one.local_port() == GUEST && two.local_port() == GUEST,
        "the guest's port"
    );
    check!(one.host_port() != two.host_port(), "the host's port");
    println!("{} {}", one.host_port(), two.host_port());
    drop(listener);
    VsockListener::bind(GUEST).map(drop).expect("a free port");
    join(one.close(), two.close()).await.0.expect("a device");
}

/// The program on the host goes away in the middle.
pub async fn vanishing() {
    let listener = VsockListener::bind(GUEST).expect("a device");
    println!("ready");
    for _ in 0..20 {
        let mut stream = listener.accept().await.expect("a connection");
        let bytes = vec![1; 10_000];
        // Sooner or later, and not never.
        while stream.write_all(&bytes).await.is_ok() {}
        let mut buffer = [0; 64];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    }
    // And it works on.
    let mut stream = listener.accept().await.expect("a connection");
    stream
        .write_all(b"still here")
        .await
        .expect("a host that reads");
    stream.close().await.expect("a device");
}

/// The guest reads nothing: the program on the host waits, and nobody else does.
pub async fn deaf() {
    let listener = VsockListener::bind(GUEST).expect("a device");
    println!("ready");
    let deaf = listener.accept().await.expect("a connection");
    let mut other = listener.accept().await.expect("another connection");
    let mut buffer = [0; 4];
    other.read_exact(&mut buffer).await.expect("bytes");
    other.write_all(&buffer).await.expect("a host that reads");
    other.close().await.expect("a device");
    drop(deaf);
}
