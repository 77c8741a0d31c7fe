//! The disk as a fuzz target: requests of any kind and shape through its queues to a real file, by each backend, while the driver resets it and the host
//! truncates the file.
//!
//! A write that was answered is there, one that was not may be, and nothing else changes: neither on the disk nor behind it, nor in memory that the device
//! was not given to write. Statuses are those that follow from the request, and a chain that no queue may hold is never answered.

mod chain;
mod driver;
mod flight;
mod model;

use super::Block;
use super::request::{SECTOR, SERIAL};
use super::space;
use crate::config::{self, Backend, Cache};
use crate::fuzz::{Ram, Source};
use crate::io::{Sources, with_sources};
use crate::virtio::peer::{self, Peer, SIZE};
use crate::virtio::{Broken, Device, Queue};
use flight::{Expected, Flight};
use model::Model;
use std::os::unix::fs::FileExt;
use tempfile::NamedTempFile;
use vmm_sys_util::epoll::EventSet;

/// Sectors of the disk. Its file is a little longer.
const SECTORS: u64 = 64;
const CAPACITY: u64 = SECTORS * SECTOR;
const BEHIND: &[u8] = b"the end of the file, which is no sector";
/// Its queues, the requests that each can hold, and the descriptors of each of those.
const QUEUES: u16 = 2;
const REQUESTS: u16 = 4;
const PARTS: u16 = SIZE / REQUESTS;

/// The serial number.
const NAME: [u8; SERIAL] = *b"a serial number here";

/// Requests of a guest, and a file.
pub(crate) fn disks(source: &mut Source) {
    with_sources(|sources| {
        let mut play = Play::new(source);
        play.start(source, sources);
        while source.step() {
            play.step(source, sources);
        }
        play.restart(source, sources);
    });
}

/// Both ends, and what the disk may hold.
struct Play {
    block: Block,
    file: NamedTempFile,
    /// Bytes of the file now.
    len: u64,
    peer: Peer,
    ram: Ram,
    queues: Vec<Option<Queue>>,
    flights: Vec<Flight>,
    model: Model,
    /// Whether a ring's index is wrong.
    is_lost: bool,
}

/// A disk of any kind, on a file in memory or, where it can do that, on one that is not.
fn open(source: &mut Source) -> (Block, NamedTempFile, Vec<u8>) {
    let in_memory = !source.once_in(8);
    let file = match in_memory {
        true => NamedTempFile::new_in("/dev/shm"),
        false => NamedTempFile::new(),
    };
    let file = file.or_else(|_| NamedTempFile::new()).unwrap();
    let bytes: Vec<u8> = (0..CAPACITY).map(|at| (at / SECTOR) as u8 ^ 0x80).collect();
    file.as_file().write_all_at(&bytes, 0).unwrap();
    file.as_file().write_all_at(BEHIND, CAPACITY).unwrap();
    let mut config = config::Disk::new("d", file.path().to_owned());
    config.backend = source.pick(&[Backend::Plain, Backend::IoUring]);
    config.cache = source.pick(&Cache::ALL);
    config.direct = source.once_in(2);
    config.read_only = source.once_in(8);
    config.serial = String::from_utf8_lossy(&NAME).into_owned();
    let block = Block::open(&config, QUEUES.into()).or_else(|_| {
        config.direct = false;
        Block::open(&config, QUEUES.into())
    });
    (block.unwrap(), file, bytes)
}

impl Play {
    fn new(source: &mut Source) -> Play {
        let (block, file, bytes) = open(source);
        let peer = Peer::new();
        Play {
            block,
            file,
            len: CAPACITY + BEHIND.len() as u64,
            ram: Ram::new(&peer.memory),
            peer,
            queues: Vec::new(),
            flights: Vec::new(),
            model: Model::new(&bytes),
            is_lost: false,
        }
    }

