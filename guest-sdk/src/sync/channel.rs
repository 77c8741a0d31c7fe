//! A queue between threads: many senders, one receiver.
//!
//! ```
//! use guest_sdk::sync::channel;
//! let (sender, receiver) = channel();
//! sender.send("one").unwrap();
//! drop(sender);
//! assert_eq!(receiver.recv(), Ok("one"));
//! assert!(receiver.recv().is_err(), "no sender is left");
//! ```

use super::{Condvar, Mutex};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;

/// A channel that holds whatever is sent until it is received.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    pair(usize::MAX)
}

/// A channel that holds at most `bound` values (at least 1); a sender blocks while it is full.
#[must_use]
pub fn sync_channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    pair(bound.max(1))
}

fn pair<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            queue: VecDeque::new(),
            senders: 1,
            receiver: true,
        }),
        bound,
        filled: Condvar::new(),
        drained: Condvar::new(),
    });
    (
        Sender {
            shared: Arc::clone(&shared),
        },
        Receiver { shared },
    )
}

struct Shared<T> {
    state: Mutex<State<T>>,
    bound: usize,
    filled: Condvar,
    drained: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    receiver: bool,
}

/// Nobody will receive it: the value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(the receiver is gone)")
    }
}

/// Nothing is left, and nobody will send more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecvError;

/// Why there is nothing to receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryRecvError {
    /// Nothing yet.
    Empty,
    /// Nothing is left, and nobody will send more.
    Disconnected,
}

/// The end that sends. Clone it for more senders.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a value; blocks while a bounded channel is full.
    ///
    /// # Errors
    /// The value, if the receiver is gone.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let full = |state: &mut State<T>| state.receiver && state.queue.len() >= self.shared.bound;
        let mut state = self
            .shared
            .drained
            .wait_while(self.shared.state.lock(), full);
        if !state.receiver {
            return Err(SendError(value));
        }
        state.queue.push_back(value);
        drop(state);
        self.shared.filled.notify_one();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.state.lock().senders += 1;
        Sender {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.senders -= 1;
        let last = state.senders == 0;
        drop(state);
        if last {
            self.shared.filled.notify_all();
        }
    }
}

/// The end that receives.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Blocks until there is a value.
    ///
    /// # Errors
    /// [`RecvError`] when the channel is empty and every sender gone.
    pub fn recv(&self) -> Result<T, RecvError> {
        let empty = |state: &mut State<T>| state.queue.is_empty() && state.senders > 0;
        let mut state = self
            .shared
            .filled
            .wait_while(self.shared.state.lock(), empty);
        let value = state.queue.pop_front().ok_or(RecvError)?;
        drop(state);
        self.shared.drained.notify_one();
        Ok(value)
    }

    /// A value if there is one, without blocking.
    ///
    /// # Errors
    /// See [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.shared.state.lock();
        let value = match state.queue.pop_front() {
            Some(value) => value,
            None if state.senders > 0 => return Err(TryRecvError::Empty),
            None => return Err(TryRecvError::Disconnected),
        };
        drop(state);
        self.shared.drained.notify_one();
        Ok(value)
    }

    /// The values as they come, until every sender is gone.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        core::iter::from_fn(|| self.recv().ok())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.receiver = false;
        let left = core::mem::take(&mut state.queue);
        drop(state);
        drop(left);
        self.shared.drained.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_sent_arrives_once() {
        let (sender, receiver) = sync_channel(3);
        let threads: std::vec::Vec<_> = (0..3_u64)
            .map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for n in 0..500 {
                        sender.send(thread * 1_000 + n).unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        let mut received: std::vec::Vec<u64> = receiver.iter().collect();
        received.sort_unstable();
        let sent: std::vec::Vec<u64> = (0..3)
            .flat_map(|thread| (0..500).map(move |n| thread * 1_000 + n))
            .collect();
        assert_eq!(received, sent);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn an_absent_end_is_noticed() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        sender.send(1).unwrap();
        drop(receiver);
        assert_eq!(sender.send(2), Err(SendError(2)));
        let (sender, receiver) = channel::<()>();
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv(), Err(RecvError));
    }
}
