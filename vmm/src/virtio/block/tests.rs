//! Both ends of a disk's queue in one process: what a driver writes into its rings, and what it finds in them.

use super::*;
use crate::io::with_sources;
use crate::memory::Memory;
use crate::virtio::Raise;
use hypercall_abi::Gpa;
use hypercall_abi::device::QueueSetup;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::NamedTempFile;
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};

const SIZE: u16 = 64;
const RING: u64 = 0x10_0000;
const AVAILABLE: u64 = RING + 0x1000;
const USED: u64 = RING + 0x2000;
/// A header and a status for each chain.
const HEADERS: u64 = RING + 0x4000;
const STATUSES: u64 = RING + 0x8000;
const DATA: u64 = 0x20_0000;

const NEXT: u16 = 1;
const WRITE: u16 = 2;

#[derive(Default)]
struct Raised(AtomicU64);

impl Raise for Raised {
    fn raise(&self, _: u32, _: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A driver, its memory and its disk.
struct Bench {
    memory: Arc<Memory>,
    queues: Vec<Option<Queue>>,
    block: Block,
    raised: Arc<Raised>,
    file: NamedTempFile,
    available: u16,
}

impl Bench {
    fn new(change: impl FnOnce(&mut config::Disk)) -> Bench {
        let file = NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..=255).flat_map(|sector| [sector; 512]).collect();
        std::fs::write(file.path(), bytes).unwrap();
        let mut config = config::Disk::new("d", file.path().to_owned());
        config.serial = "serial-7".into();
        change(&mut config);
        let memory = Arc::new(Memory::new(8 << 20).unwrap());
        let raised = Arc::new(Raised::default());
        let setup = QueueSetup {
            descriptors: Gpa(RING),
            available: Gpa(AVAILABLE),
            used: Gpa(USED),
            queue: 0,
            size: SIZE,
            vcpu: 0,
        };
        let raise: Arc<dyn Raise> = raised.clone();
        let queue = Queue::new(&setup, SIZE, false, Arc::clone(&memory), raise, 1).unwrap();
        Bench {
            block: Block::open(&config, 1).unwrap(),
            queues: vec![Some(queue)],
            memory,
            raised,
            file,
            available: 0,
        }
    }

    fn describe(&self, index: u16, address: u64, len: u32, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        let at = Gpa(RING + u64::from(index) * 16);
        self.memory.write(at, &bytes).unwrap();
    }

    fn offer(&mut self, head: u16) {
        let slot = AVAILABLE + 4 + u64::from(self.available % SIZE) * 2;
        self.memory.store(Gpa(slot), &head).unwrap();
        self.available = self.available.wrapping_add(1);
        self.memory
            .store(Gpa(AVAILABLE + 2), &self.available)
            .unwrap();
    }

    /// A request of three descriptors, from `3 * slot` on.
    fn ask(&mut self, slot: u16, kind: u32, sector: u64, data: (u64, u32), flags: u16) {
        let header = HEADERS + u64::from(slot) * 16;
        let status = STATUSES + u64::from(slot);
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[8..].copy_from_slice(&sector.to_le_bytes());
        self.memory.write(Gpa(header), &bytes).unwrap();
        self.memory.write(Gpa(status), &[0xff]).unwrap();
        let head = slot * 3;
        self.describe(head, header, 16, NEXT, head + 1);
        self.describe(head + 1, data.0, data.1, NEXT | flags, head + 2);
        self.describe(head + 2, status, 1, WRITE, 0);
        self.offer(head);
    }

    fn status(&self, slot: u16) -> u8 {
        self.memory.load(Gpa(STATUSES + u64::from(slot))).unwrap()
    }

    fn used(&self) -> u16 {
        self.memory.load(Gpa(USED + 2)).unwrap()
    }

    /// Lets the device work until so many requests in all are answered.
    fn serve(&mut self, answers: u16) -> Result<(), Broken> {
        while self.used() != answers {
            with_sources(|sources| self.block.serve(0, &mut self.queues, sources))?;
        }
        Ok(())
    }
}

fn backends() -> [Backend; 2] {
    [Backend::Plain, Backend::IoUring]
}

#[test]
fn requests_are_answered_by_each_backend() {
    for backend in backends() {
        let mut bench = Bench::new(|disk| disk.backend = backend);
        bench.ask(0, VIRTIO_BLK_T_IN, 5, (DATA, 1024), WRITE);
        bench.ask(1, VIRTIO_BLK_T_GET_ID, 0, (DATA + 4096, 20), WRITE);
        bench.ask(2, VIRTIO_BLK_T_FLUSH, 0, (DATA, 0), 0);
        bench.serve(3).unwrap();
        assert_eq!(
            [0, 1, 2].map(|slot| bench.status(slot)),
            [0; 3],
            "{backend:?}"
        );
        assert_eq!(
            bench.memory.load::<[u8; 1024]>(Gpa(DATA)).unwrap()[510..514],
            [5, 5, 6, 6]
        );
        assert_eq!(
            bench.memory.load(Gpa(DATA + 4096)),
            Ok(*b"serial-7\0\0\0\0\0\0\0\0\0\0\0\0")
        );
        bench.ask(3, VIRTIO_BLK_T_OUT, 200, (DATA, 1024), 0);
        bench.ask(4, VIRTIO_BLK_T_OUT, 255, (DATA, 1024), 0);
        bench.ask(5, 77, 0, (DATA, 512), WRITE);
        bench.serve(6).unwrap();
        assert_eq!(
            [3, 4, 5].map(|slot| bench.status(slot)),
            [0, 1, 2],
            "{backend:?}"
        );
        let file = std::fs::read(bench.file.path()).unwrap();
        assert_eq!(file[200 * 512 + 510..200 * 512 + 514], [5, 5, 6, 6]);
        assert_eq!(file.len(), 256 * 512);
        assert!(bench.raised.0.load(Ordering::SeqCst) >= 2);
    }
}

#[test]
fn many_are_in_flight_and_a_reset_waits_for_them() {
    for backend in backends() {
        let mut bench = Bench::new(|disk| (disk.backend, disk.direct) = (backend, true));
        for slot in 0..20 {
            let data = (DATA + u64::from(slot) * 4096, 4096);
            bench.ask(slot, VIRTIO_BLK_T_IN, u64::from(slot) * 8, data, WRITE);
        }
        with_sources(|sources| {
            bench.block.start(space::FLUSH, sources);
            bench.block.serve(0, &mut bench.queues, sources).unwrap();
            bench.block.reset(sources);
        });
        assert_eq!(
            bench.block.free.len(),
            usize::from(DEPTH),
            "nothing is in flight"
        );
        let before: [u8; 4096] = bench.memory.load(Gpa(DATA)).unwrap();
        bench.memory.write(Gpa(DATA), &[0xaa; 4096]).unwrap();
        assert_eq!((before[0], before[4095]), (0, 7), "it was waited for");
    }
}

#[test]
fn a_driver_that_does_not_flush_has_every_write_made_durable() {
    let mut bench = Bench::new(|_| {});
    with_sources(|sources| {
        for (features, durable) in [(0, true), (space::FLUSH, false)] {
            bench.block.start(features, sources);
            assert_eq!(bench.block.durable, durable);
            bench.block.reset(sources);
        }
    });
    let mut bench = Bench::new(|disk| disk.cache = config::Cache::Writethrough);
    with_sources(|sources| bench.block.start(space::FLUSH, sources));
    assert!(bench.block.durable);
}

#[test]
fn how_a_request_is_divided_means_nothing() {
    let mut bench = Bench::new(|_| {});
    let mut header = [0; 16];
    header[8] = 9;
    bench.memory.write(Gpa(HEADERS), &header).unwrap();
    // The header in three parts, one of them empty; the data in three, the last with the status.
    bench.describe(0, HEADERS, 3, NEXT, 1);
    bench.describe(1, 0, 0, NEXT, 2);
    bench.describe(2, HEADERS + 3, 13, NEXT, 3);
    bench.describe(3, DATA, 1, NEXT | WRITE, 4);
    bench.describe(4, DATA + 1, 500, NEXT | WRITE, 5);
    bench.describe(5, DATA + 501, 12, WRITE, 0);
    bench.memory.write(Gpa(DATA), &[0xff; 513]).unwrap();
    bench.offer(0);
    bench.serve(1).unwrap();
    let bytes: [u8; 513] = bench.memory.load(Gpa(DATA)).unwrap();
    assert_eq!((&bytes[..512], bytes[512]), (&[9; 512][..], 0));
}

#[test]
fn what_is_no_request_breaks_the_queue() {
    for backend in backends() {
        let broken = |prepare: fn(&mut Bench)| {
            let mut bench = Bench::new(|disk| disk.backend = backend);
            prepare(&mut bench);
            bench.serve(1).unwrap_err().0
        };
        let why = broken(|bench| {
            bench.describe(0, HEADERS, 16, 0, 0);
            bench.offer(0);
        });
        assert!(why.contains("no byte for its status"), "{why}");
        let why = broken(|bench| bench.ask(0, VIRTIO_BLK_T_IN, 0, (0x1000, 512), WRITE));
        assert!(why.contains("not lie in the guest's memory"), "{why}");
        let why = broken(|bench| bench.ask(0, VIRTIO_BLK_T_IN, 0, ((8 << 20) - 511, 512), WRITE));
        assert!(why.contains("not lie in the guest's memory"), "{why}");
        let why = broken(|bench| bench.ask(0, VIRTIO_BLK_T_OUT, 0, (u64::MAX - 5, 512), 0));
        assert!(why.contains("not lie in the guest's memory"), "{why}");
        let why = broken(|bench| {
            bench.describe(0, HEADERS, 16, NEXT, 1);
            bench.describe(1, DATA, 512, NEXT | WRITE, 0);
            bench.offer(0);
        });
        assert!(why.contains("comes after one to write"), "{why}");
    }
}

#[test]
fn a_limit_holds_requests_back_and_lets_them_go() {
    let mut bench = Bench::new(|disk| disk.ops_per_second = Some(1000));
    for slot in 0..20 {
        bench.ask(slot, VIRTIO_BLK_T_IN, 0, (DATA, 512), WRITE);
    }
    with_sources(|sources| {
        bench.block.start(space::FLUSH, sources);
        // The burst is large enough for these; it is used up here.
        bench.block.limit.exhaust();
        assert_eq!(bench.block.serve(0, &mut bench.queues, sources), Ok(false));
        assert_eq!(
            bench.block.arm(&mut bench.queues),
            Ok(false),
            "no kick is asked for"
        );
        while bench.used() != 20 {
            bench.block.limit.sleep();
            let done = bench
                .block
                .ready(token::TIMER, EventSet::IN, &mut bench.queues, sources);
            assert!(done.is_ok());
        }
        bench.block.reset(sources);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_in_the_rings_is_answered_or_breaks_them(
        descriptors in proptest::collection::vec(
            (prop_oneof![DATA..DATA + 8192, Just(HEADERS), any::<u64>()],
             prop_oneof![0_u32..1100, Just(16), any::<u32>()], 0_u16..8, 0_u16..20), 16),
        heads in proptest::collection::vec(0_u16..20, 1..8),
        kind in 0_u32..14,
        uring in any::<bool>(),
    ) {
        let backend = if uring { Backend::IoUring } else { Backend::Plain };
        let mut bench = Bench::new(|disk| disk.backend = backend);
        let mut header = [0; 16];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        bench.memory.write(Gpa(HEADERS), &header).unwrap();
        for (index, (address, len, flags, next)) in (0..).zip(descriptors) {
            bench.describe(index, address, len, flags, next);
        }
        for head in &heads {
            bench.offer(*head);
        }
        // Ends: each head is answered, or one of them is the last.
        let _ = bench.serve(heads.len() as u16);
        prop_assert!(bench.used() <= heads.len() as u16);
        prop_assert_eq!(std::fs::metadata(bench.file.path()).unwrap().len(), 256 * 512);
    }
}
