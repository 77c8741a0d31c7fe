//! Both ends of a queue in one process.

mod interleaved;

use super::*;
use crate::virtio::peer::{Bell, Peer, wake};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{vec, vec::Vec};
use virtio_queue::{QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};

fn shape(entries: u16) -> Shape {
    Shape::new(entries)
}

fn queue(shape: Shape, indirect: bool) -> Queue<Vec<u8>> {
    Queue::new(shape, indirect, Link::detached(), 0, 1 << 8).unwrap()
}

/// A buffer that says when it is dropped.
struct Watched(Box<[u8]>, Arc<AtomicUsize>);

// SAFETY: as the box.
unsafe impl Buffer for Watched {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_request_goes_there_and_comes_back() {
    for indirect in [false, true] {
        let mut queue = queue(shape(8).with(16, 1), indirect);
        let mut device = Peer::of(&queue);
        let read = queue.add(b"read", Data::In(vec![0; 8])).unwrap();
        let write = queue.add(b"write", Data::Out(b" this".to_vec())).unwrap();
        assert!(queue.kick());
        assert!(!queue.kick());
        device.fetch();
        assert_eq!(device.read, [&b"read"[..], &b"write this"[..]]);
        assert_eq!(queue.look(), Ok(0));
        let read = queue.take(read).unwrap_err();
        // In another order than they were made.
        device.give_back(1, 0);
        device.give_back(0, 7);
        assert!(device.notify());
        assert_eq!(queue.look(), Ok(2));
        let write = queue.take(write).unwrap();
        assert_eq!((write.tail(), write.written), (&[0][..], 1));
        assert_eq!(write.data, Data::Out(b" this".to_vec()));
        let read = queue.take(read).unwrap();
        assert_eq!((read.tail(), read.written), (&[0xff][..], 9));
        assert_eq!(read.data.into_buffer().unwrap()[0], 7);
    }
}

#[test]
fn a_full_queue_gives_the_data_back() {
    for (indirect, capacity) in [(false, 2), (true, 8)] {
        let mut queue = queue(shape(8).with(4, 4), indirect);
        assert_eq!(queue.capacity(), capacity);
        let mut tokens: Vec<_> = (0..capacity)
            .map(|_| queue.add(b"", Data::In(vec![0])).unwrap())
            .collect();
        assert!(queue.is_full());
        let refused = queue.add(b"", Data::In(vec![5])).unwrap_err();
        assert_eq!(refused.error, Error::Full);
        assert_eq!(refused.data, Data::In(vec![5]));
        let mut device = Peer::of(&queue);
        device.fetch();
        device.give_back(0, 1);
        queue.look().unwrap();
        assert!(queue.is_full(), "what is done but not taken has its slot");
        queue.take(tokens.remove(0)).unwrap();
        assert!(!queue.is_full());
    }
}

#[test]
fn a_request_that_cannot_be_is_refused() {
    let mut queue = queue(shape(8).with(4, 0), false);
    let refused = queue.add(b"12345", Data::Out(vec![1])).unwrap_err();
    assert_eq!(refused.error, Error::BadRequest);
    assert_eq!(refused.data, Data::Out(vec![1]));
    assert_eq!(
        queue.add(b"", Data::None).unwrap_err().error,
        Error::BadRequest
    );
    assert_eq!(queue.in_flight(), 0);
    let too_few = shape(2).with(4, 4);
    for shape in [shape(0), shape(3), shape(2048), too_few] {
        let none = Queue::<Vec<u8>>::new(shape, false, Link::detached(), 0, 1);
        assert!(none.is_none());
    }
}

#[test]
fn posted_requests_are_popped_in_the_device_s_order() {
    let mut queue = queue(shape(4), false);
    for byte in 0..4 {
        queue.post(b"", Data::In(vec![byte, byte])).unwrap();
    }
    let (bell, waker) = Bell::new();
    queue.wake_when_ready(&waker);
    let mut device = Peer::of(&queue);
    device.fetch();
    for place in [2, 0, 1, 0] {
        device.give_back(place, 9);
    }
    assert_eq!(queue.look(), Ok(4));
    wake(&mut queue);
    assert_eq!(bell.rung(), 1);
    let popped: Vec<u8> = core::iter::from_fn(|| queue.pop())
        .map(|done| done.data.into_buffer().unwrap()[1])
        .collect();
    assert_eq!(popped, [2, 0, 3, 1]);
    assert!(!queue.is_full());
}

#[test]
fn a_given_up_buffer_lives_until_the_device_returns_it() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut queue: Queue<Watched> = Queue::new(shape(4), false, Link::detached(), 0, 1).unwrap();
    let watched = || Data::In(Watched(vec![0; 64].into(), Arc::clone(&dropped)));
    let given_up = queue.add(b"", watched()).unwrap();
    let done = queue.add(b"", watched()).unwrap();
    queue.abandon(given_up);
    let mut device = Peer::of(&queue);
    device.fetch();
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    device.give_back(1, 1);
    queue.look().unwrap();
    queue.abandon(done);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let (room, waker) = Bell::new();
    queue.wake_when_room(&waker);
    device.give_back(0, 1);
    queue.look().unwrap();
    wake(&mut queue);
    assert_eq!((dropped.load(Ordering::Relaxed), room.rung()), (2, 1));
    let _in_flight = queue.add(b"", watched()).unwrap();
    drop(queue);
    assert_eq!(dropped.load(Ordering::Relaxed), 3);
}

