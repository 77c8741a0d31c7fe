//! Tasks on executors, one for each vCPU.

use alloc::vec::Vec;
use core::cell::RefCell;
use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use guest_sdk::executor::{self, block_on, sleep_until};
use guest_sdk::time::{Duration, Instant};
use guest_sdk::{event, thread};

type Line<T> = Channel<CriticalSectionRawMutex, T, 4>;

const PING: u64 = 1 << 40;
const PONG: u64 = 1 << 41;

pub fn every_timer_fires_and_none_early() {
    let fired = RefCell::new(Vec::new());
    let after = async |ms: u64| {
        let deadline = Instant::now() + Duration::from_millis(ms);
        sleep_until(Some(deadline)).await;
        assert!(Instant::now() >= deadline);
        fired.borrow_mut().push(ms);
    };
    block_on(join3(after(3), after(9), after(6)));
    fired.borrow_mut().sort_unstable();
    assert_eq!(*fired.borrow(), [3, 6, 9]);
}

pub fn tasks_of_a_vcpu_take_turns() {
    static THERE: Line<u32> = Channel::new();
    static BACK: Line<u32> = Channel::new();

    #[guest_sdk::task]
    async fn double() {
        loop {
            BACK.send(THERE.receive().await * 2).await;
        }
    }

    executor::run(async |spawner| {
        spawner.spawn(double().expect("the first"));
        for number in 0..1_000 {
            THERE.send(number).await;
            assert_eq!(BACK.receive().await, number * 2);
        }
    });
}

pub fn tasks_wake_each_other_across_vcpus() {
    static THERE: Line<u32> = Channel::new();
    static BACK: Line<u32> = Channel::new();

    #[guest_sdk::task(pool_size = 2)]
    async fn answer(main: u32) {
        assert_ne!(event::current_vcpu(), main);
        loop {
            BACK.send(THERE.receive().await + 1).await;
        }
    }

    let main = event::current_vcpu();
    let (tell, spawner) = guest_sdk::sync::channel();
    let other = thread::spawn(move || {
        executor::run(async |spawner| {
            spawner.spawn(answer(main).expect("the first"));
            tell.send(spawner.make_send()).expect("main waits for it");
            event::next(PING).await;
        });
    })
    .expect("a free vCPU");
    // One task was spawned there, one is sent there.
    let spawner = spawner.recv().expect("the thread sends it");
    spawner.spawn(answer(main).expect("the second"));
    executor::run(async |_| {
        for number in 0..500 {
            THERE.send(number).await;
            assert_eq!(BACK.receive().await, number + 1);
        }
    });
    event::notify(other.thread().vcpu(), PING).expect("it has a vCPU");
    other.join();
}

pub fn events_reach_their_tasks() {
    let main = event::current_vcpu();
    let other = thread::spawn(move || {
        for _ in 0..200 {
            event::notify(main, PING).expect("main has a vCPU");
            event::wait(PONG, None).expect("no deadline");
        }
        event::notify(main, PONG).expect("main has a vCPU");
    })
    .expect("a free vCPU");
    let vcpu = other.thread().vcpu();
    let answering = async {
        loop {
            assert_eq!(event::next(PING).await, PING);
            event::notify(vcpu, PONG).expect("it has a vCPU");
        }
    };
    let Either::Second(end) = block_on(select(answering, event::next(PONG)));
    assert_eq!(end, PONG);
    other.join();
}

pub fn blocking_and_awaiting_threads_mix() {
    let (numbers, receiver) = guest_sdk::sync::channel();
    let main = event::current_vcpu();
    let blocking = thread::spawn(move || receiver.iter().sum::<u32>()).expect("a free vCPU");
    let awaiting = thread::spawn(move || {
        block_on(async {
            for number in 0..300 {
                event::next(PING).await;
                numbers.send(number).expect("a receiver");
                event::notify(main, PONG).expect("main has a vCPU");
            }
        });
    })
    .expect("a free vCPU");
    for _ in 0..300 {
        event::notify(awaiting.thread().vcpu(), PING).expect("it has a vCPU");
        assert_eq!(event::wait(PONG, None), Ok(PONG));
    }
    awaiting.join();
    assert_eq!(blocking.join(), 44_850);
}

pub fn a_deadline_is_kept_beside_busy_tasks() {
    let deadline = embassy_time::Instant::now() + embassy_time::Duration::from_millis(5);
    let busy = async {
        while embassy_time::Instant::now() < deadline {
            yield_now().await;
        }
    };
    block_on(join(busy, embassy_time::Timer::at(deadline)));
    assert!(embassy_time::Instant::now() >= deadline);
}
