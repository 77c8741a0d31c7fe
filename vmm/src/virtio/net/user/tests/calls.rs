//! Connections to a guest that cannot take them yet, or never will.

use super::guest::{Guest, is_asking, network};
use super::streams::{established, forward, nothing_is_left};
use crate::config::Protocol;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A guest with a forward to port 80, and where the host listens for it.
fn forwarded() -> (Guest, SocketAddr) {
    let network = network(false, &[forward(Protocol::Tcp)], &[]);
    let at = network.forwards()[0];
    (Guest::new(network), at)
}

/// A client that asks for a page.
fn client(at: SocketAddr) -> JoinHandle<std::io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut stream = TcpStream::connect(at)?;
        stream.write_all(b"GET /")?;
        stream.shutdown(Shutdown::Write)?;
        let mut page = Vec::new();
        stream.read_to_end(&mut page)?;
        Ok(page)
    })
}

#[test]
fn a_guest_that_refuses_is_asked_again() {
    let (mut guest, at) = forwarded();
    let client = client(at);
    guest.until("the third question", |guest| guest.asked == 3);
    let handle = guest.socket();
    guest.tcp(handle).listen(80).unwrap();
    established(&mut guest, handle);
    assert_eq!(guest.receive_all(handle), b"GET /");
    guest.send_all(handle, b"page");
    guest.until("the client's end", |_| client.is_finished());
    assert_eq!(client.join().unwrap().unwrap(), b"page");
    nothing_is_left(&mut guest);
}

#[test]
fn a_port_where_nobody_listens_is_asked_a_few_times_and_then_the_client_is_reset() {
    let (mut guest, at) = forwarded();
    let client = client(at);
    guest.until("the client's end", |_| client.is_finished());
    let refused = client.join().unwrap().unwrap_err().kind();
    assert_eq!(refused, ErrorKind::ConnectionReset);
    // Once more for the answer that is lost while the guest looks for its router, or where one takes a second.
    assert!(guest.asked >= 15, "{}", guest.asked);
    assert_eq!(guest.network.streams(), 0);
}

#[test]
fn more_clients_than_sockets_are_served_one_after_the_other() {
    const CLIENTS: usize = 60;
    let (mut guest, at) = forwarded();
    let clients: Vec<_> = (0..CLIENTS).map(|_| client(at)).collect();
    let handles = [guest.socket(), guest.socket()];
    let (mut listens, mut served) = ([false; 2], 0);
    guest.until("the last client's end", |guest| {
        for (handle, listens) in handles.iter().zip(&mut listens) {
            let socket = guest.tcp(*handle);
            if socket.can_recv() && socket.can_send() {
                let question = socket.recv(|room| (room.len(), room.to_vec())).unwrap();
                assert_eq!(question, b"GET /");
                socket.send_slice(b"page").unwrap();
                socket.close();
                served += 1;
            } else if !socket.is_open() {
                // As a task does that is woken when its connection has ended: not at once.
                match *listens {
                    true => *listens = false,
                    false => *listens = socket.listen(80).is_ok(),
                }
            }
        }
        clients.iter().all(JoinHandle::is_finished)
    });
    for client in clients {
        assert_eq!(client.join().unwrap().unwrap(), b"page");
    }
    assert_eq!(served, CLIENTS);
    nothing_is_left(&mut guest);
}

#[test]
fn a_guest_that_is_not_there_yet_is_asked_the_same_until_patience_ends() {
    let mut network = network(false, &[forward(Protocol::Tcp)], &[]);
    let mut stream = TcpStream::connect(network.forwards()[0]).unwrap();
    let (mut room, mut questions) = (vec![0; 2048], Vec::new());
    for _ in 0..20 {
        network.ready();
        while let Some(length) = network.receive(&mut room) {
            assert!(is_asking(&room[..length]));
            questions.push(room[..length].to_vec());
        }
        network.pass(Duration::from_millis(500));
    }
    // After 1, 3, 7 seconds, or a pass more.
    assert_eq!(questions.len(), 4);
    assert!(questions.iter().all(|question| *question == questions[0]));
    assert_eq!(network.streams(), 1);
    // Nobody takes a frame any more, and it ends all the same.
    network.pass(Duration::from_secs(20));
    assert_eq!(network.streams(), 0);
    let error = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn of_all_connections_half_may_wait_for_the_guest() {
    let mut network = network(false, &[forward(Protocol::Tcp)], &[]);
    let at = network.forwards()[0];
    let mut streams = Vec::new();
    for _ in 0..150 {
        streams.push(TcpStream::connect(at).unwrap());
        network.ready();
    }
    assert_eq!(network.streams(), 128);
    network.clear();
    assert_eq!(network.streams(), 0);
}
