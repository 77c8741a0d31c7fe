//! Frames for the guest that answer its own, until it has room: a few, and what is too many is lost, as on any network.

use std::collections::VecDeque;

/// The most that wait.
const MOST: usize = 64;

/// The frames.
#[derive(Default)]
pub(super) struct Replies {
    waiting: VecDeque<Vec<u8>>,
    /// Room of frames that are gone.
    spare: Vec<Vec<u8>>,
}

impl Replies {
    /// Adds a frame, which `write` writes into zeroes of this length; it says how many of them the frame has, or that there is none.
    pub fn add(&mut self, length: usize, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        if self.waiting.len() >= MOST {
            return;
        }
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.clear();
        frame.resize(length, 0);
        match write(&mut frame) {
            Some(length) => {
                frame.truncate(length);
                self.waiting.push_back(frame);
            }
            None => self.spare.push(frame),
        }
    }

    /// Takes the first one into the beginning of `room`; says how long it is.
    pub fn take(&mut self, room: &mut [u8]) -> Option<usize> {
        loop {
            let frame = self.waiting.pop_front()?;
            let length = frame.len();
            let fits = room.get_mut(..length);
            let taken = fits.map(|room| room.copy_from_slice(&frame));
            self.spare.push(frame);
            if taken.is_some() {
                return Some(length);
            }
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}
