//! The host's side of the console: where three streams go. Keeps nothing: a byte that was accepted has been handed to the
//! host's kernel, and a full pipe holds the guest back.

use crate::bell::{Bell, Way, Woken};
use crate::{Error, config};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::fs::File;
use std::time::Duration;

/// A pipe that is ready for writing takes this much without blocking (`PIPE_BUF`).
const CERTAIN: usize = 4096;

/// A VM's console.
pub(crate) struct Console {
    output: Sink,
    error: Sink,
    input: bool,
}

/// Where bytes go.
enum Sink {
    Stdout(Pace),
    Stderr(Pace),
    File(File),
    Nowhere,
}

/// Whether a descriptor may hold its writer up.
#[derive(Clone, Copy)]
enum Pace {
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

impl Console {
    /// Opens what the configuration says.
    pub fn open(config: &config::Console) -> Result<Console, Error> {
        Ok(match config {
            config::Console::Stdio => Console {
                output: Sink::Stdout(Pace::of(rustix::stdio::stdout())),
                error: Sink::Stderr(Pace::of(rustix::stdio::stderr())),
                input: true,
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
                let error = Sink::File(file.try_clone().map_err(os)?);
                Console {
                    output: Sink::File(file),
                    error,
                    input: false,
                }
            }
            config::Console::None => Console {
                output: Sink::Nowhere,
                error: Sink::Nowhere,
                input: false,
            },
        })
    }

    /// Writes what can be written before the bell rings: all of it, unless somebody wants the vCPU.
    ///
    /// # Errors
    /// The kernel's, with the bytes written before it.
    pub fn write(&self, error: bool, bytes: &[u8], bell: &Bell) -> Result<usize, (usize, Errno)> {
        let sink = if error { &self.error } else { &self.output };
        let (fd, pace) = match sink {
            Sink::Nowhere => return Ok(bytes.len()),
            Sink::File(file) => (file.as_fd(), Pace::Immediate),
            Sink::Stdout(pace) => (rustix::stdio::stdout(), *pace),
            Sink::Stderr(pace) => (rustix::stdio::stderr(), *pace),
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, _) = match pace {
                Pace::Immediate => (rest, &[][..]),
                Pace::MayBlock => {
                    bell.listen();
                    if bell.sleep(None, Some((fd, Way::Out))) == Woken::Rung {
                        break;
                    }
                    rest.split_at(rest.len().min(CERTAIN))
                }
            };
            match rustix::io::write(fd, now) {
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err((bytes.len() - rest.len(), errno)),
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Reads what is there. `None`: nothing yet. 0 bytes: the end of input.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self, bytes: &mut [u8], bell: &Bell) -> Result<Option<usize>, Errno> {
        let Some(input) = self.input() else {
            return Ok(Some(0));
        };
        bell.listen();
        if bell.sleep(Some(Duration::ZERO), Some((input, Way::In))) != Woken::Ready {
            return Ok(None);
        }
        match rustix::io::read(input, bytes) {
            Ok(read) => Ok(Some(read)),
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The descriptor that becomes readable when there is input; `None` for a console that has ended.
    pub fn input(&self) -> Option<BorrowedFd<'static>> {
        self.input.then(rustix::stdio::stdin)
    }
}
