//! Streams on which nothing is done but sending, or receiving.

use crate::streams::HOST;
use alloc::vec;
use embedded_io_async::{Read, Write};
use guest_sdk::vsock::VsockStream;
use test_guests::{arg_number, check};

/// Bytes that are written, and read, at once.
const PIECE: usize = 32 << 10;

/// Sends as many bytes as the argument says.
pub async fn source() {
    let mut stream = VsockStream::connect(HOST).await.expect("a listener");
    let bytes = vec![0x5a; PIECE];
    let mut rest = arg_number(2) as usize;
    while rest > 0 {
        let now = rest.min(PIECE);
        stream
            .write_all(&bytes[..now])
            .await
            .expect("a host that reads");
        rest -= now;
    }
    stream.close().await.expect("a device");
}

/// Receives as many.
pub async fn sink() {
    let mut stream = VsockStream::connect(HOST).await.expect("a listener");
    let mut bytes = vec![0; PIECE];
    let mut rest = arg_number(2) as usize;
    while rest > 0 {
        let read = stream.read(&mut bytes).await.expect("a host that writes");
        check!((1..=rest).contains(&read), "{read} of {rest}");
        rest -= read;
    }
    check!(stream.read(&mut bytes).await == Ok(0), "an end");
}
