//! What a VM is to be: one tree, checked once, with every path resolved and every default filled in.
//!
//! [`Config`] is a plain value that a program may build itself. [`Config::load`] reads it from a TOML file, in which every key but one has a
//! default and an unknown key is an error:
//!
//! | table | key | value | default |
//! |---|---|---|---|
//! | `[guest]` | `image` | the path of an ELF file | this or `package` must be there |
//! | | `package` | the name of a cargo package, which is built | |
//! | | `bin` | the package's binary target | the package's only one |
//! | | `profile` | the cargo profile | the one `trapless` was built with |
//! | | `directory` | where cargo is run for the package | the file's |
//! | | `args` | an array of strings, without the image's name | `[]` |
//! | | `env` | a table of strings | `{}` |
//! | `[machine]` | `vcpus` | 1 to 64 | 1 |
//! | | `memory` | `"2MiB"` to `"32GiB"`, in whole 4 KiB pages | `"64MiB"` |
//! | | `huge_pages` | whether to ask the host for transparent huge pages | `true` |
//! | | `trapped` | whether the devices and privileged instructions of a PC are emulated, to compare calls with | `false` |
//! | | `rng` | whether it has a virtio device that gives random numbers, beside the call that does; or a table of its limits | `false` |
//! | | `rng.ops_per_second` | the most requests in a second | no limit |
//! | | `rng.bytes_per_second` | the most bytes in a second | no limit |
//! | `[console]` | `to` | `"stdio"`, `"none"` or `{ file = "PATH" }` | `"stdio"` |
//! | `[[console]]` | `name` | the name of a [port](Port) of the virtio console | without one it is `[console]` |
//! | | `to` | as above, or `{ socket = "PATH" }` to be connected to; `"stdio"` only once in a VM | must be there for a port |
//! | | `ops_per_second` | of a port: the most reads and writes in a second, of up to 64 KiB each | no limit |
//! | | `bytes_per_second` | of a port: the most bytes in a second, both ways together | no limit |
//! | `[[disk]]` | `path` | a file with the disk's sectors, or a block device | must be there |
//! | | `name` | the disk's name, at most 32 bytes | `"disk0"`, `"disk1"`, … |
//! | | `read_only` | whether nobody writes it; several VMs may use it then | `false` |
//! | | `direct` | whether the host's page cache is passed by (`O_DIRECT`) | `false` |
//! | | `cache` | `"writeback"` (a write is durable after a flush) or `"writethrough"` (when it is answered) | `"writeback"` |
//! | | `serial` | its serial number, at most 20 characters | `""` |
//! | | `backend` | `"auto"`, `"io_uring"` or `"plain"`: see [`Backend`] | `"auto"` |
//! | | `ops_per_second` | the most requests in a second | no limit |
//! | | `bytes_per_second` | the most bytes in a second, read and written | no limit |
//! | `[[net]]` | `name` | the card's name, at most 32 bytes | `"net0"`, `"net1"`, … |
//! | | `mac` | its Ethernet address | made from the guest's name and the card's |
//! | | `mtu` | 68 to 65535 bytes | the tap device's, else 1500 |
//! | | `tap` | the name of a tap device, made if it is not there | one of `tap`, `stream` and `user` must be there |
//! | | `stream` | a Unix stream socket's path to connect to, or `{ listen = "PATH" }` to be connected to | |
//! | | `user` | `true`, or a table of the following: a network that needs no privileges | |
//! | | `user.forward` | where the host listens for the guest: `["127.0.0.1:8080:80", "udp:127.0.0.1:5353:53"]` | `[]` |
//! | | `user.host_access` | whether the guest reaches the host: see [`UserNetwork::host_access`] | `false` |
//! | | `user.network` | an IPv4 network from `/8` to `/29` | `"10.0.2.0/24"` |
//! | | `user.dns` | the address of a name server, or `"host"` for the host's | `"host"` |
//! | | `ops_per_second` | the most packets in a second, both ways together | no limit |
//! | | `bytes_per_second` | the most bytes in a second, both ways together | no limit |
//! | `[[vsock]]` | `path` | the Unix socket at which programs on the host reach the guest, which is made | must be there |
//! | | `name` | the device's name, at most 32 bytes | `"vsock0"`, `"vsock1"`, … |
//! | | `cid` | the guest's context ID, 3 to 4294967294 | 3 |
//! | | `ops_per_second` | the most packets in a second, both ways together | no limit |
//! | | `bytes_per_second` | the most bytes of streams in a second, both ways together | no limit |
//! | `[calls]` | `transport` | `"auto"`, `"trap"` or `"poll"`: see [`Transport`] | `"auto"` |
//! | | `poll_window_us` | 1 to 1000000: see [`Calls::poll_window`] | 50 |
//! | | `timed` | whether it is found out how long calls take: see [`Calls::timed`] | `false`, or `true` for who asks for statistics |
//! | `[limits]` | `time` | wall-clock time, such as `"10s"` | no limit |
//! | | `grace` | from being asked to end to being stopped | `"2s"` |
//! | | `poll_percent` | 1 to 100: see [`Limits::poll_percent`] | 100 |
//! | | `calls` | an array of the granted [call classes](hypercall_abi::class) beside `core` | all |
//!
//! Paths are relative to the file's directory. Every `bytes_per_second` is a number or a size, such as `65536` or `"64KiB"`.

