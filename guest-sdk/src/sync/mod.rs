//! What threads on several vCPUs share: locks and channels that block instead of spinning forever.
//!
//! Everything here rests on one word for each lock or channel: the set of vCPUs that wait for it. An uncontended
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