    fn step(&mut self, source: &mut Source, sources: &mut Sources) {
        let queue = source.below(QUEUES.into()) as u16;
        let done = match source.below(12) {
            0..=4 => {
                self.ask(queue, source);
                Ok(true)
            }
            5 | 6 => self.block.serve(queue.into(), &mut self.queues, sources),
            7 => self.block.arm(&mut self.queues),
            8 => {
                let token = super::token::RING;
                self.block
                    .ready(token, EventSet::IN, &mut self.queues, sources)
            }
            9 if source.once_in(3) => return self.restart(source, sources),
            10 if source.once_in(3) => {
                let done = self.settle(sources);
                if done.is_ok() {
                    self.resize(source);
                }
                done
            }
            _ => self.settle(sources),
        };
        self.hear();
        if done.is_err() {
            let wrong = |flight: &Flight| !matches!(flight.expected, Expected::Answer(_));
            assert!(
                self.is_lost || self.flights.iter().any(wrong),
                "{done:?}, and nothing is wrong"
            );
            self.restart(source, sources);
        }
    }

    /// Serves until everything is answered, and looks at the file then.
    fn settle(&mut self, sources: &mut Sources) -> Result<bool, Broken> {
        loop {
            for queue in 0..QUEUES {
                self.block.serve(queue.into(), &mut self.queues, sources)?;
            }
            self.block.arm(&mut self.queues)?;
            self.hear();
            if self.flights.is_empty() && !self.is_lost {
                break;
            }
            std::thread::yield_now();
        }
        self.look();
        Ok(true)
    }

    /// The file is as the model has it.
    fn look(&mut self) {
        let mut bytes = std::fs::read(self.file.path()).unwrap();
        assert_eq!(bytes.len() as u64, self.len, "the file's length");
        let behind = bytes.split_off(bytes.len().min(CAPACITY as usize));
        assert!(behind.is_empty() || behind == BEHIND, "behind the disk");
        bytes.resize(CAPACITY as usize, 0);
        self.model.settle(&bytes);
    }

    /// The host truncates the file, or makes it longer again, while nothing is on its way.
    fn resize(&mut self, source: &mut Source) {
        self.len = source.pick(&[0, 1, SECTORS / 2, SECTORS, SECTORS]) * SECTOR;
        self.file.as_file().set_len(self.len).unwrap();
        self.file.as_file().sync_data().unwrap();
        let mut bytes = std::fs::read(self.file.path()).unwrap();
        bytes.resize(CAPACITY as usize, 0);
        self.model.is(&bytes);
    }

    /// A reset: what was not answered has ended somehow, and nothing is written from then on.
    fn restart(&mut self, source: &mut Source, sources: &mut Sources) {
        self.block.reset(sources);
        for queue in 0..QUEUES {
            assert_eq!(self.peer.answers(queue), [], "answered by a reset");
        }
        for flight in std::mem::take(&mut self.flights) {
            self.ended(&flight, false);
        }
        self.is_lost = false;
        self.look();
        self.ram.check(&self.peer.memory);
        self.start(source, sources);
    }

    /// The device begins anew, with empty queues.
    fn start(&mut self, source: &mut Source, sources: &mut Sources) {
        self.queues = self.peer.queues(QUEUES);
        self.ram = Ram::of(&self.peer.memory);
        for queue in 0..QUEUES {
            self.ram.allow(peer::answered(queue));
        }
        let features = source.pick(&[0, space::FLUSH]);
        self.block.start(features, sources);
    }

    /// Takes the answers.
    fn hear(&mut self) {
        for queue in 0..QUEUES {
            for (head, written) in self.peer.answers(queue) {
                let same =
                    |flight: &Flight| (flight.queue, u32::from(flight.head)) == (queue, head);
                let index = self.flights.iter().position(same);
                let flight = self
                    .flights
                    .remove(index.expect("an answer to what was not asked"));
                self.answered(&flight, written);
            }
        }
    }
}
