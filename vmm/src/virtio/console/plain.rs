//! An end that is there from the beginning: standard input and output, a file, or nothing.
//!
//! At the end of input it is closed, and still takes output. When the host refuses output, because a disk is full or a pipe has lost its reader, it is closed and what
//! the guest writes from then on is thrown away.

use super::end::End;
use crate::console::Console;
use crate::io::Sources;
use vmm_sys_util::epoll::EventSet;

const INPUT: u32 = 0;
const OUTPUT: u32 = 1;

/// One of two directions.
#[derive(Default)]
struct Way {
    /// Whether the kernel tells when it is ready; a regular file always is.
    is_watched: bool,
    is_ready: bool,
    is_over: bool,
}

impl Way {
    fn is_open(&self) -> bool {
        self.is_ready && !self.is_over
    }

    /// Nothing goes at the moment.
    fn wait(&mut self) {
        self.is_ready = !self.is_watched;
    }
}

/// The end.
pub(super) struct Plain {
    console: Console,
    input: Way,
    output: Way,
}

impl Plain {
    pub fn new(console: Console) -> Plain {
        Plain {
            console,
            input: Way::default(),
            output: Way::default(),
        }
    }
}

impl End for Plain {
    fn watch(&mut self, first: u32, sources: &mut Sources) {
        let mut watch = |fd, token: u32, events| {
            sources
                .watch(
                    &fd,
                    first.saturating_add(token),
                    events | EventSet::EDGE_TRIGGERED,
                )
                .is_ok()
        };
        // The kernel declines to watch what is always ready.
        self.input.is_watched = match self.console.input() {
            Some(fd) => watch(fd, INPUT, EventSet::IN),
            None => false,
        };
        self.output.is_watched = match self.console.sink(false).awaited() {
            Some(fd) => watch(fd, OUTPUT, EventSet::OUT),
            None => false,
        };
        self.input.is_ready = self.console.input().is_some();
        self.output.is_ready = true;
    }

    fn forget(&mut self, sources: &mut Sources) {
        if let (Some(fd), true) = (self.console.input(), self.input.is_watched) {
            sources.forget(&fd);
        }
        if let (Some(fd), true) = (self.console.sink(false).awaited(), self.output.is_watched) {
            sources.forget(&fd);
        }
        (self.input.is_watched, self.output.is_watched) = (false, false);
    }

    fn ready(&mut self, token: u32, _: EventSet) {
        match token {
            INPUT => self.input.is_ready = true,
            _ => self.output.is_ready = true,
        }
    }

    fn settle(&mut self, _: bool, _: &mut Sources) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        !self.input.is_over && !self.output.is_over
    }

    fn may_read(&self) -> bool {
        self.input.is_open()
    }

    fn read(&mut self, room: &mut [u8]) -> usize {
        if !self.may_read() || room.is_empty() {
            return 0;
        }
        match self.console.read(room) {
            Ok(Some(0)) | Err(_) => self.input.is_over = true,
            Ok(Some(read)) => return read,
            Ok(None) => self.input.wait(),
        }
        0
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        if self.output.is_over {
            return bytes.len();
        }
        if !self.output.is_ready {
            return 0;
        }
        match self.console.write_now(bytes) {
            Ok(Some(written)) => written,
            Ok(None) => {
                self.output.wait();
                0
            }
            Err(_) => {
                self.output.is_over = true;
                bytes.len()
            }
        }
    }
}
