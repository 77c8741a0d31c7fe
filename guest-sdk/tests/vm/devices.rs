//! Queues over a real device: the one that gives random numbers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use embassy_futures::join::join;
use guest_sdk::abi::Status;
use guest_sdk::rng::{Rng, RngError};
use guest_sdk::time::Duration;
use guest_sdk::virtio::{
    Completion, Data, Device, Queue, Setup, SetupError, Shape, SharedQueue, device, kind, settle,
};
use guest_sdk::{event, executor};

fn rng(entries: u16) -> (Queue<Vec<u8>>, Device) {
    let mut setup = device::find(kind::RNG, 0).unwrap().take().unwrap();
    setup.negotiate(0).unwrap();
    let queue = setup.queue(0, Shape::new(entries)).unwrap();
    (queue, setup.start().unwrap())
}

fn buffer() -> Data<Vec<u8>> {
    Data::In(vec![0; 32])
}

fn bytes(done: Completion<Vec<u8>>) -> Vec<u8> {
    assert_eq!(done.written, 32);
    done.data.into_buffer().unwrap()
}

fn all_differ(mut all: Vec<Vec<u8>>) {
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(!all.contains(&vec![0; 32]));
}

pub fn a_device_is_found_and_taken_once() {
    assert!(device::find(kind::RNG, 1).is_none());
    let entry = device::find_named(kind::RNG, "rng").unwrap();
    assert_eq!((entry.queues(), entry.broken()), (1, false));
    assert_eq!(device::all().count(), 1);
    for _ in 0..3 {
        let (queue, device) = rng(8);
        assert_eq!(entry.take().err(), Some(SetupError::Taken));
        drop(device);
        assert_eq!(entry.take().err(), Some(SetupError::Taken));
        assert_eq!(queue.health(), Err(guest_sdk::virtio::Error::Stopped));
    }
}

/// More requests than the indices count, a full queue at a time.
pub fn requests_in_flight_are_all_answered() {
    let (mut queue, _device) = rng(64);
    let mut all = Vec::new();
    for round in 0..1_100 {
        let tokens: Vec<_> = (0..64).map(|_| queue.add(&[], buffer()).unwrap()).collect();
        assert!(queue.is_full());
        for token in tokens {
            let bytes = bytes(queue.wait(token).unwrap());
            if round % 100 == 0 {
                all.push(bytes);
            }
        }
    }
    all_differ(all);
}

/// A task's waker: a flag, and no event, as nothing wakes it but this vCPU.
struct Flag(AtomicBool);

impl alloc::task::Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Task = (Pin<Box<dyn Future<Output = Vec<Vec<u8>>>>>, Arc<Flag>);

/// More tasks than requests fit.
pub fn a_queue_serves_tasks() {
    let (queue, _device) = rng(4);
    let queue = SharedQueue::new(queue);
    let mut tasks: Vec<Task> = (0..10)
        .map(|_| {
            let queue = queue.clone();
            let task = async move {
                let mut all = Vec::new();
                for _ in 0..50 {
                    all.push(bytes(queue.request(&[], buffer()).await.unwrap()));
                }
                all
            };
            let task: Pin<Box<dyn Future<Output = Vec<Vec<u8>>>>> = Box::pin(task);
            (task, Arc::new(Flag(AtomicBool::new(true))))
        })
        .collect();
    let mut all = Vec::new();
    while !tasks.is_empty() {
        let mut ran = false;
        tasks.retain_mut(|(task, flag)| {
            if !flag.0.swap(false, Ordering::Relaxed) {
                return true;
            }
            ran = true;
            let waker = Waker::from(Arc::clone(flag));
            match task.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(mut values) => {
                    all.append(&mut values);
                    false
                }
                Poll::Pending => true,
            }
        });
        if !ran && let Some(events) = settle() {
            event::wait(events, None).unwrap();
        }
    }
    assert_eq!(all.len(), 500);
    all_differ(all);
}

/// Beside a task that takes the device's event for itself, and one that only waits for a time.
pub fn the_executor_looks_at_queues() {
    let (queue, _device) = rng(4);
    let queue = SharedQueue::new(queue);
    let event = queue.with(|queue| queue.event());
    let requests = async {
        for _ in 0..300 {
            let pending = [(); 4].map(|()| queue.submit(&[], buffer()).unwrap());
            for one in pending {
                bytes(one.await.unwrap());
            }
            executor::sleep(Duration::from_micros(50)).await;
        }
    };
    let mut requests = core::pin::pin!(requests);
    let mut listen = core::pin::pin!(async {
        loop {
            event::next(event).await;
        }
    });
    executor::block_on(poll_fn(|context| {
        let _: Poll<()> = listen.as_mut().poll(context);
        requests.as_mut().poll(context)
    }));
}

pub fn a_queue_is_reset_with_requests_in_flight() {
    for _ in 0..50 {
        let (queue, device) = rng(64);
        let queue = SharedQueue::new(queue);
        let pending: Vec<_> = (0..64)
            .map(|_| queue.submit(&[], buffer()).unwrap())
            .collect();
        queue.with(Queue::kick);
        drop(device);
        drop(queue);
        drop(pending);
    }
}

pub fn a_refused_setup_gives_the_device_back() {
    let entry = device::find(kind::RNG, 0).unwrap();
    for _ in 0..2 {
        let mut setup = entry.take().unwrap();
        let queue = |setup: &Setup, queue| setup.queue::<Vec<u8>>(queue, Shape::new(8)).err();
        assert_eq!(queue(&setup, 1), Some(SetupError::Queue));
        let unnegotiated = queue(&setup, 0);
        assert_eq!(
            unnegotiated,
            Some(SetupError::Refused(Status::BAD_ARGUMENT))
        );
        // The refused queue has taken the device with it.
        assert_eq!(setup.negotiate(0), Err(SetupError::Stopped));
        assert_eq!(queue(&setup, 0), Some(SetupError::Stopped));
        assert_eq!(setup.start().err(), Some(SetupError::Stopped));
    }
    let mut setup = entry.take().unwrap();
    setup.negotiate(0).unwrap();
    let no_queue = setup.start().err();
    assert_eq!(no_queue, Some(SetupError::Refused(Status::BAD_ARGUMENT)));
    rng(8);
}

/// Buffers of all lengths, by one who blocks and by tasks.
pub fn the_driver_of_random_numbers_fills_buffers() {
    let rng = Rng::open().unwrap();
    assert_eq!(Rng::open().err(), Some(RngError::Setup(SetupError::Taken)));
    rng.fill(&mut []).unwrap();
    let mut long = vec![0; 100_000];
    rng.fill(&mut long).unwrap();
    assert!(
        long.chunks(1000)
            .all(|piece| piece.iter().any(|byte| *byte != 0))
    );
    let task = async || {
        let mut bytes = vec![0; 32];
        for _ in 0..50 {
            rng.fill_async(&mut bytes).await.unwrap();
        }
        bytes
    };
    let (one, other) = executor::block_on(join(task(), task()));
    all_differ(vec![one, other]);
    drop(rng);
    Rng::open().unwrap().fill(&mut [0]).unwrap();
}
