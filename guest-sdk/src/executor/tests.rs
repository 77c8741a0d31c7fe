//! The loop on the stand-in: threads are vCPUs.

use super::*;

use core::sync::atomic::{AtomicU32, Ordering};
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;

crate::executor!();

#[test]
fn a_value_comes_out() {
    assert_eq!(block_on(async { 7 }), 7);
    assert_eq!(run(async |_| yield_now().await), ());
}

#[test]
fn no_timer_fires_early() {
    let start = embassy_time::Instant::now();
    let after = async |ms| {
        embassy_time::Timer::after_millis(ms).await;
        assert!(start.elapsed() >= embassy_time::Duration::from_millis(ms));
    };
    block_on(join(join(after(9), after(3)), join(after(6), after(0))));
}

#[test]
fn own_time_and_embassys_agree() {
    let start = Instant::now();
    block_on(async {
        let late = select(sleep(Duration::MAX), embassy_time::Timer::after_millis(2)).await;
        assert!(matches!(late, Either::Second(())));
        sleep(Duration::from_millis(2)).await;
    });
    assert!(start.elapsed() >= Duration::from_millis(4));
}

#[test]
fn events_reach_those_who_wait_for_them() {
    let (one, other) = (1 << 48, 1 << 49);
    let me = event::current_vcpu();
    let raiser = async {
        event::notify(me, other).unwrap();
        yield_now().await;
        event::notify(me, one | other).unwrap();
    };
    let both = join(event::next(one), async {
        (event::next(other).await, event::next(other).await)
    });
    let (taken, ()) = block_on(join(both, raiser));
    assert_eq!(taken, (one, (other, other)));
}

#[test]
fn an_event_from_another_thread_ends_the_sleep() {
    let bit = 1 << 50;
    let (tell, told) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        tell.send(event::current_vcpu()).unwrap();
        block_on(event::next(bit))
    });
    event::notify(told.recv().unwrap(), bit).unwrap();
    assert_eq!(waiter.join().unwrap(), bit);
}

#[test]
fn tasks_are_polled_beside_the_root() {
    static LINE: Channel<CriticalSectionRawMutex, u32, 2> = Channel::new();

    #[crate::task(pool_size = 2)]
    async fn send(from: u32) {
        for number in from..from + 100 {
            LINE.send(number).await;
        }
    }

    let sum = run(async |spawner| {
        spawner.spawn(send(0).unwrap());
        spawner.spawn(send(1000).unwrap());
        assert!(send(0).is_err());
        let mut sum = 0;
        for _ in 0..200 {
            sum += LINE.receive().await;
        }
        sum
    });
    assert_eq!(sum, 2 * 4950 + 100 * 1000);
}

#[test]
fn a_loop_inside_a_task_leaves_the_outer_one_running() {
    static POLLED: AtomicU32 = AtomicU32::new(0);

    #[crate::task]
    async fn inner() {
        block_on(sleep(Duration::from_millis(1)));
        assert_eq!(run(async |_| sleep(Duration::from_millis(1)).await), ());
        POLLED.fetch_add(1, Ordering::Relaxed);
    }

    run(async |spawner| {
        spawner.spawn(inner().unwrap());
        while POLLED.load(Ordering::Relaxed) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_spawner_sends_tasks_to_another_thread() {
    static DONE: Channel<CriticalSectionRawMutex, u32, 1> = Channel::new();

    #[crate::task]
    async fn here() {
        DONE.send(event::current_vcpu()).await;
    }

    let (tell, told) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        run(async |spawner| {
            tell.send(spawner.make_send()).unwrap();
            let vcpu = DONE.receive().await;
            assert_eq!(vcpu, event::current_vcpu());
        });
    });
    told.recv().unwrap().spawn(here().unwrap());
    other.join().unwrap();
}
