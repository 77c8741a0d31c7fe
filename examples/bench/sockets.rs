//! Bytes over a socket to a program of the host's, which answers when so many have come.

use crate::block::Run;
use alloc::vec;
use embedded_io::{Read, Write};
use guest_sdk::vsock::VsockStream;

/// What is written to a port of the host's before it answers: as the host's table has it.
struct Exchange {
    port: u32,
    /// Bytes of a write.
    len: usize,
    writes: usize,
    answer: usize,
}

/// A few bytes and as many back.
pub fn request(run: &mut Run) {
    over(
        run,
        &Exchange {
            port: 1,
            len: 64,
            writes: 1,
            answer: 64,
        },
    );
}

/// Writes one after the other, of which the last is answered.
pub fn stream(run: &mut Run) {
    over(
        run,
        &Exchange {
            port: 2,
            len: 4096,
            writes: 256,
            answer: 1,
        },
    );
}

fn over(run: &mut Run, exchange: &Exchange) {
    let Ok(mut stream) = VsockStream::connect_blocking(exchange.port) else {
        panic!("nobody listens to port {}", exchange.port);
    };
    let (asked, mut answered) = (vec![7; exchange.len], vec![0; exchange.answer]);
    run.over(|| {
        let mut round = || {
            for _ in 0..exchange.writes {
                stream.write_all(&asked).ok()?;
            }
            stream.read_exact(&mut answered).ok()
        };
        if round().is_none() {
            panic!("a socket broke");
        }
    });
}
