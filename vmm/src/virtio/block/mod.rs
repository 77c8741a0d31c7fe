//! The disk (virtio 1.2, section 5.2): takes requests out of its queues, has the [disk] do them or the [ring](uring) start them, and answers.
//!
//! What an answer means: a write that was answered is the host kernel's, and no end of this process takes it away; after a flush that was answered, and with
//! `cache = "writethrough"` always, it also survives the end of the host.

mod disk;
mod failures;
#[cfg(test)]
pub(crate) mod fuzz;
mod lock;
mod request;
mod resident;
mod space;
mod uring;

use super::{Broken, Chain, Device, Identity, Queue, Queues};
use crate::Error;
use crate::config::{self, Backend};
use crate::io::Sources;
use crate::memory::Vectors;
use crate::rate::Limit;
pub(crate) use disk::Disk;
use hypercall_abi::device::kind;
use request::{Copied, HEADER, Request, SEGMENT, SERIAL, Status};
use std::io::ErrorKind;
use std::sync::Arc;
use uring::{DEPTH, Ended, Uring};
use vmm_sys_util::epoll::EventSet;

/// The most queues: one for each vCPU of most VMs.
const MOST_QUEUES: u32 = 16;
/// The most entries of each.
const QUEUE_SIZE: u16 = 256;
/// Requests that are begun before the driver is told of those that were answered.
const TURN: usize = 64;

/// What the device watches.
mod token {
    pub const RING: u32 = 0;
    pub const TIMER: u32 = 1;
}

/// The device.
pub(crate) struct Block {
    disk: Arc<Disk>,
    name: String,
    queues: u16,
    serial: [u8; SERIAL],
    ring: Option<Uring>,
    limit: Limit,
    /// Whether each write is to be durable when it is answered.
    durable: bool,
    /// The request that is begun.
    chain: Chain,
    vectors: Vectors,
    /// Requests in flight, by token, and the tokens that are free.
    flights: Vec<Flight>,
    free: Vec<u16>,
    /// A bit for each queue in which there are answers that the driver was not told of.
    told: u64,
}

/// A request in flight.
#[derive(Default)]
struct Flight {
    queue: usize,
    chain: Chain,
    request: Option<Request>,
    /// Vectors whose room is used while this one's are in flight.
    spare: Vectors,
}

