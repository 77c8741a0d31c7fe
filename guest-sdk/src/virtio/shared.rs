//! A queue that tasks and threads share: requests to await or to block for.
//!
//! Owns the lock around a [`Queue`], and the futures. Who looks at the queue when its event comes is [`watch`](super::watch)'s business.
//!
//! ```no_run
//! use guest_sdk::virtio::{Completion, Data, Error, SharedQueue};
//! /// Sixteen requests with one kick, in flight together; `None` where one failed.
//! async fn sixteen(queue: &SharedQueue<Vec<u8>>) -> Result<(), Error> {
//!     let mut pending = Vec::new();
//!     for _ in 0..16 {
//!         pending.push(queue.submit(b"head", Data::In(vec![0; 512]))?);
//!     }
//!     for one in pending {
//!         let done: Completion<Vec<u8>> = one.await?;
//!         assert_eq!(done.written, 512);
//!     }
//!     Ok(())
//! }
//! ```

use super::queue::block::{Place, block};
use super::watch::{self, Watch};
use super::{Buffer, Completion, Data, Error, Queue, Refused, Token};
use crate::sync::Mutex;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

struct Shared<B> {
    queue: Mutex<Queue<B>>,
    place: Place,
}

/// A [`Queue`] behind a lock. Clones are the same queue; the device is reset when the last one is gone, pending requests included.
pub struct SharedQueue<B>(Arc<Shared<B>>);

impl<B> Clone for SharedQueue<B> {
    fn clone(&self) -> SharedQueue<B> {
        SharedQueue(Arc::clone(&self.0))
    }
}

impl<B: Buffer> Shared<B> {
    /// Works under the lock, and wakes after it.
    fn with<T>(&self, work: impl FnOnce(&mut Queue<B>) -> T) -> T {
        let mut queue = self.queue.lock();
        let result = work(&mut queue);
        let mut woken = queue.woken();
        drop(queue);
        // Nothing is locked while a waker runs: it may drop a task with whatever requests it has.
        while let Some(waker) = woken {
            waker.wake();
            woken = self.queue.lock().woken();
        }
        result
    }
}

impl<B: Buffer> SharedQueue<B> {
    /// Shares a queue. From now on [`settle`](super::settle) looks at it on its vCPU.
    #[must_use]
    pub fn new(queue: Queue<B>) -> SharedQueue<B> {
        let place = queue.place();
        let queue = Mutex::new(queue);
        let shared = Arc::new(Shared { queue, place });
        let watched: Arc<dyn Watch> = shared.clone();
        watch::add(place.vcpu, &watched);
        SharedQueue(shared)
    }

    /// Does something with the queue itself, locked.
    pub fn with<T>(&self, work: impl FnOnce(&mut Queue<B>) -> T) -> T {
        self.0.with(work)
    }

    /// Makes a request. The device is told when the first of several is awaited, waited for or [kicked](Queue::kick).
    ///
    /// # Errors
    /// A [`Refused`], with the data: [`Error::Full`] among them.
    pub fn submit(&self, head: &[u8], data: Data<B>) -> Result<Pending<B>, Refused<B>> {
        let token = self.with(|queue| queue.add(head, data))?;
        Ok(Pending {
            queue: self.clone(),
            token: Some(token),
        })
    }

    /// Makes a request as soon as there is room, and awaits its completion.
    ///
    /// # Errors
    /// Every [`Error`] but [`Error::Full`].
    pub async fn request(&self, head: &[u8], data: Data<B>) -> Result<Completion<B>, Error> {
        let mut data = data;
        let pending = poll_fn(|context| {
            self.with(|queue| match queue.add_if_room(head, &mut data) {
                Some(made) => Poll::Ready(made),
                None => {
                    queue.wake_when_room(context.waker());
                    queue.kick();
                    Poll::Pending
                }
            })
        });
        let token = Some(pending.await?);
        let queue = self.clone();
        Pending { queue, token }.await
    }

