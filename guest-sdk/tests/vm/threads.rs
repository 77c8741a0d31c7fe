//! Threads on vCPUs.

use alloc::vec::Vec;
use guest_sdk::thread::{self, SpawnError};
use guest_sdk::time::{Duration, Instant};

pub fn a_vcpu_is_used_again() {
    for round in 0..50_u32 {
        let threads: Vec<_> = (1..4)
            .map(|n| thread::spawn(move || round * n).expect("every vCPU but the first is free"))
            .collect();
        let products: Vec<u32> = threads.into_iter().map(thread::JoinHandle::join).collect();
        assert_eq!(products, [round, round * 2, round * 3]);
    }
}

pub fn too_many_are_refused() {
    let parked: Vec<_> = (1..4)
        .map(|_| thread::spawn(thread::park).expect("a free vCPU"))
        .collect();
    assert_eq!(thread::spawn(|| ()).err(), Some(SpawnError::NoFreeVcpu));
    let mut ids: Vec<_> = parked.iter().map(|parked| parked.thread().id()).collect();
    ids.push(thread::current().id());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    for thread in parked {
        assert!(!thread.is_finished());
        thread.thread().unpark();
        thread.join();
    }
    assert!(thread::spawn(|| ()).is_ok());
}

pub fn scoped_threads_borrow() {
    let mut numbers = [1, 2, 3];
    let (first, rest) = numbers.split_at_mut(1);
    let sum = thread::scope(|scope| {
        let sum = scope
            .spawn(|| rest.iter().sum::<i32>())
            .expect("a free vCPU");
        first[0] = 7;
        sum.join()
    });
    assert_eq!((sum, numbers), (5, [7, 2, 3]));
}

pub fn parking_alternates() {
    let main = thread::current();
    let other = thread::spawn(move || {
        for _ in 0..500 {
            thread::park();
            main.unpark();
        }
    })
    .expect("a free vCPU");
    for _ in 0..500 {
        other.thread().unpark();
        thread::park();
    }
    other.join();
    let before = Instant::now();
    thread::park_timeout(Duration::from_millis(2));
    assert!(before.elapsed() >= Duration::from_millis(2));
}
