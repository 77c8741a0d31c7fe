//! The thread that ends a VM at a deadline: its wall-clock limit, or the grace period of a requested shutdown.

use crate::shared::{Shared, lock};
use crate::{End, StopReason};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// A VM's deadline. Without one there is no thread.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    deadline: Option<(Instant, StopReason)>,
    thread: Option<JoinHandle<()>>,
    dismissed: bool,
}

impl Watch {
    /// Sets the deadline, or brings it forward. The first one starts the thread.
    pub fn by(shared: &Arc<Shared>, at: Instant, reason: StopReason) -> io::Result<()> {
        let mut state = lock(&shared.watch.state);
        if state.dismissed {
            return Ok(());
        }
        if state.deadline.is_none_or(|(known, _)| at < known) {
            state.deadline = Some((at, reason));
        }
        if state.thread.is_none() {
            let shared = Arc::clone(shared);
            let name = thread::Builder::new().name("watch".into());
            state.thread = Some(name.spawn(move || {
                if let Some(reason) = shared.watch.wait() {
                    shared.finish(Ok(End::Stopped(reason)));
                }
            })?);
        }
        shared.watch.changed.notify_all();
        Ok(())
    }

    /// Waits for the thread, after the VM has ended.
    pub fn join(&self) {
        let thread = lock(&self.state).thread.take();
        if let Some(thread) = thread {
            // It cannot panic; if it did, there is nothing left to end.
            let _ = thread.join();
        }
    }

    /// The VM has ended.
    pub fn dismiss(&self) {
        lock(&self.state).dismissed = true;
        self.changed.notify_all();
    }

    /// Waits for the deadline; `None`: the VM ended first.
    fn wait(&self) -> Option<StopReason> {
        let mut state = lock(&self.state);
        loop {
            if state.dismissed {
                return None;
            }
            state = match state.deadline {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some((at, reason)) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Some(reason);
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
