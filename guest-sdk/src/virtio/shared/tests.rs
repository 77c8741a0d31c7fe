//! Tasks and threads over a queue whose other end is a thread of this process.

use super::*;
use crate::event;
use crate::platform::Vcpu;
use crate::virtio::peer::{Bell, Peer};
use crate::virtio::setup::Link;
use crate::virtio::{Shape, settle};
use std::boxed::Box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{thread, vec, vec::Vec};

const EVENT: u64 = 1 << 9;

fn shared(entries: u16) -> (SharedQueue<Vec<u8>>, Peer) {
    let shape = Shape::new(entries).with(4, 1);
    let queue = Queue::new(shape, true, Link::detached(), 0, EVENT).unwrap();
    let peer = Peer::of(&queue);
    (SharedQueue::new(queue), peer)
}

/// Runs `driver` while a thread serves the queue, the newest request first. Returns how often it notified.
fn served(mut peer: Peer, driver: impl FnOnce()) -> usize {
    let vcpu = Vcpu::current().index();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let device = scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                peer.fetch();
                while let Some(last) = peer.held.len().checked_sub(1) {
                    peer.give_back(last, 7);
                }
                if peer.notify() {
                    event::raise(Vcpu::get(vcpu).unwrap(), EVENT);
                }
                thread::yield_now();
            }
            peer.notifications
        });
        driver();
        over.store(true, Ordering::Release);
        device.join().unwrap()
    })
}

fn is_good(done: &Completion<Vec<u8>>) -> bool {
    done.written == 65 && matches!(&done.data, Data::In(bytes) if bytes[0] == 7)
}

#[test]
fn blocking_requests_are_completed() {
    let (queue, peer) = shared(4);
    let notifications = served(peer, || {
        for _ in 0..500 {
            let mut pending = Vec::new();
            for _ in 0..4 {
                pending.push(queue.submit(b"head", Data::In(vec![0; 64])).unwrap());
            }
            assert_eq!(
                queue.submit(b"", Data::None).err().unwrap().error,
                Error::Full
            );
            pending.swap(0, 2);
            for one in pending {
                assert!(is_good(&one.wait().unwrap()));
            }
            let done = queue.request_blocking(b"head", Data::In(vec![0; 64]));
            assert!(is_good(&done.unwrap()));
        }
    });
    assert!(notifications <= 2_500, "at most one for each request");
}

#[test]
fn tasks_are_woken_by_what_settle_finds() {
    const TASKS: usize = 12;
    const ROUNDS: usize = 200;
    let (queue, peer) = shared(4);
    served(peer, || {
        // More tasks than requests fit: some wait for room.
        let mut tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let queue = queue.clone();
                let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
                    for _ in 0..ROUNDS {
                        let done = queue.request(b"head", Data::In(vec![0; 64])).await;
                        assert!(is_good(&done.unwrap()));
                    }
                });
                let (bell, waker) = Bell::new();
                (Some(task), bell, waker, None)
            })
            .collect();
        while tasks.iter().any(|(task, ..)| task.is_some()) {
            let mut ready = false;
            for (task, bell, waker, polled) in &mut tasks {
                // Polled at first and when woken, and only then.
                let rung = bell.rung();
                if let Some(running) = task
                    && polled.replace(rung) != Some(rung)
                {
                    ready = true;
                    let mut context = Context::from_waker(waker);
                    if running.as_mut().poll(&mut context).is_ready() {
                        *task = None;
                    }
                }
            }
            if !ready && let Some(events) = settle() {
                event::wait(events, None).unwrap();
            }
        }
    });
    assert_eq!(queue.with(|queue| queue.in_flight()), 0);
}

#[test]
fn posted_requests_are_popped_blocking() {
    let (queue, peer) = shared(4);
    served(peer, || {
        for _ in 0..500 {
            let post = |queue: &mut Queue<Vec<u8>>| queue.post(b"", Data::In(vec![0; 64]));
            queue.with(post).unwrap();
            queue.with(post).unwrap();
            for _ in 0..2 {
                assert!(is_good(&queue.pop_blocking().unwrap()));
            }
        }
    });
}

#[test]
fn a_dropped_future_leaves_its_request_to_the_device() {
    let (queue, mut peer) = shared(2);
    let (bell, waker) = Bell::new();
    let mut context = Context::from_waker(&waker);
    let mut pending = queue.submit(b"head", Data::In(vec![0; 64])).unwrap();
    assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
    drop(pending);
    peer.fetch();
    peer.give_back(0, 7);
    assert_eq!(queue.with(|queue| queue.in_flight()), 1);
    assert_eq!(settle(), None);
    assert_eq!(queue.with(|queue| queue.in_flight()), 0);
    assert_eq!(bell.rung(), 0);
}

#[test]
fn a_broken_queue_wakes_its_tasks_and_then_is_quiet() {
    let (queue, mut peer) = shared(2);
    let (bell, waker) = Bell::new();
    let mut context = Context::from_waker(&waker);
    let mut pending = queue.submit(b"head", Data::In(vec![0; 64])).unwrap();
    assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
    peer.lie();
    assert_eq!(settle(), None);
    assert_eq!(bell.rung(), 1);
    assert_eq!(
        Pin::new(&mut pending)
            .poll(&mut context)
            .map(|done| done.err()),
        Poll::Ready(Some(Error::Broken))
    );
    assert_eq!(settle(), Some(EVENT));
    assert_eq!(pending.wait().err(), Some(Error::Broken));
}

#[test]
fn another_vcpu_does_not_block() {
    let (queue, _peer) = shared(2);
    let pending = queue.submit(b"head", Data::In(vec![0; 64])).unwrap();
    let elsewhere = thread::spawn(move || pending.wait().err());
    assert_eq!(elsewhere.join().unwrap(), Some(Error::OtherVcpu));
}
