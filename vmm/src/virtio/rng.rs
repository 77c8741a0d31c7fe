//! The random number device (virtio 1.2, section 5.4): fills buffers from the host kernel's generator.

#[cfg(test)]
pub(crate) mod fuzz;

use super::{Broken, Chain, Device, Identity, Queues};
use crate::io::Sources;
use crate::rate::Limit;
use crate::{Error, config};
use hypercall_abi::device::kind;
use rustix::rand::{GetRandomFlags, getrandom};
use vmm_sys_util::epoll::EventSet;

/// The most bytes one request is given: a driver asks again for more.
const MOST: usize = 4096;

/// The token of the limit's timer.
const TIMER: u32 = 0;

/// The device.
pub(crate) struct Rng {
    chain: Chain,
    limit: Limit,
}

impl Rng {
    /// The device as it is configured.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn open(config: &config::Rng) -> Result<Rng, Error> {
        let device = "the device for random numbers";
        Ok(Rng {
            chain: Chain::default(),
            limit: Limit::new(device, config.ops_per_second, config.bytes_per_second)?,
        })
    }
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

    fn start(&mut self, _: u64, sources: &mut Sources) {
        self.limit.watch(TIMER, sources);
    }

    fn reset(&mut self, sources: &mut Sources) {
        self.limit.forget(sources);
    }

    fn serve(&mut self, _: usize, queues: &mut Queues, _: &mut Sources) -> Result<bool, Broken> {
        let Some(Some(queue)) = queues.first_mut() else {
            return Ok(false);
        };
        let mut did = false;
        while self.limit.admits() && queue.pop(&mut self.chain)? {
            let mut bytes = [0; MOST];
            let room = usize::try_from(self.chain.writable_bytes()).unwrap_or(MOST);
            let bytes = bytes.get_mut(..room.min(MOST)).unwrap_or_default();
            // A signal may cut it short; zero bytes are an answer that makes the driver ask again.
            let filled = getrandom(&mut *bytes, GetRandomFlags::empty()).unwrap_or(0);
            let bytes = bytes.get(..filled).unwrap_or_default();
            let written = queue.write(&self.chain, 0, bytes)?;
            self.limit.charge(written as u64);
            queue.push(&self.chain, u32::try_from(written).unwrap_or(0))?;
            did = true;
        }
        queue.announce()?;
        Ok(did)
    }

    fn arm(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        match (queues.first_mut(), self.limit.is_waiting()) {
            (Some(Some(queue)), false) => queue.arm(),
            _ => Ok(false),
        }
    }

    fn ready(
        &mut self,
        _: u32,
        _: EventSet,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        self.limit.rung();
        self.serve(0, queues, sources)?;
        // A kick is asked for again after a look, unless it waits for the timer again.
        Ok(!self.limit.is_waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::with_sources;
    use crate::virtio::peer::{Peer, SIZE};
    use std::time::Instant;

    /// A limit of the device's, and what its requests come to by then: so many each.
    fn is_kept(config: &config::Rng, per_second: u64, each: u64) {
        let began = Instant::now();
        let mut rng = Rng::open(config).unwrap();
        let mut peer = Peer::new();
        let mut queues = peer.queues(1);
        with_sources(|sources| {
            rng.start(0, sources);
            rng.limit.exhaust();
            (0..SIZE).for_each(|place| peer.ask(0, place, 100));
            let mut answered = 0;
            assert_eq!(rng.serve(0, &mut queues, sources), Ok(false));
            while answered < u64::from(SIZE) {
                if rng.limit.is_waiting() {
                    assert_eq!(rng.arm(&mut queues), Ok(false));
                    assert_eq!(peer.wanted(0), 0, "no kick is asked for");
                }
                rng.limit.sleep();
                let wants_looks = rng.ready(TIMER, EventSet::IN, &mut queues, sources);
                assert_eq!(wants_looks, Ok(!rng.limit.is_waiting()));
                answered += peer.answers(0).len() as u64;
                assert!(answered * each <= Limit::most(per_second, began, each));
            }
            rng.reset(sources);
        });
    }

    #[test]
    fn limits_are_kept() {
        let operations = config::Rng {
            ops_per_second: Some(200),
            bytes_per_second: None,
        };
        is_kept(&operations, 200, 1);
        let bytes = config::Rng {
            ops_per_second: None,
            bytes_per_second: Some(20_000),
        };
        is_kept(&bytes, 20_000, 100);
    }
}
