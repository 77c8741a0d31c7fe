//! A VM as a value: built top to bottom, run once, and gone.

use crate::clock::Clock;
use crate::config::Config;
use crate::console::Console;
use crate::devices::{self, Opened};
use crate::doorbell::Doorbells;
use crate::gauge::Gauge;
use crate::image::Plan;
use crate::kvm::{self, Processor, refused};
use crate::machine::Machine;
use crate::memory::{Memory, OutOfRange};
use crate::outcome::Outcome;
use crate::platform::{Boot, Layout, corner, gate, map_all};
use crate::poller::Polling;
use crate::shared::{Ending, Shared, Slot, Start, lock};
use crate::timing;
use crate::trapped::Trapped;
use crate::vcpu::{Vcpu, registers};
use crate::virtio::{Device, Identity, Raise, Station, publish};
use crate::watch::Watch;
use crate::{End, Error, StopReason, file_limit, needs};
use hypercall_abi::{Gpa, map};
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Instant;

/// A VM, ready to run.
pub struct Vm {
    shared: Arc<Shared>,
    first: Vcpu,
}

/// A way to end a VM from any thread, at any time. Does not keep the VM: once that is gone it does nothing.
#[derive(Clone)]
pub struct Stopper {
    shared: Weak<Shared>,
}

impl Stopper {
    /// Ends the VM now, unless it has ended.
    pub fn stop(&self, reason: StopReason) {
        if let Some(shared) = self.shared.upgrade() {
            shared.finish(Ok(End::Stopped(reason)));
        }
    }

    /// Asks the guest to end. If it subscribes to the shutdown event it has [`Limits::grace`](crate::config::Limits::grace) to do so;
    /// otherwise this is [`stop`](Stopper::stop).
    pub fn request_shutdown(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.request_shutdown();
        }
    }
}

impl Vm {
    /// Builds a VM from a configuration and the image to run in it, which is `config.guest.image`, built if it needs building.
    ///
    /// # Errors
    /// [`Error`] says what the host, the image or the configuration lacks.
    pub fn new(config: &Config, image: &Path) -> Result<Vm, Error> {
        Vm::with_console(config, image, || Console::open(&config.console))
    }

    /// [`new`](Vm::new), with a console that no configuration can describe.
    pub(crate) fn with_console(
        config: &Config,
        image: &Path,
        console: impl FnOnce() -> Result<Console, Error>,
    ) -> Result<Vm, Error> {
        let created = Instant::now();
        config.check()?;
        file_limit::fail_what_is_beyond();
        let bad_image = |problem| Error::Image {
            path: image.to_owned(),
            problem,
        };
        let kvm = kvm::open()?;
        let processor = Processor::of(&kvm)?;
        let console = console()?;

        let mut file = File::open(image).map_err(|error| bad_image(error.to_string()))?;
        let plan = Plan::read_file(&file).map_err(bad_image)?;
        needs::met(&plan.note, config).map_err(bad_image)?;
        let Opened { devices, disk } = devices::open(config)?;
        let identities: Vec<Identity> = devices.iter().map(|device| device.identity()).collect();
        let memory_bytes = config.machine.memory;
        let layout = Layout::new(&plan, memory_bytes).map_err(bad_image)?;

        let memory = Arc::new(Memory::new(memory_bytes)?);
        if config.machine.huge_pages {
            // Not image and platform area: a VM that touches ten pages there must not clear five hundred.
            memory.advise_huge(Gpa(layout.stack_end));
        }
        load(&memory, &plan, &mut file)
            .map_err(|error| bad_image(format!("loading it: {error}")))?;
        let name = image.file_stem().unwrap_or_default().to_string_lossy();
        let features = needs::features(config);
        let offer = Offer {
            features,
            xcr0: processor.xcr0,
            devices: &identities,
        };
        let stack = furnish(&memory, &plan, &layout, config, &offer, &name)?;

        let vm = Arc::new(kvm::create_vm(&kvm, &memory)?);
        let fd = vm.create_vcpu(0).map_err(refused("KVM_CREATE_VCPU"))?;
        let khz = processor.tsc_khz(&fd)?;
        let clock = Clock::start(khz, || registers::guest_tsc(&fd))?;
        clock.publish(&memory).map_err(|OutOfRange| no_room())?;

        let slots = (0..config.machine.vcpus)
            .map(|_| Slot::new(config.calls.timed).map(Arc::new))
            .collect::<io::Result<_>>();
        let slots = slots.map_err(|source| Error::Os {
            what: "making a vCPU's bell".into(),
            source,
        })?;
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| Shared {
            devices: Mutex::new(stations(devices, &memory, shared, config.machine.vcpus)),
            device_count: identities.len() as u32,
            doorbells: Doorbells::new(Some(Arc::clone(&vm))),
            io: OnceLock::new(),
            memory,
            clock,
            console,
            trapped: config.machine.trapped.then(|| Trapped::new(disk)),
            limits: config.limits.clone(),
            slots,
            stack: (layout.stack_start, layout.stack_end),
            created,
            features,
            polling: Polling::new(&config.calls, config.limits.poll_percent, khz),
            watch: Watch::default(),
            threads: Mutex::default(),
            running: AtomicU32::new(1),
            ending: Ending::default(),
        });
        let slot = shared.slot(0).cloned().ok_or_else(no_room)?;
        slot.started.store(true, Ordering::SeqCst);
        slot.threaded.store(true, Ordering::SeqCst);
        *lock(&slot.start) = Some(Start {
            entry: plan.entry,
            stack,
            argument: map::BOOT_PAGE,
        });
        let machine = Arc::new(Machine {
            vm,
            processor,
            shared: Arc::clone(&shared),
        });
        let first = Vcpu::create(machine, slot, 0, fd)?;
        Ok(Vm { shared, first })
    }

    /// A way to end this VM from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            shared: Arc::downgrade(&self.shared),
        }
    }

    /// A way to ask what its devices do while it runs.
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge::new(&self.shared)
    }

    /// Runs the VM on this thread, and its further vCPUs on threads of their own, until it ends.
    ///
    /// # Errors
    /// The host's failures. What the guest does wrong is an [`Outcome`].
    pub fn run(self) -> Result<Outcome, Error> {
        let Vm { shared, first } = self;
        if let Some(at) = shared
            .limits
            .time
            .and_then(|limit| Instant::now().checked_add(limit))
        {
            Watch::by(&shared, at, StopReason::TimeLimit).map_err(|source| Error::Os {
                what: "starting the time limit's thread".into(),
                source,
            })?;
        }
        let mut stats = first.live();
        // After the end no vCPU starts another one: each thread that is here now is the last of its index.
        loop {
            let Some(thread) = lock(&shared.threads).pop() else {
                break;
            };
            stats.add(&thread.join().unwrap_or_default());
        }
        if let Some(Some(io)) = shared.io.get() {
            let work = io.end();
            stats.devices = work.devices;
            stats.io_cpu = work.cpu;
            stats.io_looking = work.looking;
        }
        shared.watch.join();
        stats.to_end = shared.created.elapsed();
        let polling = shared.polling.cost();
        stats.poller_wakes = polling.wakes;
        stats.poller_awake = polling.awake;
        stats.poller_cpu = polling.cpu;
        stats.times = timing::gather(&shared.slots, &shared.memory, shared.clock.ns_per_tick());
        Ok(Outcome {
            end: shared.take_end()?,
            stats,
        })
    }
}

