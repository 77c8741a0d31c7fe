//! The host's side of the console: where three streams go. Keeps nothing: a byte that was accepted has been handed to the
//! host's kernel, and a full pipe holds the guest back.

use crate::bell::{Bell, Way, Woken};
use crate::{Error, config};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::fs::File;

/// A pipe that is ready for writing takes this much without blocking (`PIPE_BUF`).
const CERTAIN: usize = 4096;

/// A VM's console.
pub(crate) struct Console {
    output: Sink,
    error: Sink,
    input: Source,
}

/// Where bytes come from.
enum Source {
    Stdin,
    File(File),
    Nowhere,
}

/// Where bytes go.
pub(crate) enum Sink {
    Stdout(Pace),
    Stderr(Pace),
    File(File, Pace),
    Nowhere,
}

/// Whether a descriptor may hold its writer up.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// A file: no use in polling it.
    Immediate,
    /// Pipes, terminals, sockets.
    MayBlock,
}

impl Pace {
    fn of(fd: BorrowedFd<'_>) -> Pace {
        match rustix::fs::fstat(fd) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Pace::Immediate
            }
            _ => Pace::MayBlock,
        }
    }
}

impl Sink {
    /// Any file, such as a pipe.
    fn file(file: File) -> Sink {
        let pace = Pace::of(file.as_fd());
        Sink::File(file, pace)
    }

    /// The descriptor that must be ready for writing before [`write`](Sink::write), where there is one that may not be.
    pub fn awaited(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Sink::Stdout(Pace::MayBlock) => Some(rustix::stdio::stdout()),
            Sink::Stderr(Pace::MayBlock) => Some(rustix::stdio::stderr()),
            Sink::File(file, Pace::MayBlock) => Some(file.as_fd()),
            _ => None,
        }
    }

    /// Writes some of the bytes, as many as surely do not block; 0 where a signal came first.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let fd = match self {
            Sink::Nowhere => return Ok(bytes.len()),
            Sink::File(file, _) => file.as_fd(),
            Sink::Stdout(_) => rustix::stdio::stdout(),
            Sink::Stderr(_) => rustix::stdio::stderr(),
        };
        let bytes = match self.awaited() {
            Some(_) => bytes.get(..CERTAIN).unwrap_or(bytes),
            None => bytes,
        };
        match rustix::io::write(fd, bytes) {
            Err(Errno::INTR | Errno::AGAIN) => Ok(0),
            answer => answer,
        }
    }
}

/// What became of bytes that were to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    All,
    /// The sender was to stop before all was sent.
    Stopped,
    /// The kernel refused the rest, which is this many bytes.
    Refused(usize),
}

impl Sink {
    /// Writes all of the bytes; blocks while the host's side is full, but not when the sender is to stop, which the bell announces.
    pub fn send(&self, mut rest: &[u8], bell: &Bell, stopped: impl Fn() -> bool) -> Sent {
        while !rest.is_empty() {
            if let Some(fd) = self.awaited() {
                // In this order: a stop after the look at it rings the bell.
                bell.listen();
                if stopped() {
                    return Sent::Stopped;
                }
                if bell.sleep(None, Some((fd, Way::Out))) == Woken::Rung {
                    continue;
                }
            }
            match self.write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(_) => return Sent::Refused(rest.len()),
            }
        }
        Sent::All
    }
}

impl Console {
    /// Opens what the configuration says.
    pub fn open(config: &config::Console) -> Result<Console, Error> {
        Ok(match config {
            config::Console::Stdio => Console {
                output: Sink::Stdout(Pace::of(rustix::stdio::stdout())),
                error: Sink::Stderr(Pace::of(rustix::stdio::stderr())),
                input: Source::Stdin,
            },
            config::Console::File(path) => {
                let os = |source| Error::Os {
                    what: format!("opening the console's file {}", path.display()),
                    source,
                };
                let file = File::options()
                    .append(true)
                    .create(true)
                    .open(path)
                    .map_err(os)?;
                Console {
                    output: Sink::file(file.try_clone().map_err(os)?),
                    error: Sink::file(file),
                    input: Source::Nowhere,
                }
            }
            config::Console::None => Console {
                output: Sink::Nowhere,
                error: Sink::Nowhere,
                input: Source::Nowhere,
            },
        })
    }

    /// A console that ends in this process: `input` and `error` are the guest's ends of pipes whose other ends are served. What goes to
    /// standard output is thrown away.
    pub fn piped(input: OwnedFd, error: OwnedFd) -> Console {
        Console {
            output: Sink::Nowhere,
            error: Sink::file(error.into()),
            input: Source::File(input.into()),
        }
    }

    /// Where a stream goes.
    pub fn sink(&self, error: bool) -> &Sink {
        if error { &self.error } else { &self.output }
    }

    /// Reads what is there, without waiting. `None`: nothing yet. 0 bytes: the end of input.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, bytes: &mut [u8]) -> Result<Option<usize>, Errno> {
        let Some(input) = self.input() else {
            return Ok(Some(0));
        };
        if !is_ready(input, PollFlags::IN)? {
            return Ok(None);
        }
        match rustix::io::read(input, bytes) {
            Ok(read) => Ok(Some(read)),
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Writes some of the bytes to the output, without waiting. `None`: it takes none yet.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write_now(&self, bytes: &[u8]) -> Result<Option<usize>, Errno> {
        if let Some(fd) = self.output.awaited()
            && !is_ready(fd, PollFlags::OUT)?
        {
            return Ok(None);
        }
        let written = self.output.write(bytes)?;
        Ok((written != 0).then_some(written))
    }

    /// The descriptor that becomes readable when there is input; `None` for a console that has ended.
    pub fn input(&self) -> Option<BorrowedFd<'_>> {
        match &self.input {
            Source::Stdin => Some(rustix::stdio::stdin()),
            Source::File(file) => Some(file.as_fd()),
            Source::Nowhere => None,
        }
    }
}

/// Whether a descriptor is ready for something now.
fn is_ready(fd: BorrowedFd<'_>, what: PollFlags) -> Result<bool, Errno> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    match poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&now)) {
        Ok(ready) => Ok(ready != 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
