//! A VM run to its end, with what it printed.

use crate::guest;
use hypercall_abi::class::Classes;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::NamedTempFile;
use vmm::config::{Config, Console, Disk, Image, Link, Net, Port, PortEnd, Rng, Transport, Vsock};
use vmm::stats::ExitKind;
use vmm::{End, Outcome, StopReason, Vm};

/// The time limit of a VM that a test does not limit itself: far beyond what any takes, so that what hangs fails.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long after its time limit a VM may take to end before the whole process is given up.
const GRACE: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Clone, Debug)]
pub struct Boot {
    image: PathBuf,
    config: Config,
}

impl Boot {
    /// A guest of [`GUESTS`](crate::GUESTS), with its arguments: one vCPU, 16 MiB, every call class.
    #[must_use]
    pub fn guest(name: &str, args: &[&str]) -> Boot {
        Boot::image(guest(name)).args(args)
    }

    /// Any image.
    #[must_use]
    pub fn image(path: &Path) -> Boot {
        let mut config = Config::new(Image::File(path.to_path_buf()));
        config.machine.memory = 16 << 20;
        config.limits.time = Some(PATIENCE);
        Boot {
            image: path.to_path_buf(),
            config,
        }
    }

    /// With these arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Boot {
        self.config.guest.args = args.iter().map(ToString::to_string).collect();
        self
    }

    /// With this many vCPUs.
    #[must_use]
    pub fn vcpus(mut self, vcpus: u32) -> Boot {
        self.config.machine.vcpus = vcpus;
        self
    }

    /// With this many bytes of memory.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Boot {
        self.config.machine.memory = bytes;
        self
    }

    /// With the trapped side.
    #[must_use]
    pub fn trapped(mut self) -> Boot {
        self.config.machine.trapped = true;
        self
    }

    /// With the device that gives random numbers.
    #[must_use]
    pub fn rng(mut self) -> Boot {
        self.config.machine.rng = Some(Rng::default());
        self
    }

    /// With a disk, called `disk0` if it is the first; `change` makes it other than a disk is by default.
    #[must_use]
    pub fn disk(mut self, path: &Path, change: impl FnOnce(&mut Disk)) -> Boot {
        let name = format!("disk{}", self.config.disks.len());
        let mut disk = Disk::new(&name, path.to_path_buf());
        change(&mut disk);
        self.config.disks.push(disk);
        self
    }

    /// With a network card that is connected to a Unix stream socket.
    #[must_use]
    pub fn stream(self, path: &Path) -> Boot {
        self.card(Link::Connect(path.to_path_buf()))
    }

    /// With a network card.
    #[must_use]
    pub fn card(mut self, link: Link) -> Boot {
        let name = format!("net{}", self.config.nets.len());
        let mut card = Net::new(&name, link);
        card.mac = Some([2, 0, 0, 0, 0, 1]);
        self.config.nets.push(card);
        self
    }

    /// With a port of the virtio console.
    #[must_use]
    pub fn port(mut self, name: &str, to: PortEnd) -> Boot {
        self.config.ports.push(Port::new(name, to));
        self
    }

    /// With sockets between guest and host, at a path.
    #[must_use]
    pub fn vsock(mut self, path: &Path) -> Boot {
        let name = format!("vsock{}", self.config.vsocks.len());
        self.config.vsocks.push(Vsock {
            name,
            ..Vsock::new(path.to_owned())
        });
        self
    }

    /// With whatever else of its configuration is to be another.
    #[must_use]
    pub fn change(mut self, change: impl FnOnce(&mut Config)) -> Boot {
        change(&mut self.config);
        self
    }

    /// With these environment variables.
    #[must_use]
    pub fn env(mut self, variables: &[(&str, &str)]) -> Boot {
        self.config.guest.env = variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        self
    }

    /// With these call classes only.
    #[must_use]
    pub fn classes(mut self, classes: Classes) -> Boot {
        self.config.limits.calls = classes;
        self
    }

    /// With calls carried so.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Boot {
        self.config.calls.transport = transport;
        self
    }

    /// With the poller awake for at most this share of the time, in percent.
    #[must_use]
    pub fn poll_percent(mut self, percent: u32) -> Boot {
        self.config.limits.poll_percent = percent;
        self
    }

    /// With its calls timed.
    #[must_use]
    pub fn timed(mut self) -> Boot {
        self.config.calls.timed = true;
        self
    }

    /// With hosts and guests that look for each other's work for so long before they sleep.
    #[must_use]
    pub fn window(mut self, time: Duration) -> Boot {
        self.config.calls.poll_window = time;
        self
    }

    /// With this time limit.
    #[must_use]
    pub fn limit(mut self, time: Duration) -> Boot {
        self.config.limits.time = Some(time);
        self
    }

    /// The VM, not yet run, and the file its console goes to.
    ///
    /// # Errors
    /// What the host says when it refuses to make it.
    ///
    /// # Panics
    /// Where there can be no temporary file.
    pub fn make(&self) -> Result<(Vm, NamedTempFile), String> {
        let console = NamedTempFile::new().expect("a temporary file");
        let mut config = self.config.clone();
        config.console = Console::File(console.path().to_path_buf());
        match Vm::new(&config, &self.image) {
            Ok(vm) => Ok((vm, console)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// As [`make`](Boot::make), where it must be possible.
    ///
    /// # Panics
    /// Where the host refuses.
    #[must_use]
    pub fn vm(&self) -> (Vm, NamedTempFile) {
        self.make()
            .unwrap_or_else(|error| panic!("the VM was refused: {error}"))
    }

    /// What the host says when it refuses to make the VM.
    ///
    /// # Panics
    /// Where it makes it.
    #[must_use]
    pub fn refused(&self) -> String {
        match self.make() {
            Ok(_) => panic!("the host accepted {}", self.image.display()),
            Err(error) => error,
        }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// Where the host fails.
    pub fn run(&self) -> Finished {
        let (vm, console) = self.vm();
        self.finish(vm, &console)
    }

    /// Runs what [`make`](Boot::make) made to its end.
    ///
    /// # Panics
    /// Where the host fails.
    pub fn finish(&self, vm: Vm, console: &NamedTempFile) -> Finished {
        let args = self.config.guest.args.clone();
        let limit = self.config.limits.time.unwrap_or(PATIENCE);
        let outcome = match watched(limit, &args, || vm.run()) {
            Ok(outcome) => outcome,
            Err(error) => panic!("{args:?}: the host failed: {error}"),
        };
        let console = std::fs::read(console.path()).expect("the console's file");
        Finished {
            args,
            outcome,
            console,
        }
    }
}

/// Runs a function under a watch: where it takes longer than the VM's limit and much more, the process ends with a line
/// that says which VM it was.
fn watched<T>(limit: Duration, args: &[String], run: impl FnOnce() -> T) -> T {
    let (done, ended) = mpsc::channel::<()>();
    let name = format!("{args:?}");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(limit + GRACE) == Err(mpsc::RecvTimeoutError::Timeout) {
                use std::io::Write;
                let _ = writeln!(std::io::stderr(), "the VM of {name} does not end");
                std::process::abort();
            }
        });
        let result = run();
        drop(done);
        result
    })
}