impl Block {
    /// Opens the disk of a VM with so many vCPUs.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn open(config: &config::Disk, vcpus: u32) -> Result<Block, Error> {
        let refused = |problem: String| Error::Disk {
            name: config.name.clone(),
            path: config.path.clone(),
            problem,
        };
        let disk = Arc::new(Disk::open(config)?);
        let wanted = match config.backend {
            Backend::Auto => !disk.in_memory,
            Backend::IoUring => true,
            Backend::Plain => false,
        };
        let ring = match wanted.then(|| Uring::new(Arc::clone(&disk))) {
            Some(Ok(ring)) => Some(ring),
            Some(Err(error)) if config.backend == Backend::IoUring => {
                return Err(refused(format!(
                    "the host does not give it an io_uring: {error}; write backend = \"auto\" to do without where there is none"
                )));
            }
            Some(Err(_)) | None => None,
        };
        let device = format!("the disk {:?}", config.name);
        let limit = Limit::new(&device, config.ops_per_second, config.bytes_per_second)?;
        let mut serial = [0; SERIAL];
        for (to, from) in serial.iter_mut().zip(config.serial.bytes()) {
            *to = from;
        }
        Ok(Block {
            durable: disk.writethrough,
            disk,
            name: config.name.clone(),
            queues: vcpus.clamp(1, MOST_QUEUES) as u16,
            serial,
            ring,
            limit,
            chain: Chain::default(),
            vectors: Vectors::default(),
            flights: (0..DEPTH).map(|_| Flight::default()).collect(),
            free: (0..DEPTH).collect(),
            told: 0,
        })
    }

    /// The disk itself.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Whether another request can be begun now.
    fn may_begin(&mut self) -> bool {
        !self.is_full() && self.limit.admits()
    }

    /// Whether requests have to wait for others to end.
    fn is_full(&self) -> bool {
        self.ring.is_some() && self.free.is_empty()
    }

    /// Begins the request that was taken from a queue.
    fn begin(&mut self, index: usize, queue: &mut Queue) -> Result<(), Broken> {
        let (readable, writable) = (self.chain.readable_bytes(), self.chain.writable_bytes());
        if writable == 0 {
            return Err(Broken("a disk's request has no byte for its status"));
        }
        let mut copied = Copied {
            header: [0; HEADER],
            segment: [0; SEGMENT],
            readable,
            writable,
        };
        queue.read(&self.chain, 0, &mut copied.header)?;
        if readable == (HEADER + SEGMENT) as u64 {
            queue.read(&self.chain, HEADER as u64, &mut copied.segment)?;
        }
        let parsed = request::parse(&copied, &self.disk.bounds);
        let (buffers, skip, len) = match parsed {
            Ok(Request::Read { len, .. }) => (&self.chain.writable, 0, len),
            Ok(Request::Write { len, .. }) => (&self.chain.readable, HEADER as u64, len),
            _ => (&self.chain.writable, 0, 0),
        };
        self.limit.charge(len);
        let buffers = buffers.iter().map(|segment| (segment.gpa, segment.len));
        self.vectors
            .gather(queue.memory(), buffers, skip, len)
            .map_err(|_| Broken("a disk's buffer does not lie in the guest's memory"))?;
        if let Ok(Request::Read { .. }) = parsed
            && self.ring.is_none()
        {
            queue.foretell(&self.chain, u32::try_from(writable).unwrap_or(u32::MAX))?;
        }
        let status = match parsed {
            Err(status) => status,
            Ok(Request::Serial) => {
                queue.write(&self.chain, 0, &self.serial)?;
                Status::Ok
            }
            Ok(request) if self.fly(index, request) => return Ok(()),
            Ok(request) => self.disk.perform(request, &mut self.vectors, self.durable),
        };
        answer(queue, &self.chain, status)
    }

    /// Has the ring do the request that was taken, if it can.
    fn fly(&mut self, queue: usize, request: Request) -> bool {
        let by_ring = match request {
            Request::Read { len, .. } => len != 0,
            Request::Write { at, len } => len != 0 && self.disk.reaches(at.saturating_add(len)),
            Request::Flush => true,
            _ => false,
        };
        let (true, Some(ring)) = (by_ring, &mut self.ring) else {
            return false;
        };
        let Some(token) = self.free.pop() else {
            return false;
        };
        let Some(flight) = self.flights.get_mut(usize::from(token)) else {
            return false;
        };
        let vectors = std::mem::replace(&mut self.vectors, std::mem::take(&mut flight.spare));
        match ring.start(token, request, vectors, self.durable) {
            Ok(()) => {
                flight.queue = queue;
                flight.request = Some(request);
                std::mem::swap(&mut flight.chain, &mut self.chain);
                true
            }
            Err(vectors) => {
                flight.spare = std::mem::replace(&mut self.vectors, vectors);
                self.free.push(token);
                false
            }
        }
    }

    /// Answers what has ended; says whether anything has.
    fn land(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        let mut did = false;
        while let Some(ended) = self.ring.as_mut().and_then(Uring::next) {
            did = true;
            let token = ended.token;
            let status = self.outcome(ended);
            let flight = self.flights.get_mut(usize::from(token));
            if let Some((flight, Some(queue))) = flight.and_then(|flight| {
                let queue = queues.get_mut(flight.queue)?;
                Some((flight, queue.as_mut()))
            }) {
                answer(queue, &flight.chain, status)?;
                self.told |= bit(flight.queue);
            }
            self.free.push(token);
        }
        Ok(did)
    }

    /// How a request ended, after what the ring left over was done.
    fn outcome(&mut self, ended: Ended) -> Status {
        let Some(flight) = self.flights.get_mut(usize::from(ended.token)) else {
            return Status::Failed;
        };
        flight.spare = ended.vectors;
        let (vectors, durable) = (&mut flight.spare, self.durable);
        match (ended.result, flight.request.take()) {
            (Ok(moved), Some(_)) if moved == vectors.bytes() => Status::Ok,
            (Ok(moved), Some(request)) => {
                vectors.advance(moved);
                self.disk.perform(request.after(moved), vectors, durable)
            }
            (Err(error), Some(request)) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock => {
                    self.disk.perform(request, vectors, durable)
                }
                _ => self.disk.fail(&error),
            },
            (_, None) => Status::Failed,
        }
    }

    /// Tells drivers of what was answered.
    fn tell(&mut self, queues: &mut Queues) -> Result<(), Broken> {
        for (index, queue) in queues.iter_mut().enumerate() {
            if let (true, Some(queue)) = (self.told & bit(index) != 0, queue) {
                queue.announce()?;
            }
        }
        self.told = 0;
        Ok(())
    }

    /// Begins what a queue holds, as far as one turn goes; says whether there was anything.
    fn take(&mut self, index: usize, queues: &mut Queues) -> Result<bool, Broken> {
        let Some(Some(queue)) = queues.get_mut(index) else {
            return Ok(false);
        };
        for turn in 0..TURN {
            if !self.may_begin() || !queue.pop(&mut self.chain)? {
                return Ok(turn != 0);
            }
            self.begin(index, queue)?;
            self.told |= bit(index);
        }
        Ok(true)
    }
}

