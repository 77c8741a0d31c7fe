//! Blocking until a queue has what somebody waits for.
//!
//! Owns the order of looking, asking for an event and sleeping. A short while is spent looking where the host looks at its end without being asked: then
//! the device is on another core and likely to answer before this one had gone to sleep.

use super::Queue;
use crate::event;
use crate::platform::Vcpu;
use crate::virtio::watch::look_for_a_while;
use crate::virtio::{Buffer, Completion, Error, Token};
use core::sync::atomic::Ordering;

/// Where a queue's completions are told.
#[derive(Clone, Copy)]
pub(in crate::virtio) struct Place {
    pub(in crate::virtio) vcpu: u32,
    pub(in crate::virtio) event: u64,
    /// Whether other queues have the same event.
    pub(in crate::virtio) shared: bool,
}

/// Blocks until `attempt` yields something. It looks at the queue, and has it armed if told so.
pub(in crate::virtio) fn block<T>(
    place: Place,
    mut attempt: impl FnMut(bool) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let mut waited = false;
    let result = loop {
        match glance(&mut attempt).transpose() {
            Some(result) => break result,
            None if event::current_vcpu() != place.vcpu => break Err(Error::OtherVcpu),
            None => {}
        }
        if let Some(result) = attempt(true).transpose() {
            break result;
        }
        waited |= event::wait(place.event, None).is_ok();
    };
    if waited && place.shared {
        // The event that was taken may have told of another queue too: let who waits for that one look.
        Vcpu::current()
            .pending()
            .fetch_or(place.event, Ordering::SeqCst);
    }
    result
}

/// Looks at once, and for a while more if the host polls.
fn glance<T>(
    attempt: &mut impl FnMut(bool) -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    let mut found = attempt(false).transpose();
    if found.is_none() {
        look_for_a_while(|| {
            found = attempt(false).transpose();
            found.is_some()
        });
    }
    found.transpose()
}

impl<B: Buffer> Queue<B> {
    pub(in crate::virtio) fn place(&self) -> Place {
        Place {
            vcpu: self.shape.vcpu,
            event: self.event,
            shared: self.link.queues() > 1,
        }
    }

    /// Kicks, looks, and tries `ready`; then, where told to, arms the queue for `count` more completions.
    pub(in crate::virtio) fn attempt<T>(
        &mut self,
        arm: Option<u16>,
        mut ready: impl FnMut(&mut Self) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.kick();
        loop {
            let looked = self.look();
            // What was completed before the device broke is still good.
            if let Some(found) = ready(self) {
                return Ok(Some(found));
            }
            looked?;
            match arm {
                Some(count) if !self.arm(count)? => {}
                _ => return Ok(None),
            }
        }
    }

    /// Blocks until a request is completed.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`], [`Error::OtherVcpu`]; the request is [given up](Queue::abandon) then.
    pub fn wait(&mut self, token: Token) -> Result<Completion<B>, Error> {
        let mut token = Some(token);
        let place = self.place();
        let result = block(place, |arm| {
            self.attempt(arm.then_some(1), |queue| queue.take_if(&mut token))
        });
        if let Some(token) = token {
            self.abandon(token);
        }
        result
    }

    /// Blocks until there is something to [pop](Queue::pop), and pops it.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Stopped`], [`Error::OtherVcpu`].
    pub fn wait_pop(&mut self) -> Result<Completion<B>, Error> {
        let place = self.place();
        block(place, |arm| self.attempt(arm.then_some(1), Queue::pop))
    }

    /// As [`take`](Queue::take), of a token that is left where it is otherwise.
    pub(in crate::virtio) fn take_if(
        &mut self,
        token: &mut Option<Token>,
    ) -> Option<Completion<B>> {
        match self.take(token.take()?) {
            Ok(done) => Some(done),
            Err(back) => {
                *token = Some(back);
                None
            }
        }
    }
}