/// The devices at their places in the table.
fn stations(
    devices: Vec<Box<dyn Device>>,
    memory: &Arc<Memory>,
    shared: &Weak<Shared>,
    vcpus: u32,
) -> Vec<Station> {
    let place = |(index, device)| {
        let raise: Arc<dyn Raise> = Arc::new(shared.clone());
        Station::new(device, index, Arc::clone(memory), raise, vcpus)
    };
    (0..).zip(devices).map(place).collect()
}

/// What a VM is offered beside what its configuration says.
struct Offer<'a> {
    /// ABI feature bits.
    features: u64,
    /// The processor's vector state.
    xcr0: u64,
    devices: &'a [Identity],
}

/// Copies the segments' contents. What follows them in memory is zero already.
fn load(memory: &Memory, plan: &Plan, file: &mut File) -> io::Result<()> {
    for segment in &plan.segments {
        file.seek(SeekFrom::Start(segment.file_offset))?;
        let len = usize::try_from(segment.file_size).map_err(io::Error::other)?;
        memory.fill_from(Gpa(segment.address), file, len)?;
    }
    Ok(())
}

/// Fills the platform area and the first stack, and returns its stack pointer.
fn furnish(
    memory: &Memory,
    plan: &Plan,
    layout: &Layout,
    config: &Config,
    offer: &Offer,
    name: &str,
) -> Result<u64, Error> {
    let vcpus = config.machine.vcpus;
    let mut seed = [0; 32];
    getrandom(&mut seed, GetRandomFlags::empty()).map_err(|errno| Error::Os {
        what: "asking for random bytes".into(),
        source: errno.into(),
    })?;
    let args: Vec<String> = std::iter::once(name.to_owned())
        .chain(config.guest.args.iter().cloned())
        .collect();
    let env: Vec<String> = config
        .guest
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let boot = Boot {
        vcpus,
        devices: offer.devices.len() as u32,
        classes: config.limits.calls,
        features: offer.features,
        xcr0: offer.xcr0,
        seed,
        args: &args,
        env: &env,
    };
    let (strings, stack) = (boot.string_bytes(), layout.stack_end - layout.stack_start);
    if strings > stack / 2 {
        return Err(Error::Config(format!(
            "guest.args and guest.env take {strings} bytes; with a stack of {stack} bytes they may take half of that"
        )));
    }
    map_all(memory, &layout.ranges(plan, vcpus)).map_err(|_| {
        Error::Config("the image's segments lie too far apart for the first page tables".into())
    })?;
    let write = || {
        gate::write(memory)?;
        corner::write_shared(memory)?;
        for index in 0..vcpus {
            corner::write_task(memory, index, config.machine.trapped)?;
        }
        publish(memory, offer.devices)?;
        if config.calls.timed {
            timing::ask(memory)?;
        }
        boot.write(memory, layout)
    };
    write().map_err(|OutOfRange| no_room())
}

/// The platform area is part of the least memory a VM can have, so this does not happen.
fn no_room() -> Error {
    Error::Config("the VM's memory has no room for the platform area".into())
}
