//! The host's end of a port: what it is written to and read from.

use crate::io::Sources;
use vmm_sys_util::epoll::EventSet;

/// Tokens that an end has.
pub(super) const TOKENS: u32 = 2;

/// Somewhere that bytes go to and come from. It never blocks: who cannot take or give now is asked again once one of its sources was ready.
pub(super) trait End: Send {
    /// Watches its sources from now on, with [`TOKENS`] tokens from `first`.
    fn watch(&mut self, first: u32, sources: &mut Sources);

    /// Watches nothing any more.
    fn forget(&mut self, sources: &mut Sources);

    /// A source is ready; `token` counts from 0.
    fn ready(&mut self, token: u32, events: EventSet);

    /// After some work: lets go of what is of no use any more, and, if the end is wanted, looks for what takes its place. Says whether
    /// the end was closed meanwhile.
    fn settle(&mut self, is_wanted: bool, sources: &mut Sources) -> bool;

    /// Whether there is somebody at it.
    fn is_open(&self) -> bool;

    /// Whether there may be something to read.
    fn may_read(&self) -> bool;

    /// Reads what is there; 0 is nothing for now.
    fn read(&mut self, room: &mut [u8]) -> usize;

    /// Takes some of the bytes; 0 is none for now.
    fn write(&mut self, bytes: &[u8]) -> usize;
}
