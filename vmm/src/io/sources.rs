//! The descriptors that a device watches beside its queues' doorbells.

use event_manager::{EventOps, Events};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use vmm_sys_util::epoll::EventSet;

/// Where a device says what it watches. A token is the device's own word for a source, below [`Sources::TOKENS`]; a source is forgotten before its descriptor is closed.
pub(crate) struct Sources<'o, 'm> {
    ops: &'o mut EventOps<'m>,
    /// What distinguishes this device's tokens from others'.
    base: u32,
}

impl<'o, 'm> Sources<'o, 'm> {
    /// Tokens that a device can have.
    pub const TOKENS: u32 = 1 << 24;

    pub(crate) fn new(ops: &'o mut EventOps<'m>, base: u32) -> Sources<'o, 'm> {
        Sources { ops, base }
    }

    fn events(&self, source: &impl AsFd, token: u32, events: EventSet) -> Events {
        let data = self.base | token & Self::TOKENS.saturating_sub(1);
        Events::with_data_raw(source.as_fd().as_raw_fd(), data, events)
    }

    /// Watches a source.
    ///
    /// # Errors
    /// The host's; a source that is watched already is one.
    pub fn watch(&mut self, source: &impl AsFd, token: u32, events: EventSet) -> io::Result<()> {
        let events = self.events(source, token, events);
        self.ops.add(events).map_err(io::Error::other)
    }

    /// Watches a source no more.
    pub fn forget(&mut self, source: &impl AsFd) {
        let events = Events::empty_raw(source.as_fd().as_raw_fd());
        // Fails only for one that is not watched.
        let _ = self.ops.remove(events);
    }
}

/// Has a device's test use sources that nobody listens to.
#[cfg(test)]
pub(crate) fn with_sources<T>(test: impl FnOnce(&mut Sources) -> T) -> T {
    use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
    use std::cell::Cell;
    use std::rc::Rc;

    /// Runs the test when it is told to begin.
    struct Once<F, T>(Option<F>, Rc<Cell<Option<T>>>);

    impl<F: FnOnce(&mut Sources) -> T, T> MutEventSubscriber for Once<F, T> {
        fn init(&mut self, ops: &mut EventOps) {
            if let Some(test) = self.0.take() {
                self.1.set(Some(test(&mut Sources::new(ops, 0))));
            }
        }

        fn process(&mut self, _: Events, _: &mut EventOps) {}
    }

    let result = Rc::new(Cell::new(None));
    let mut manager = EventManager::new().unwrap();
    manager.add_subscriber(Once(Some(test), Rc::clone(&result)));
    result.take().unwrap()
}
