//! Repeats to each program on the host what it sends, several at once, over a Unix socket.
//!
//! `cargo run -- run examples/vsock_echo.toml`, and beside it `socat - UNIX-CONNECT:/tmp/vsock-echo.sock`: write `CONNECT 7`, read `OK`, and write whatever is to come back.
#![no_std]
#![cfg_attr(not(test), no_main)]

use embedded_io_async::{Read, Write};
use guest_sdk::abi::device::kind;
use guest_sdk::abi::note::Note;
use guest_sdk::executor::Spawner;
use guest_sdk::println;
use guest_sdk::vsock::{VsockError, VsockListener, VsockStream};

const PORT: u32 = 7;

#[guest_sdk::main(Note::DEFAULT.needs(kind::VSOCK))]
async fn main(spawner: Spawner) -> Result<(), VsockError> {
    let listener = VsockListener::bind(PORT)?;
    println!("listening to port {PORT}");
    loop {
        let stream = listener.accept().await?;
        // Where there are as many already, this one is closed.
        if let Ok(task) = serve(stream) {
            spawner.spawn(task);
        }
    }
}

/// One program's connection.
#[guest_sdk::task(pool_size = 64)]
async fn serve(stream: VsockStream) {
    let host = stream.host_port();
    match echo(stream).await {
        Ok(count) => println!("{host}: {count} bytes"),
        Err(error) => println!("{host}: {error}"),
    }
}

/// Repeats what comes until the program says that no more does, and says how many bytes those were.
async fn echo(mut stream: VsockStream) -> Result<u64, VsockError> {
    let mut buffer = [0; 4096];
    let mut total = 0;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            stream.close().await?;
            return Ok(total);
        }
        stream.write_all(&buffer[..count]).await?;
        total += count as u64;
    }
}
