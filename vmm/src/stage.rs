//! A VM without KVM, for tests: all that serving calls takes, with the guest's side played by the test in the same process.

use crate::calls::Caller;
use crate::clock::{Clock, host_tsc};
use crate::config::{Config, Image};
use crate::console::Console;
use crate::doorbell::Doorbells;
use crate::memory::Memory;
use crate::poller::Polling;
use crate::shared::{Ending, Shared, Slot};
use crate::watch::Watch;
use hypercall_abi::class::Classes;
use hypercall_abi::{call, map};
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// A processor's rate, which nothing here depends on.
const KHZ: u32 = 1_000_000;

/// Feature bits the guest is offered.
pub(crate) const FEATURES: u64 = 0b101;

/// The VM, and the scratch of whoever serves.
pub(crate) struct Stage {
    pub shared: Arc<Shared>,
    scratch: Box<[u8]>,
}

impl Stage {
    /// With the least memory, every vCPU started, and this console input. What goes to standard output is taken by whoever serves; what
    /// goes to standard error only by who may block.
    pub fn new(vcpus: u32, classes: Classes, input: &[u8]) -> Stage {
        let mut config = Config::new(Image::File("none".into()));
        config.limits.calls = classes;
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(input).unwrap();
        let null = File::options().write(true).open("/dev/null").unwrap();
        let clock = Clock::start(KHZ, || Ok::<_, Infallible>(host_tsc()));
        let Ok(clock) = clock;
        let slot = |_| {
            let slot = Slot::new(true).unwrap();
            slot.started.store(true, Ordering::Relaxed);
            Arc::new(slot)
        };
        let shared = Arc::new(Shared {
            doorbells: Doorbells::new(None),
            memory: Arc::new(Memory::new(map::MIN_MEMORY).unwrap()),
            devices: Mutex::default(),
            device_count: 0,
            io: OnceLock::new(),
            clock,
            console: Console::piped(reader.into(), null.into()),
            trapped: None,
            polling: Polling::new(&config.calls, config.limits.poll_percent, KHZ),
            limits: config.limits,
            slots: (0..vcpus).map(slot).collect(),
            stack: (0, 0),
            created: Instant::now(),
            features: FEATURES,
            watch: Watch::default(),
            threads: Mutex::default(),
            running: AtomicU32::new(vcpus),
            ending: Ending::default(),
        });
        Stage {
            shared,
            scratch: vec![0; call::MAX_TRANSFER as usize].into_boxed_slice(),
        }
    }

    /// A vCPU as a caller: served by the thread of its own, which may block, or by the poller.
    pub fn caller(&mut self, index: u32, may_block: bool) -> Caller<'_> {
        Caller {
            shared: &self.shared,
            slot: &self.shared.slots[index as usize],
            index,
            scratch: &mut self.scratch,
            may_block,
        }
    }
}