mod claims;
mod console;
mod disk;
mod effective;
mod forward;
mod leaf;
mod mtu;
mod net;
mod place;
mod rate;
mod read;
mod refusal;
mod rng;
mod share;
pub mod size;
mod target;
pub mod time;
mod tree;
mod user;
mod vcpus;
mod vsock;
mod window;

pub use console::{Port, PortEnd};
pub use disk::{Backend, Cache, Disk};
pub use forward::{Forward, Protocol};
pub use net::{Link, Net};
pub use refusal::Refusal;
pub use rng::Rng;
pub(crate) use user::LEAST_MTU;
pub use user::{Ipv4Network, NameServer, UserNetwork};
pub use vsock::Vsock;

use crate::Error;
use hypercall_abi::class::Classes;
use hypercall_abi::map::MAX_VCPUS;
use leaf::Leaf;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A whole VM.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What runs in it.
    pub guest: Guest,
    /// What it runs on.
    pub machine: Machine,
    /// Where its console goes.
    pub console: Console,
    /// The ports of its virtio console, at most [`MAX_PORTS`](hypercall_abi::console::MAX_PORTS); without any it has no such device.
    pub ports: Vec<Port>,
    /// Its disks.
    pub disks: Vec<Disk>,
    /// Its network cards.
    pub nets: Vec<Net>,
    /// Its devices of sockets between guest and host.
    pub vsocks: Vec<Vsock>,
    /// How its calls travel.
    pub calls: Calls,
    /// What it may do and for how long.
    pub limits: Limits,
}

/// How calls travel.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// Which transport is used when.
    pub transport: Transport,
    /// How long the poller looks for a further call before it goes to sleep. Also what counts as many calls in a short time:
    /// less of the guest's own work between them than this.
    /// The rings of devices are looked at for so long after the last request, and for an exit's time more, in which a vCPU may be away.
    pub poll_window: Duration,
    /// Whether it is found out [how long calls take](crate::stats::CallTimes). A call then takes longer, by what `trapless bench` shows; without, by nothing.
    pub timed: bool,
}

/// Which transport carries calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// They trap while they are rare; when they come densely a poller serves them without exits, until they stop.
    Auto,
    /// Every call traps. No other processor is used.
    Trap,
    /// The poller is woken by the first call of any row, and neither it nor who looks at rings makes way for other threads.
    Poll,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::Auto, Transport::Trap, Transport::Poll];

    /// Its name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Auto => "auto",
            Transport::Trap => "trap",
            Transport::Poll => "poll",
        }
    }
}

/// What runs in the VM.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    /// Where the image comes from.
    pub image: Image,
    /// Command line arguments, without the image's name, which the guest sees as the first.
    pub args: Vec<String>,
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Where a file says what runs in the VM: its path and the line, from 1. For messages.
    pub said_in: Option<(PathBuf, usize)>,
}

/// Where the image comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    /// An ELF file.
    File(PathBuf),
    /// A cargo package that is built first.
    Package {
        /// The directory in which cargo is run: the configuration file's.
        directory: PathBuf,
        /// The package's name.
        package: String,
        /// The binary target; `None`: the package's only one.
        bin: Option<String>,
        /// The cargo profile; `None`: the one `trapless` itself was built with.
        profile: Option<String>,
    },
}

/// What the VM runs on.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u32,
    /// Bytes of RAM, a multiple of 4096, from [`MIN_MEMORY`](hypercall_abi::map::MIN_MEMORY) to [`MAX_MEMORY`](hypercall_abi::map::MAX_MEMORY).
    pub memory: u64,
    /// Whether the host is asked for transparent huge pages.
    pub huge_pages: bool,
    /// Whether it has the trapped side: a PC's UART, timer, clock and interrupt controllers, and privileged instructions at ring 3.
    pub trapped: bool,
    /// Its virtio device that gives random numbers, if it has one.
    pub rng: Option<Rng>,
}

/// Where the console goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Console {
    /// The process's standard input, output and error.
    Stdio,
    /// Output and error appended to a file; no input.
    File(PathBuf),
    /// Output is thrown away; no input.
    None,
}

