//! What the tasks of each vCPU wait for: points in time, and event bits.
//!
//! Owns one list of each for every vCPU. A waker is in a list at most once, with the earliest of its times or all of its events, and leaves it
//! when it is woken: whoever still waits then is polled, and comes back. A future that is dropped leaves its entry, which wakes its
//! task once for nothing.

use crate::platform::Vcpu;
use crate::sync::Mutex;
use crate::time::now_ns;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::task::Waker;
use hypercall_abi::map::MAX_VCPUS;

/// Later than all time.
const NEVER: u64 = u64::MAX;

static WAITS: [Mutex<Waits>; MAX_VCPUS as usize] =
    [const { Mutex::new(Waits::new()) }; MAX_VCPUS as usize];

/// Has the waker woken on this vCPU at a time, in guest nanoseconds.
pub(crate) fn until(at: u64, waker: &Waker) {
    on(Vcpu::current()).lock().until(at, waker);
}

/// Has the waker woken when one of `events` is pending on this vCPU.
pub(crate) fn events(events: u64, waker: &Waker) {
    on(Vcpu::current()).lock().events(events, waker);
}

/// Wakes whoever waits for a time that has come, or for an event that is pending.
pub(super) fn wake_due(vcpu: Vcpu) {
    let pending = vcpu.pending().load(Ordering::Acquire);
    // Nothing is locked while a waker runs: dropping what it wakes may drop anything.
    loop {
        let waker = on(vcpu).lock().due(pending, now_ns);
        match waker {
            Some(waker) => waker.wake(),
            None => return,
        }
    }
}

/// The events that somebody waits for, and the earliest time.
pub(super) fn of(vcpu: Vcpu) -> (u64, Option<u64>) {
    let waits = on(vcpu).lock();
    let deadline = Some(waits.earliest).filter(|&at| at != NEVER);
    (waits.awaited, deadline)
}

fn on(vcpu: Vcpu) -> &'static Mutex<Waits> {
    &WAITS[vcpu.index() as usize]
}

/// One vCPU's lists.
struct Waits {
    times: Vec<(u64, Waker)>,
    /// The least of `times`, or [`NEVER`].
    earliest: u64,
    events: Vec<(u64, Waker)>,
    /// All of `events`.
    awaited: u64,
}

impl Waits {
    const fn new() -> Waits {
        Waits {
            times: Vec::new(),
            earliest: NEVER,
            events: Vec::new(),
            awaited: 0,
        }
    }

    fn until(&mut self, at: u64, waker: &Waker) {
        self.earliest = self.earliest.min(at);
        match find(&mut self.times, waker) {
            Some(before) => *before = at.min(*before),
            None => self.times.push((at, waker.clone())),
        }
    }

    fn events(&mut self, events: u64, waker: &Waker) {
        self.awaited |= events;
        match find(&mut self.events, waker) {
            Some(before) => *before |= events,
            None => self.events.push((events, waker.clone())),
        }
    }

    /// Takes out one that is due. The clock is not read if nobody waits for it.
    fn due(&mut self, pending: u64, now: impl Fn() -> u64) -> Option<Waker> {
        if self.awaited & pending != 0 {
            let at = self
                .events
                .iter()
                .position(|(events, _)| events & pending != 0)?;
            let (_, waker) = self.events.swap_remove(at);
            self.awaited = self.events.iter().fold(0, |all, (events, _)| all | events);
            return Some(waker);
        }
        if self.earliest != NEVER && self.earliest <= now() {
            let at = self.times.iter().position(|(at, _)| *at == self.earliest)?;
            let (_, waker) = self.times.swap_remove(at);
            self.earliest = self.times.iter().map(|(at, _)| *at).min().unwrap_or(NEVER);
            return Some(waker);
        }
        None
    }
}

/// The entry of a waker's task, if it has one.
fn find<'a>(list: &'a mut [(u64, Waker)], waker: &Waker) -> Option<&'a mut u64> {
    list.iter_mut()
        .find(|(_, other)| other.will_wake(waker))
        .map(|(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Task>) {}
    }

    fn wakers<const N: usize>() -> [Waker; N] {
        std::array::from_fn(|_| Waker::from(Arc::new(Task)))
    }

    #[test]
    fn the_earliest_comes_first_and_none_before_its_time() {
        let [one, two, three] = wakers();
        let mut waits = Waits::new();
        waits.until(30, &three);
        waits.until(20, &two);
        waits.until(10, &one);
        assert_eq!(waits.earliest, 10);
        assert!(waits.due(0, || 9).is_none());
        for waker in [&one, &two] {
            assert!(waits.due(0, || 29).is_some_and(|due| due.will_wake(waker)));
        }
        assert!(waits.due(0, || 29).is_none());
        assert!(waits.due(0, || 30).is_some_and(|due| due.will_wake(&three)));
        assert_eq!(waits.earliest, NEVER);
    }

    #[test]
    fn a_task_is_in_a_list_once() {
        let [waker] = wakers();
        let mut waits = Waits::new();
        for at in [20, 10, 30] {
            waits.until(at, &waker);
        }
        waits.events(0b001, &waker);
        waits.events(0b100, &waker);
        assert_eq!((waits.earliest, waits.awaited), (10, 0b101));
        assert_eq!((waits.times.len(), waits.events.len()), (1, 1));
    }

    #[test]
    fn an_event_wakes_everybody_who_waits_for_it() {
        let [one, two, three] = wakers();
        let mut waits = Waits::new();
        waits.events(0b001, &one);
        waits.events(0b011, &two);
        waits.events(0b100, &three);
        let unread = || panic!("nobody waits for a time");
        assert!(waits.due(0b1001, unread).is_some());
        assert!(waits.due(0b1001, unread).is_some());
        assert!(waits.due(0b1001, unread).is_none());
        assert_eq!(waits.awaited, 0b100);
    }
}