    /// As [`request`](SharedQueue::request), blocking.
    ///
    /// # Errors
    /// Every [`Error`] but [`Error::Full`].
    pub fn request_blocking(&self, head: &[u8], data: Data<B>) -> Result<Completion<B>, Error> {
        let mut data = data;
        let token = block(self.0.place, |arm| {
            self.with(|queue| {
                let half = queue.in_flight() / 2;
                queue.attempt(arm.then_some(half), |queue| {
                    queue.add_if_room(head, &mut data)
                })
            })
        })?;
        let queue = self.clone();
        let token = Some(token?);
        Pending { queue, token }.wait()
    }

    /// The oldest completion of a [posted](Queue::post) request; wakes the context's task when there is one.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn poll_pop(&self, context: &mut Context<'_>) -> Poll<Result<Completion<B>, Error>> {
        self.with(|queue| match queue.attempt(None, Queue::pop).transpose() {
            Some(result) => Poll::Ready(result),
            None => {
                queue.wake_when_ready(context.waker());
                Poll::Pending
            }
        })
    }

    /// Whether a request can be made; wakes the context's task when one can.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`].
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let free = |queue: &mut Queue<B>| (!queue.is_full()).then_some(());
        self.with(|queue| match queue.attempt(None, free).transpose() {
            Some(result) => Poll::Ready(result),
            None => {
                queue.wake_when_room(context.waker());
                Poll::Pending
            }
        })
    }

    /// Blocks until a posted request is completed.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`], [`Error::OtherVcpu`].
    pub fn pop_blocking(&self) -> Result<Completion<B>, Error> {
        block(self.0.place, |arm| {
            self.with(|queue| queue.attempt(arm.then_some(1), Queue::pop))
        })
    }
}

impl<B: Buffer> Queue<B> {
    /// Makes a request out of `data`, if there is room.
    fn add_if_room(&mut self, head: &[u8], data: &mut Data<B>) -> Option<Result<Token, Error>> {
        if self.is_full() {
            // A slot that was given up may be back. An error comes again below.
            let _ = self.look();
        }
        match self.add(head, core::mem::replace(data, Data::None)) {
            Ok(token) => Some(Ok(token)),
            Err(refused) if refused.error == Error::Full => {
                *data = refused.data;
                None
            }
            Err(refused) => Some(Err(refused.error)),
        }
    }
}

impl<B: Buffer> Watch for Shared<B> {
    fn event(&self) -> u64 {
        self.place.event
    }

    fn look(&self) -> bool {
        self.with(|queue| {
            let awaited = queue.awaited();
            // An error wakes everybody.
            queue.look().map_or(awaited, |found| found > 0)
        })
    }

    fn arm(&self) -> bool {
        // An error has woken everybody: there is something to do.
        self.with(|queue| queue.arm_for_waiters().unwrap_or(false))
    }
}

/// A request in flight: a future, or to be waited for. Dropped before that, the request is given up: what it carried is dropped when
/// the device returns it.
#[must_use = "a request that is dropped is given up"]
pub struct Pending<B: Buffer> {
    queue: SharedQueue<B>,
    token: Option<Token>,
}

impl<B: Buffer> Pending<B> {
    /// Blocks until the request is completed.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`], [`Error::OtherVcpu`].
    pub fn wait(mut self) -> Result<Completion<B>, Error> {
        let shared = &self.queue;
        let token = &mut self.token;
        block(shared.0.place, |arm| {
            shared.with(|queue| queue.attempt(arm.then_some(1), |queue| queue.take_if(token)))
        })
    }
}

impl<B: Buffer> Future for Pending<B> {
    type Output = Result<Completion<B>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Pending { queue, token } = self.get_mut();
        queue.with(|queue| {
            let done = queue.attempt(None, |queue| queue.take_if(token));
            match (done.transpose(), token) {
                (Some(result), _) => Poll::Ready(result),
                (None, token) => {
                    if let Some(token) = token {
                        queue.wake_when_done(token, context.waker());
                    }
                    Poll::Pending
                }
            }
        })
    }
}

impl<B: Buffer> Drop for Pending<B> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.queue.with(|queue| queue.abandon(token));
        }
    }
}

#[cfg(test)]
mod tests;
