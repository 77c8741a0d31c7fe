//! Locks and channels between vCPUs.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use guest_sdk::sync::{Condvar, LazyLock, Mutex, sync_channel};
use guest_sdk::thread;
use guest_sdk::time::{Duration, sleep};

pub fn a_mutex_counts() {
    const EACH: u64 = 50_000;
    let count = Mutex::new(0);
    let add = || (0..EACH).for_each(|_| *count.lock() += 1);
    thread::scope(|scope| {
        for _ in 1..4 {
            scope.spawn(add).expect("a free vCPU");
        }
        add();
    });
    assert_eq!(count.into_inner(), 4 * EACH);
}

pub fn a_channel_loses_nothing() {
    let (sender, receiver) = sync_channel(4);
    let received: Vec<u64> = thread::scope(|scope| {
        for thread in 0..3 {
            let sender = sender.clone();
            let send =
                move || (0..2_000).for_each(|n| sender.send(n * 3 + thread).expect("a receiver"));
            scope.spawn(send).expect("a free vCPU");
        }
        drop(sender);
        receiver.iter().collect()
    });
    let mut sorted = received;
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..6_000));
}

pub fn a_condvar_takes_turns() {
    let turn = Mutex::new(0_u32);
    let changed = Condvar::new();
    let play = |player| {
        for _ in 0..300 {
            let mut turn = changed.wait_while(turn.lock(), |turn| *turn % 4 != player);
            *turn += 1;
            drop(turn);
            changed.notify_all();
        }
    };
    thread::scope(|scope| {
        for player in 1..4 {
            scope.spawn(move || play(player)).expect("a free vCPU");
        }
        play(0);
    });
    assert_eq!(turn.into_inner(), 1_200);
}

pub fn a_lazy_value_is_made_once() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    static VALUE: LazyLock<u32> = LazyLock::new(|| {
        sleep(Duration::from_millis(3));
        MADE.fetch_add(1, Ordering::Relaxed) + 9
    });
    thread::scope(|scope| {
        let others: Vec<_> = (1..4)
            .map(|_| scope.spawn(|| *VALUE).expect("a free vCPU"))
            .collect();
        assert_eq!(*VALUE, 9);
        assert!(others.into_iter().all(|other| other.join() == 9));
    });
    assert_eq!(MADE.load(Ordering::Relaxed), 1);
}
