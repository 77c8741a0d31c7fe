//! A VM alone in a process of its own, so that its standard streams can be pipes and its memory and processor time be
//! told from everything else's: the binary `trapless-test-alone`, and how a test runs it.
//!
//! The report is a file of `name value` lines: `end`, `exits`, `calls`, `cpu_ms` (user and system time of the process) and
//! `peak_kib` (the most memory it had resident).

use crate::guest;
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running process with one VM. Its standard streams are pipes, taken from `child`.
#[derive(Debug)]
pub struct Alone {
    /// The process.
    pub child: Child,
    directory: TempDir,
}

/// What the process said at its end.
#[derive(Debug)]
pub struct Report {
    /// How the VM ended, as `Debug` prints it.
    pub end: String,
    /// All exits.
    pub exits: u64,
    /// Calls, all numbers together.
    pub calls: u64,
    /// Milliseconds of processor time.
    pub cpu_ms: u64,
    /// KiB that were resident at most.
    pub peak_kib: u64,
}

/// The files through which a test and the process talk.
struct Files {
    stop: PathBuf,
    report: PathBuf,
}

impl Files {
    fn of(directory: &Path) -> Files {
        Files {
            stop: directory.join("stop"),
            report: directory.join("report"),
        }
    }
}

impl Alone {
    /// Starts the binary at `program` with a guest of [`GUESTS`](crate::GUESTS) and its arguments.
    ///
    /// # Panics
    /// Where the host cannot.
    #[must_use]
    pub fn start(program: &str, vcpus: u32, name: &str, args: &[&str]) -> Alone {
        Alone::spawn(Command::new(program), |command| {
            command.arg(vcpus.to_string()).arg(guest(name)).args(args);
        })
    }

    /// Starts the binary at `program` with the VM of a configuration file.
    ///
    /// # Panics
    /// Where the host cannot.
    #[must_use]
    pub fn configured(program: &str, file: &Path) -> Alone {
        Alone::spawn(Command::new(program), |command| {
            command.arg(file);
        })
    }

    /// As [`configured`](Alone::configured), with a limit on the length of the files that the process writes.
    ///
    /// # Panics
    /// Where the host cannot.
    #[must_use]
    pub fn limited(program: &str, file: &Path, bytes: u64) -> Alone {
        let mut command = Command::new(program);
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: libc::RLIM_INFINITY,
        };
        let set = move || {
            // SAFETY: reads the struct, and changes this process alone.
            match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: between `fork` and `exec` it makes one system call, and allocates nothing.
        unsafe { command.pre_exec(set) };
        Alone::spawn(command, |command| {
            command.arg(file);
        })
    }

    /// Takes such a limit away.
    ///
    /// # Panics
    /// Where the host cannot.
    pub fn unlimit(&self) {
        let none = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        let pid = self.child.id() as libc::pid_t;
        // SAFETY: reads the struct, writes none, and changes the limit of a child of this process.
        let done = unsafe {
            libc::prlimit(
                pid,
                libc::RLIMIT_FSIZE,
                &raw const none,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(done, 0, "prlimit: {}", std::io::Error::last_os_error());
    }

    /// Starts a command with a directory and what `arguments` adds.
    fn spawn(mut command: Command, arguments: impl FnOnce(&mut Command)) -> Alone {
        let directory = TempDir::new().expect("a temporary directory");
        let stop = Files::of(directory.path()).stop;
        let path = CString::new(stop.as_os_str().as_bytes()).expect("a path without zeros");
        // SAFETY: a path that ends in a zero, alive during the call.
        let made = unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
        assert_eq!(made, 0, "mkfifo: {}", std::io::Error::last_os_error());
        arguments(command.arg(directory.path()));
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starting the VM's process");
        Alone { child, directory }
    }

    /// Reads the guest's output up to the end of its first line.
    ///
    /// # Panics
    /// Where there is none.
    pub fn first_line(&mut self) -> String {
        let output = self.child.stdout.as_mut().expect("an output pipe");
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            output
                .read_exact(&mut byte)
                .expect("a line from the guest before the end of its output");
            line.extend(byte);
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Stops the VM from another thread of its process.
    ///
    /// # Panics
    /// Where the process does not listen.
    pub fn stop(&self) {
        // The process waits for somebody to open it.
        File::options()
            .write(true)
            .open(Files::of(self.directory.path()).stop)
            .expect("the pipe that stops the VM");
    }

    /// Waits for the process to end.
    ///
    /// # Panics
    /// Where it fails or leaves no report.
    #[must_use]
    pub fn report(mut self) -> Report {
        let status = self.child.wait().expect("waiting for the VM's process");
        assert!(status.success(), "the VM's process ended with {status}");
        let text = std::fs::read_to_string(Files::of(self.directory.path()).report)
            .expect("the report of the VM's process");
        let lines: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let number = |name| lines[name].parse().expect("a number in the report");
        Report {
            end: lines["end"].to_owned(),
            exits: number("exits"),
            calls: number("calls"),
            cpu_ms: number("cpu_ms"),
            peak_kib: number("peak_kib"),
        }
    }
}

/// What the binary does: runs the VM that the command line describes and leaves the report.
///
/// # Panics
/// Where anything fails.
pub fn main() {
    let mut args = std::env::args_os().skip(1);
    let mut next = || {
        args.next()
            .expect("usage: DIRECTORY FILE.toml, or DIRECTORY VCPUS IMAGE [ARGUMENT]...")
    };
    let files = Files::of(Path::new(&next()));
    let first = PathBuf::from(next());
    let config = if first.extension().is_some_and(|end| end == "toml") {
        vmm::Config::load(&first).unwrap_or_else(|refusal| panic!("{refusal}"))
    } else {
        let vcpus = first.to_string_lossy().parse().expect("a number of vCPUs");
        let mut config = vmm::Config::new(vmm::config::Image::File(next().into()));
        config.machine.vcpus = vcpus;
        config.machine.memory = 16 << 20;
        config.guest.args = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
        config
    };
    let image = vmm::build::image(&config.guest.image).expect("an image");

    let vm = vmm::Vm::new(&config, &image).expect("a VM");
    let stopper = vm.stopper();
    // Ends with the process.
    std::thread::spawn(move || {
        if File::open(files.stop).is_ok() {
            stopper.stop(vmm::StopReason::Requested);
        }
    });
    let outcome = vm.run().expect("the host can run it");

    let calls: u64 = outcome.stats.calls.iter().map(|count| count.made).sum();
    let report = format!(
        "end {:?}\nexits {}\ncalls {calls}\ncpu_ms {}\npeak_kib {}\n",
        outcome.end,
        outcome.stats.total_exits(),
        cpu_ms(),
        peak_kib(),
    );
    std::fs::write(files.report, report).expect("writing the report");
}

/// Processor time of this process so far.
fn cpu_ms() -> u64 {
    // SAFETY: any bytes are a `rusage`, and zeros are a place for the kernel to write one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let ms = |time: libc::timeval| {
        time.tv_sec.unsigned_abs() * 1000 + time.tv_usec.unsigned_abs() / 1000
    };
    ms(usage.ru_utime) + ms(usage.ru_stime)
}

/// The most memory this process had resident, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let digits = line.and_then(|line| line.trim().strip_suffix(" kB"));
    digits
        .and_then(|digits| digits.parse().ok())
        .expect("VmHWM in /proc/self/status")
}