/// Answers a request.
fn answer(queue: &mut Queue, chain: &Chain, status: Status) -> Result<(), Broken> {
    let written = chain.writable_bytes();
    queue.write(chain, written.saturating_sub(1), &[status.byte()])?;
    let written = match status {
        // Of data that could not all be read it is not known how much is new.
        Status::Failed | Status::Unsupported if written != 1 => 0,
        _ => u32::try_from(written).unwrap_or(u32::MAX),
    };
    queue.push(chain, written)
}

fn bit(queue: usize) -> u64 {
    1_u64.checked_shl(queue as u32).unwrap_or(0)
}

impl Device for Block {
    fn identity(&self) -> Identity {
        Identity {
            kind: kind::BLOCK,
            name: self.name.clone(),
            features: space::features(&self.disk),
            config: space::space(&self.disk, self.queues),
            queues: self.queues,
            queue_size: QUEUE_SIZE,
        }
    }

    fn start(&mut self, features: u64, sources: &mut Sources) {
        self.durable = self.disk.writethrough || features & space::FLUSH == 0;
        if let Some(ring) = &self.ring
            && sources.watch(ring, token::RING, EventSet::IN).is_err()
        {
            // Nobody would hear of what ends there.
            self.ring = None;
        }
        self.limit.watch(token::TIMER, sources);
    }

    fn reset(&mut self, sources: &mut Sources) {
        if let Some(ring) = &mut self.ring {
            ring.settle();
            while let Some(ended) = ring.next() {
                self.free.push(ended.token);
            }
            sources.forget(ring);
        }
        self.limit.forget(sources);
        self.told = 0;
    }

    fn serve(
        &mut self,
        index: usize,
        queues: &mut Queues,
        _: &mut Sources,
    ) -> Result<bool, Broken> {
        let landed = self.land(queues)?;
        let took = self.take(index, queues)?;
        if let (true, Some(ring)) = (took, &mut self.ring) {
            ring.submit();
            // What was in the page cache is there already.
            self.land(queues)?;
        }
        self.tell(queues)?;
        Ok(landed || took)
    }

    fn failures(&self) -> (u64, Option<String>) {
        self.disk.failures()
    }

    fn arm(&mut self, queues: &mut Queues) -> Result<bool, Broken> {
        if self.ring.as_mut().is_some_and(|ring| !ring.submit()) {
            return Ok(true);
        }
        // What waits in the queues then is looked at when the ring or the timer is readable.
        if self.is_full() || self.limit.is_waiting() {
            return Ok(false);
        }
        let mut more = false;
        for queue in queues.iter_mut().flatten() {
            more |= queue.arm()?;
        }
        Ok(more)
    }

    fn ready(
        &mut self,
        token: u32,
        _: EventSet,
        queues: &mut Queues,
        sources: &mut Sources,
    ) -> Result<bool, Broken> {
        if token == token::TIMER {
            self.limit.rung();
        }
        for index in self.limit.turns(queues.len()) {
            self.serve(index, queues, sources)?;
        }
        // Also where there was nothing: kicks are asked for again after a look, and what the ring did not take is offered again. Without either the timer
        // will do.
        Ok(self.ring.is_some() || !self.limit.is_waiting())
    }
}

#[cfg(test)]
mod tests;
