//! Threads on further vCPUs, and what they wait on. There are as many as the VM has vCPUs.

use alloc::sync::Arc;
use alloc::vec::Vec;
use guest_sdk::sync::{self, Condvar, Mutex, sync_channel};
use guest_sdk::thread::{self, SpawnError, available_parallelism, spawn};
use guest_sdk::time::{Duration, sleep};

/// How many threads there can be beside the first.
fn others() -> u64 {
    u64::from(available_parallelism()) - 1
}

/// Each thread adds its share of the numbers up to a million; the shares are joined.
pub fn sum() {
    let step = others() + 1;
    let share = move |first: u64| (first..=1_000_000).step_by(step as usize).sum::<u64>();
    let threads: Vec<_> = (1..step)
        .map(|n| spawn(move || share(n)).expect("a vCPU"))
        .collect();
    let sum = share(0)
        + threads
            .into_iter()
            .map(thread::JoinHandle::join)
            .sum::<u64>();
    assert_eq!(sum, 500_000_500_000);
}

/// One more than there are vCPUs is refused, and fine once another has ended.
pub fn too_many() {
    let (release, held) = sync::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let mut threads = Vec::new();
    for _ in 0..others() {
        let held = Arc::clone(&held);
        threads.push(spawn(move || held.lock().recv()).expect("a vCPU"));
    }
    assert_eq!(spawn(|| ()).err(), Some(SpawnError::NoFreeVcpu));
    drop(release);
    for thread in threads {
        assert!(thread.join().is_err());
    }
    spawn(|| ()).expect("a vCPU that is free again").join();
}

/// Threads that all want one lock.
pub fn mutex() {
    const TIMES: u64 = 20_000;
    let total = Arc::new(Mutex::new(0_u64));
    let work = |total: &Mutex<u64>| {
        for _ in 0..TIMES {
            *total.lock() += 1;
        }
    };
    let threads: Vec<_> = (0..others())
        .map(|_| {
            let total = Arc::clone(&total);
            spawn(move || work(&total)).expect("a vCPU")
        })
        .collect();
    work(&total);
    threads.into_iter().for_each(thread::JoinHandle::join);
    assert_eq!(*total.lock(), TIMES * (others() + 1));
}

/// Numbers through a channel with little room: all arrive, in order, and then its end.
pub fn channel() {
    let (sender, receiver) = sync_channel(4);
    let thread = spawn(move || (0..5000_u32).try_for_each(|n| sender.send(n))).expect("a vCPU");
    assert!(receiver.iter().eq(0..5000));
    assert!(receiver.recv().is_err());
    assert_eq!(thread.join(), Ok(()));
}

/// A ball that two threads throw each other, each asleep while it does not have it.
pub fn condvar() {
    const THROWS: u32 = 500;
    let court = Arc::new((Mutex::new(0_u32), Condvar::new()));
    let play = |court: &(Mutex<u32>, Condvar), side: u32| {
        for _ in 0..THROWS {
            let mut ball = court.1.wait_while(court.0.lock(), |ball| *ball % 2 != side);
            *ball += 1;
            drop(ball);
            court.1.notify_one();
        }
    };
    let other = Arc::clone(&court);
    let thread = spawn(move || play(&other, 1)).expect("a vCPU");
    play(&court, 0);
    thread.join();
    assert_eq!(*court.0.lock(), 2 * THROWS);
}

/// Threads that end at once, one after the other and at the same time.
pub fn short() {
    for round in 0..100_u64 {
        let threads: Vec<_> = (0..others())
            .map(|n| spawn(move || round * n).expect("a vCPU"))
            .collect();
        let sum: u64 = threads.into_iter().map(thread::JoinHandle::join).sum();
        assert_eq!(sum, round * (0..others()).sum::<u64>());
    }
}

/// A panic on another vCPU ends the VM, whatever the first one does.
pub fn panic_elsewhere() {
    let thread = spawn(|| panic!("not on the first vCPU")).expect("a vCPU");
    sleep(Duration::from_secs(1000));
    thread.join()
}