#[test]
fn a_device_that_lies_breaks_the_queue_and_wakes_everybody() {
    let lies: [fn(&mut Peer); 5] = [
        // A head that is no request's.
        |device| device.queue.add_used(&device.memory, 1, 0).unwrap(),
        // A slot that it does not have.
        |device| device.queue.add_used(&device.memory, 3, 0).unwrap(),
        // More written than there is room for.
        |device| device.queue.add_used(&device.memory, 0, 6).unwrap(),
        // The same request twice.
        |device| {
            device.queue.add_used(&device.memory, 0, 1).unwrap();
            device.queue.add_used(&device.memory, 0, 1).unwrap();
        },
        // More returned than can be in flight.
        |device| {
            device
                .memory
                .write_obj(3_u16, GuestAddress(device.queue.used_ring() + 2))
                .unwrap()
        },
    ];
    for lie in lies {
        let mut queue = queue(shape(4).with(0, 1), false);
        let token = queue.add(b"", Data::In(vec![0; 4])).unwrap();
        let (bell, waker) = Bell::new();
        queue.wake_when_done(&token, &waker);
        let mut device = Peer::of(&queue);
        device.fetch();
        lie(&mut device);
        assert_eq!(queue.look(), Err(Error::Broken));
        wake(&mut queue);
        assert_eq!(bell.rung(), 1);
        assert_eq!(queue.add(b"", Data::None).unwrap_err().error, Error::Broken);
        assert_eq!(queue.arm(1), Err(Error::Broken));
    }
}

#[test]
fn a_busy_queue_is_neither_kicked_nor_notified() {
    let mut queue = queue(shape(64).with(16, 1), true);
    let mut device = Peer::of(&queue);
    let mut tokens = VecDeque::new();
    let mut kicks = 0;
    for _ in 0..64 {
        tokens.push_back(queue.add(b"x", Data::In(vec![0])).unwrap());
    }
    kicks += usize::from(queue.kick());
    let operations = 100_000;
    for _ in 0..operations {
        // Neither side ever runs out of work: the device always has requests that it has not looked at.
        if device.held.is_empty() {
            let chain = device.queue.iter(&device.memory).unwrap().next().unwrap();
            device.held.push_back((chain.head_index(), None, 2));
        }
        device.give_back(0, 1);
        device.notify();
        queue.look().unwrap();
        queue.take(tokens.pop_front().unwrap()).unwrap();
        tokens.push_back(queue.add(b"x", Data::In(vec![0])).unwrap());
        kicks += usize::from(queue.kick());
    }
    // An index that nobody moves comes round once in 65,536.
    assert!(kicks <= 3, "{kicks} kicks");
    assert!(
        device.notifications <= 3,
        "{} notifications",
        device.notifications
    );
}

#[test]
fn an_armed_queue_is_notified_once_and_when_it_asked() {
    let mut queue = queue(shape(8), false);
    let mut device = Peer::of(&queue);
    for round in 0..20_000_u32 {
        for _ in 0..8 {
            queue.post(b"", Data::In(vec![0])).unwrap();
        }
        device.fetch();
        assert_eq!(queue.arm(5), Ok(true), "round {round}");
        let told: Vec<bool> = (0..8)
            .map(|_| {
                device.give_back(0, 1);
                device.notify()
            })
            .collect();
        assert_eq!(told.iter().position(|told| *told), Some(4));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert_eq!(queue.arm(1), Ok(false), "it has happened already");
        // That one may come with the next request: it was asked for.
        device.notify();
        assert_eq!(queue.look(), Ok(8));
        while queue.pop().is_some() {}
    }
}
