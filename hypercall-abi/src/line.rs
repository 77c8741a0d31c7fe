//! The handshake of a call line, as the code that both sides run.
//!
//! One guest posts, one at a time. Two host threads may serve: the poller, which looks all the time while it is awake, and the
//! vCPU's own thread, when the guest makes a [`LINE`](crate::call::LINE) call. Whichever takes the [`Claim`] serves; each post is served once.
//!
//! Nothing here depends on whether the poller is awake. The guest reads that as a hint; if the hint was stale it waits for its
//! patience and makes a `LINE` call, and so never waits for a poller that has gone to sleep, or that the host's scheduler has taken away.
//!
//! Fields are not ordered by each other's fences but by these accesses, each with its partner:
//!
//! | who | writes | then | partner |
//! |---|---|---|---|
//! | guest | number, args | `post` (release) | host's acquire of `post`, in [`Claim::serve`] |
//! | host | status, `args[0]` | `answered` (release) | guest's acquire, in [`is_answered`] |
//! | host thread | `answered` | `served` (release) | the other host thread's acquire of `served`: what it finds served is answered |
//! | host thread | `served`, and all it did | `busy` = 0 (release) | the other host thread's acquire of `busy`, in [`Claim::serve`] |

use core::sync::atomic::{AtomicU32, Ordering};

/// A 32-bit word that several threads use. A trait, so that a model checker can put its own words under this code.
pub trait Word {
    /// As [`AtomicU32::load`].
    fn load(&self, order: Ordering) -> u32;
    /// As [`AtomicU32::store`].
    fn store(&self, value: u32, order: Ordering);
    /// Makes 0 a 1 (acquire); `false` if it was not 0.
    fn take(&self) -> bool;
}

impl Word for AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        AtomicU32::load(self, order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        AtomicU32::store(self, value, order);
    }

    #[inline]
    fn take(&self) -> bool {
        self.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
}

/// The guest posts the call it has written into the line, and says as which it will be answered.
#[inline]
pub fn post<W: Word>(post: &W) -> u32 {
    let this = post.load(Ordering::Relaxed).wrapping_add(1);
    post.store(this, Ordering::Release); // the host sees number and args before this
    this
}

/// Whether the guest's post is answered; if so, status and result are there.
#[inline]
pub fn is_answered<W: Word>(answered: &W, post: u32) -> bool {
    answered.load(Ordering::Acquire) == post
}

/// The line as the host reaches it: in memory that the guest writes at any moment.
pub trait Shared {
    /// Loads `post` (acquire).
    fn post(&self) -> u32;
    /// Copies number and args, does the call, stores status and result. `false`: this thread cannot do it; the post stays unserved.
    fn act(&mut self) -> bool;
    /// Stores `answered` (release).
    fn answer(&mut self, post: u32);
}

/// What a look at a line came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// A post was served.
    Served,
    /// There is nothing new.
    Nothing,
    /// The other thread is serving it, or this one cannot.
    Elsewhere,
}

/// Who serves a line, in the host's own memory.
#[derive(Debug, Default)]
pub struct Claim<W> {
    /// 1 while a thread serves.
    busy: W,
    /// The last post that was served. Written under `busy`.
    served: W,
}

impl<W: Word> Claim<W> {
    /// Over a line whose `post` is still 0. Both words are 0.
    pub const fn new(busy: W, served: W) -> Claim<W> {
        Claim { busy, served }
    }

    /// Serves what is posted, unless it has been.
    #[inline]
    pub fn serve(&self, line: &mut impl Shared) -> Look {
        // A glance, so that an idle line costs one load of shared memory.
        if line.post() == self.served.load(Ordering::Acquire) {
            return Look::Nothing;
        }
        if !self.busy.take() {
            return Look::Elsewhere;
        }
        // Only now is the post what will be served: since the glance the other thread may have served it, and more.
        let post = line.post();
        let look = if post == self.served.load(Ordering::Relaxed) {
            Look::Nothing
        } else if line.act() {
            line.answer(post); // the guest sees status and result before this
            self.served.store(post, Ordering::Release); // whoever finds it served finds it answered
            Look::Served
        } else {
            Look::Elsewhere
        };
        self.busy.store(0, Ordering::Release);
        look
    }
}
