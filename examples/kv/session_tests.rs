//! Sessions over a connection that is two arrays, with a store on a disk in memory.

use super::*;
use crate::commit;
use crate::log::fake::Fake;
use crate::store::Store;
use alloc::boxed::Box;
use alloc::string::String;
use core::convert::Infallible;
use embassy_futures::select::select;
use embedded_io_async::ErrorType;
use guest_sdk::executor::block_on;

/// What arrives, in pieces of a size, and what is sent.
struct Socket<'a> {
    incoming: &'a [u8],
    piece: usize,
    sent: Vec<u8>,
}

impl ErrorType for Socket<'_> {
    type Error = Infallible;
}

impl Read for Socket<'_> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let len = bytes.len().min(self.piece).min(self.incoming.len());
        let (now, later) = self.incoming.split_at(len);
        bytes[..len].copy_from_slice(now);
        self.incoming = later;
        Ok(len)
    }
}

impl Write for Socket<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What a new store sends back, and how often it flushed its disk for that.
fn exchange(incoming: &str, piece: usize) -> (String, usize) {
    let (disk, queue) = (Fake::new(100), &*Box::leak(Box::new(Queue::new())));
    let store = block_on(Store::open(&disk)).unwrap();
    let before = disk.flushes();
    let session = Session::new(store.map(), queue);
    let mut socket = Socket {
        incoming: incoming.as_bytes(),
        piece,
        sent: Vec::new(),
    };
    block_on(select(
        commit::run(store, queue),
        session.serve(&mut socket),
    ));
    let sent = String::from_utf8(socket.sent).unwrap();
    (sent, disk.flushes() - before)
}

#[test]
fn replies_are_in_the_order_of_requests_however_they_arrive() {
    let requests = "SET a 1\r\nGET a\r\nSET a 2\r\nSET b 3\r\nDEL a b c\r\nGET a\r\n\
                    EXISTS a b\r\nPING\r\nSET c 4\r\nDBSIZE\r\nNONSENSE\r\nQUIT\r\nPING\r\n";
    let replies = "+OK\r\n$1\r\n1\r\n+OK\r\n+OK\r\n:2\r\n$-1\r\n\
                   :0\r\n+PONG\r\n+OK\r\n:1\r\n-ERR unknown command 'NONSENSE'\r\n+OK\r\n";
    // Changes that have arrived together share a flush.
    assert_eq!(exchange(requests, 4096), (replies.into(), 3));
    for piece in 1..30 {
        assert_eq!(exchange(requests, piece).0, replies, "{piece}");
    }
}

#[test]
fn what_came_before_nonsense_is_done_and_what_comes_after_is_not() {
    let (sent, _) = exchange("SET a 1\r\n*1\r\nnonsense\r\nSET a 2\r\n", 4096);
    assert_eq!(
        sent,
        "+OK\r\n-ERR Protocol error: expected '$' and an argument's length\r\n"
    );
}

#[test]
fn a_connection_that_ends_inside_a_request_asked_for_nothing() {
    assert_eq!(
        exchange("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n", 7),
        ("".into(), 0)
    );
    assert_eq!(exchange("", 7), ("".into(), 0));
}
