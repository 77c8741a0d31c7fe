//! What threads on several vCPUs share: locks and channels that block instead of spinning forever.
//!
//! Everything here rests on [`Waiters`], a set of vCPUs that wait for something, which is one word. An uncontended
//! lock costs two atomic instructions and no call.

mod channel;
mod condvar;
mod mutex;
mod once;
mod waiters;

pub use channel::{Receiver, RecvError, SendError, Sender, TryRecvError, channel, sync_channel};
pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use once::{LazyLock, OnceLock};
pub(crate) use waiters::Waiters;
