//! What the same work costs with nothing of ours in it: the limits that calls are held against.

pub mod bare;
pub mod disk;
pub mod loopback;
pub mod program;
pub mod system;
pub mod threads;

use super::block::Run;

// Not beside the rest of it: guests run blocks too, and what they do cannot fail.
impl Run<'_> {
    /// Runs the block of rounds that can fail, and returns the last failure. The others are run all the same.
    pub fn try_over<E>(&mut self, mut round: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let mut done = Ok(());
        self.over(|| {
            if let Err(error) = round() {
                done = Err(error);
            }
        });
        done
    }
}
