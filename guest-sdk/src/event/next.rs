//! An event as a future.

use super::take;
use crate::executor::waits;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Completes when one of `events` is pending on the vCPU that polls it; takes and yields those that are, as [`wait`](super::wait) does.
///
/// Several tasks may wait, for different events or the same. Those that wait for the same are all woken, and the first takes it:
/// what they wait for together, they must look for before they wait, and wait again if it is not there.
///
/// To be awaited under [`executor`](mod@crate::executor)'s loops, which wake it; another executor would not.
pub fn next(events: u64) -> Next {
    Next { events }
}

/// See [`next`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Next {
    events: u64,
}

impl Future for Next {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u64> {
        match take(self.events) {
            // An event from now on is found pending by the loop, which looks at it before it sleeps.
            0 => {
                waits::events(self.events, context.waker());
                Poll::Pending
            }
            taken => Poll::Ready(taken),
        }
    }
}
