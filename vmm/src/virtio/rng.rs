//! The random number device (virtio 1.2, section 5.4): fills buffers from the host kernel's generator.

use super::{Broken, Chain, Device, Identity, Queues};
use crate::io::Sources;
use hypercall_abi::device::kind;
use rustix::rand::{GetRandomFlags, getrandom};

/// The most bytes one request is given: a driver asks again for more.
const MOST: usize = 4096;

/// The device.
#[derive(Default)]
pub(crate) struct Rng {
    chain: Chain,
}

impl Device for Rng {
    fn identity(&self) -> Identity {
        Identity {
            kind: kind::RNG,
            name: "rng".into(),
            features: 0,
            config: Vec::new(),
            queues: 1,
            queue_size: 64,
        }
    }

    fn start(&mut self, _: u64, _: &mut Sources) {}

    fn reset(&mut self, _: &mut Sources) {}

    fn serve(&mut self, _: usize, queues: &mut Queues, _: &mut Sources) -> Result<bool, Broken> {
        let Some(Some(queue)) = queues.first_mut() else {
            return Ok(false);
        };
        let mut did = false;
        while queue.pop(&mut self.chain)? {
            let mut bytes = [0; MOST];
            let room = usize::try_from(self.chain.writable_bytes()).unwrap_or(MOST);
            let bytes = bytes.get_mut(..room.min(MOST)).unwrap_or_default();
            // A signal may cut it short; zero bytes are an answer that makes the driver ask again.
            let filled = getrandom(&mut *bytes, GetRandomFlags::empty()).unwrap_or(0);
            let bytes = bytes.get(..filled).unwrap_or_default();
            let written = queue.write(&self.chain, 0, bytes)?;
            queue.push(&self.chain, u32::try_from(written).unwrap_or(0))?;
            did = true;
        }
        queue.announce()?;
        Ok(did)
    }
}