/// A VM at its end.
#[derive(Debug)]
pub struct Finished {
    /// The guest's arguments, to say in a failure which run it was.
    pub args: Vec<String>,
    /// How it ended, and its counts.
    pub outcome: Outcome,
    /// What it printed.
    pub console: Vec<u8>,
}

impl Finished {
    /// What it printed, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.console).into_owned()
    }

    /// The end of what it printed and how it ended, for a failure's message.
    #[must_use]
    pub fn story(&self) -> String {
        let text = self.text();
        let mut start = text.len().saturating_sub(2000);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        format!(
            "{:?}\nend: {:#?}\nconsole: {}",
            self.args,
            self.outcome.end,
            &text[start..]
        )
    }

    /// Asserts that the guest exited with 0: it found everything as it should be; and that every request of every device was timed.
    ///
    /// # Panics
    /// If not.
    pub fn passed(&self) {
        assert_eq!(self.exit_code(), Some(0), "{}", self.story());
        for device in &self.outcome.stats.devices {
            let timed = device.latency.map_or(0, |latency| latency.count);
            assert_eq!(timed, device.requests, "{device:?}");
        }
    }

    /// The guest's exit code, if it exited.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        match self.outcome.end {
            End::Exit(code) => Some(code),
            _ => None,
        }
    }

    /// The fault the guest ended in.
    ///
    /// # Panics
    /// If it ended otherwise.
    pub fn fault(&self) -> &vmm::fault::Fault {
        match &self.outcome.end {
            End::Fault(fault) => fault,
            _ => panic!("no fault: {}", self.story()),
        }
    }

    /// The panic the guest ended in.
    ///
    /// # Panics
    /// If it ended otherwise.
    pub fn panic(&self) -> &vmm::fault::Panic {
        match &self.outcome.end {
            End::Panic(panic) => panic,
            _ => panic!("no panic: {}", self.story()),
        }
    }

    /// Whether it was stopped for a reason.
    #[must_use]
    pub fn stopped(&self, reason: StopReason) -> bool {
        matches!(self.outcome.end, End::Stopped(why) if why == reason)
    }

    /// How many exits of a kind it made.
    #[must_use]
    pub fn exits(&self, kind: ExitKind) -> u64 {
        self.outcome.stats.exits[kind as usize]
    }
}
