//! A card's stream, with the other end in this process.

use super::driver::{Floor, packet};
use crate::virtio::net::{Backend, HEADER, MOST_FRAME, Sent, Stream};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use tempfile::TempDir;
use vmm_sys_util::epoll::EventSet;

const CONNECTION: u32 = 0;
const TIMER: u32 = 1;
const LISTENER: u32 = 2;

struct Bench {
    stream: Stream,
    floor: Floor,
    room: Vec<u8>,
}

impl Bench {
    fn new(stream: Stream) -> Bench {
        let mut bench = Bench {
            stream,
            floor: Floor::new(),
            room: vec![0; HEADER + MOST_FRAME],
        };
        let stream = &mut bench.stream;
        bench
            .floor
            .with(|sources| stream.watch(0, sources))
            .unwrap();
        bench
    }

    fn ready(&mut self, token: u32, events: EventSet) {
        let stream = &mut self.stream;
        self.floor
            .with(|sources| stream.ready(token, events, sources));
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let len = self.stream.receive(&mut self.room)?;
        Some(self.room[..len].to_vec())
    }

    fn flush(&mut self) {
        let stream = &mut self.stream;
        self.floor.with(|sources| stream.flush(sources));
    }
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    bytes.extend(frame);
    bytes
}

fn connected(directory: &TempDir) -> (Bench, UnixListener, UnixStream) {
    let path = directory.path().join("switch");
    let listener = UnixListener::bind(&path).unwrap();
    let bench = Bench::new(Stream::connect(&path).unwrap());
    let (peer, _) = listener.accept().unwrap();
    (bench, listener, peer)
}

#[test]
fn frames_have_their_length_before_them() {
    let directory = TempDir::new().unwrap();
    let (mut bench, _, mut peer) = connected(&directory);
    assert_eq!(bench.stream.send(&packet(60, 1)), Sent::Taken);
    assert_eq!(bench.stream.send(&packet(14, 2)), Sent::Taken);
    bench.flush();
    let mut bytes = vec![0; 64 + 18];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, [framed(&[1; 60]), framed(&[2; 14])].concat());

    assert_eq!(bench.receive(), None);
    let sent = [framed(&[3; 100]), framed(&[4; 5]), framed(&[5; 14])].concat();
    peer.write_all(&sent[..50]).unwrap();
    bench.ready(CONNECTION, EventSet::IN);
    assert_eq!(bench.receive(), None);
    peer.write_all(&sent[50..]).unwrap();
    bench.ready(CONNECTION, EventSet::IN);
    assert_eq!(bench.receive(), Some(packet(100, 3)));
    assert_eq!(bench.receive(), Some(packet(14, 5)));
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.stream.take_dropped(), 1, "the one of 5 bytes");
}

#[test]
fn an_end_that_does_not_read_fills_the_stream() {
    let directory = TempDir::new().unwrap();
    let (mut bench, _, mut peer) = connected(&directory);
    let mut taken = 0;
    while bench.stream.send(&packet(1514, taken as u8)) == Sent::Taken {
        taken += 1;
    }
    assert_eq!(bench.stream.send(&packet(1514, 0)), Sent::Full);
    let mut frame = vec![0; 1518];
    for number in 0..taken {
        peer.read_exact(&mut frame).unwrap();
        assert_eq!(frame, framed(&[number as u8; 1514]), "frame {number}");
        bench.ready(CONNECTION, EventSet::OUT);
        bench.flush();
    }
    assert_eq!(bench.stream.send(&packet(1514, 0)), Sent::Taken);
}

#[test]
fn an_end_that_vanishes_is_looked_for() {
    let directory = TempDir::new().unwrap();
    let (mut bench, listener, mut peer) = connected(&directory);
    peer.write_all(&framed(&[1; 60])).unwrap();
    drop(peer);
    bench.ready(CONNECTION, EventSet::IN | EventSet::HANG_UP);
    assert_eq!(bench.receive(), Some(packet(60, 1)), "what it sent before");
    assert_eq!(bench.receive(), None);
    bench.flush();
    assert!(!bench.stream.has_link());
    assert_eq!(bench.receive(), None);
    assert_eq!(bench.stream.send(&packet(60, 1)), Sent::Dropped);
    // Nobody there yet.
    let path = directory.path().join("switch");
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    for _ in 0..3 {
        bench.ready(TIMER, EventSet::IN);
        assert!(!bench.stream.has_link());
    }
    let listener = UnixListener::bind(&path).unwrap();
    bench.ready(TIMER, EventSet::IN);
    assert!(bench.stream.has_link());
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(bench.stream.send(&packet(60, 9)), Sent::Taken);
    bench.flush();
    let mut bytes = vec![0; 64];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, framed(&[9; 60]));
}

#[test]
fn an_end_out_of_step_is_let_go() {
    let directory = TempDir::new().unwrap();
    let (mut bench, _, mut peer) = connected(&directory);
    peer.write_all(&[0xff; 4]).unwrap();
    bench.ready(CONNECTION, EventSet::IN);
    assert_eq!((bench.receive(), bench.stream.take_dropped()), (None, 1));
    bench.flush();
    assert!(!bench.stream.has_link());
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed");
}

#[test]
fn who_connects_is_heard_one_after_the_other() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("card");
    let mut bench = Bench::new(Stream::listen(&path).unwrap());
    assert!(!bench.stream.has_link());
    let first = UnixStream::connect(&path).unwrap();
    bench.ready(LISTENER, EventSet::IN);
    assert!(bench.stream.has_link());
    let mut second = UnixStream::connect(&path).unwrap();
    bench.ready(LISTENER, EventSet::IN);
    drop(first);
    bench.ready(CONNECTION, EventSet::IN | EventSet::HANG_UP);
    assert_eq!(bench.receive(), None);
    bench.flush();
    assert!(bench.stream.has_link(), "the second has waited");
    second.write_all(&framed(&[2; 60])).unwrap();
    bench.ready(CONNECTION, EventSet::IN);
    assert_eq!(bench.receive(), Some(packet(60, 2)));
    drop(bench);
    assert!(!path.exists());
}

#[test]
fn what_an_earlier_program_left_is_no_obstacle_and_one_that_runs_is() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("card");
    drop(UnixListener::bind(&path).unwrap());
    let held = Stream::listen(&path).unwrap();
    let refused = Stream::listen(&path).err().unwrap().to_string();
    assert!(refused.contains("a program listens there"), "{refused}");
    drop(held);
    let refused = Stream::connect(&path).err().unwrap().to_string();
    assert!(refused.contains("there is no socket"), "{refused}");
    drop(UnixListener::bind(&path).unwrap());
    let refused = Stream::connect(&path).err().unwrap().to_string();
    assert!(refused.contains("nobody listens at"), "{refused}");
}

#[test]
fn the_timer_rings_after_an_end_was_lost() {
    let directory = TempDir::new().unwrap();
    let (mut bench, listener, peer) = connected(&directory);
    drop(peer);
    bench.ready(CONNECTION, EventSet::IN | EventSet::HANG_UP);
    assert_eq!(bench.receive(), None);
    bench.flush();
    bench.floor.wait(TIMER);
    bench.ready(TIMER, EventSet::IN);
    assert!(bench.stream.has_link());
    drop(listener);
}