/// What the VM may do and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Wall-clock time from start to the VM's end; `None`: no limit.
    pub time: Option<Duration>,
    /// How long a guest that subscribes to the shutdown event has to end after it was asked to.
    pub grace: Duration,
    /// How much of a processor's time may be spent on looking for the VM's work, in percent of each tenth of a second; 100: no limit. It is what the poller
    /// is awake for the VM's calls, and what the I/O thread looks at the devices' queues in vain. When it is used up, calls trap and drivers kick
    /// until that tenth is over.
    pub poll_percent: u32,
    /// The granted call classes.
    pub calls: Classes,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`Error::Config`], with file, line and column, what was wrong and what would be right.
    pub fn load(path: &Path) -> Result<Config, Error> {
        let refused = |problem: String| Error::Config(format!("{}: {problem}", path.display()));
        let bytes =
            std::fs::read(path).map_err(|error| refused(format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            refused(format!(
                "not text: byte {at} is not UTF-8; a configuration is TOML in UTF-8"
            ))
        })?;
        Config::parse(&text, path).map_err(|refusal| Error::Config(refusal.to_string()))
    }

    /// Reads a configuration from text. `path` is the file's: errors name it, and relative paths are relative to its directory.
    ///
    /// # Errors
    /// A [`Refusal`] for what is not TOML, unknown keys, wrong types, impossible values, two parts that want the same, and an image or a cargo workspace that is not there.
    pub fn parse(text: &str, path: &Path) -> Result<Config, Refusal> {
        let refused = |error: toml::de::Error| Refusal::from_toml(path, text, &error);
        let tree = tree::File::deserialize(toml::Deserializer::parse(text).map_err(refused)?)
            .map_err(refused)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        // `absolute` fails only where there is no current directory; the paths stay relative then.
        let base =
            std::path::absolute(directory.join(".")).unwrap_or_else(|_| directory.to_owned());
        let said_in = tree
            .guest_place()
            .map(|at| (path.to_owned(), refusal::line(text, at)));
        let wrong = |(span, problem)| Refusal::new(path, text, span, problem);
        let (mut config, places) = tree.into_config(&base).map_err(wrong)?;
        claims::check(&config, &places, text).map_err(|clash| wrong((clash.at, clash.problem)))?;
        config.guest.said_in = said_in;
        Ok(config)
    }

    /// A VM with every default: one vCPU, 64 MiB, stdio, no limits.
    #[must_use]
    pub fn new(image: Image) -> Config {
        Config {
            guest: Guest {
                image,
                args: Vec::new(),
                env: Vec::new(),
                said_in: None,
            },
            machine: Machine {
                vcpus: 1,
                memory: 64 << 20,
                huge_pages: true,
                trapped: false,
                rng: None,
            },
            console: Console::Stdio,
            ports: Vec::new(),
            disks: Vec::new(),
            nets: Vec::new(),
            vsocks: Vec::new(),
            calls: Calls {
                transport: Transport::Auto,
                poll_window: Duration::from_micros(50),
                timed: false,
            },
            limits: Limits {
                time: None,
                grace: Duration::from_secs(2),
                poll_percent: 100,
                calls: Classes::ALL,
            },
        }
    }
}

impl Config {
    /// Checks what every VM relies on, whoever built the value.
    pub(crate) fn check(&self) -> Result<(), crate::Error> {
        use hypercall_abi::map::{MAX_MEMORY, MAX_VCPUS, MIN_MEMORY, PAGE_SIZE};
        let Machine { vcpus, memory, .. } = self.machine;
        if !(1..=MAX_VCPUS).contains(&vcpus) {
            return Err(crate::Error::Config(format!(
                "machine.vcpus is {vcpus}; a VM has 1 to {MAX_VCPUS}"
            )));
        }
        if !(MIN_MEMORY..=MAX_MEMORY).contains(&memory) || !memory.is_multiple_of(PAGE_SIZE) {
            return Err(crate::Error::Config(format!(
                "machine.memory is {memory} bytes; it is a multiple of {PAGE_SIZE} from {MIN_MEMORY} to {MAX_MEMORY}"
            )));
        }
        let percent = self.limits.poll_percent;
        if !(1..=100).contains(&percent) {
            return Err(crate::Error::Config(format!(
                "limits.poll_percent is {percent}; it is a number from 1 to 100"
            )));
        }
        console::check(&self.ports).map_err(Error::Config)?;
        claims::check(self, &claims::Places::default(), "")
            .map_err(|clash| Error::Config(format!("{}: {}", clash.who, clash.problem)))
    }
}

/// Reads an amount of memory that a VM can have, such as `64MiB`, in bytes.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    leaf::Memory::read(text)
}

/// Reads a time limit, such as `10s`.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn parse_time_limit(text: &str) -> Result<Duration, String> {
    leaf::TimeLimit::read(text)
}

/// Reads a number of vCPUs that a VM can have.
///
/// # Errors
/// A sentence that says what was wrong and what would be right.
pub fn parse_vcpus(text: &str) -> Result<u32, String> {
    let count = text
        .parse()
        .map_err(|_| format!("{text:?} is not a whole number; write one from 1 to {MAX_VCPUS}"))?;
    vcpus::check(count)
}
