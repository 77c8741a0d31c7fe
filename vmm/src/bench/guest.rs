//! The measured VM: runs the benchmark's guest, tells it what to do and reads what it says.

use super::block::Plan;
use super::floor::disk;
use super::host;
use super::sockets::Sockets;
use super::statistics::Distribution;
use super::wire::Wire;
use crate::config::{self, Config, Transport};
use crate::console::Console;
use crate::gauge::Gauge;
use crate::stats::Stats;
use crate::{End, Error, Outcome, Vm};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

/// What a VM is configured with. Rows of one setup share a VM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Setup {
    /// Every call traps.
    Trap,
    /// The poller is there from the first call of a row on.
    Poll,
    /// As VMs are by default: calls trap until they are dense.
    Auto,
    /// As [`Poll`](Setup::Poll), and it is found out how long calls take.
    Timed,
    /// Every call traps, and the devices and privileged instructions of a PC are emulated.
    Trapped,
}

impl Setup {
    fn config(self, image: &Path) -> Config {
        let mut config = Config::new(config::Image::File(image.to_owned()));
        config.console = config::Console::None;
        config.machine.vcpus = 2;
        config.calls.transport = match self {
            Setup::Trap | Setup::Trapped => Transport::Trap,
            Setup::Poll | Setup::Timed => Transport::Poll,
            Setup::Auto => Transport::Auto,
        };
        config.calls.timed = self == Setup::Timed;
        config.machine.trapped = self == Setup::Trapped;
        config
    }
}

/// A VM that waits for lines.
pub struct Guest {
    input: Option<PipeWriter>,
    output: BufReader<PipeReader>,
    thread: Option<JoinHandle<Result<Outcome, Error>>>,
    /// The kernel's number of the first vCPU's thread.
    pub thread_id: u32,
    /// What its devices do.
    pub gauge: Gauge,
    /// Who is at the other ends of its sockets.
    _sockets: Sockets,
}

/// What the guest says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// How often the operation was carried out.
    pub rounds: u64,
    /// Thousandths of a TSC tick a round.
    pub cost: u64,
}

impl Guest {
    /// Boots it, with its first vCPU on the first of the processors.
    pub fn start(setup: Setup, image: &Path, cores: host::Cores) -> Result<Guest, Error> {
        let mut guest = Guest::boot(setup, image, cores)?;
        guest.expect("ready")?;
        host::pin(guest.thread_id, &[cores.first]);
        Ok(guest)
    }

    fn boot(setup: Setup, image: &Path, cores: host::Cores) -> Result<Guest, Error> {
        let os = |source| Error::Os {
            what: "a pipe to the measured VM".to_owned(),
            source,
        };
        let (its_input, input) = pipe().map_err(os)?;
        let (output, its_output) = pipe().map_err(os)?;
        let mut config = setup.config(image);
        let disk = disk::image()?;
        // The VM opens it by itself.
        let path = format!("/proc/self/fd/{}", disk.as_raw_fd());
        config.disks.push(config::Disk::new("disk0", path.into()));
        let wire = Wire::start()?;
        let user = config::Link::User(config::UserNetwork::default());
        for (name, link) in [("net0", wire.link()), ("net1", user)] {
            config.nets.push(config::Net::new(name, link));
        }
        let sockets = Sockets::start()?;
        config.vsocks.push(config::Vsock::new(sockets.path()));
        let console = || Ok(Console::piped(its_input.into(), its_output.into()));
        let vm = Vm::with_console(&config, image, console)?;
        let gauge = vm.gauge();
        let (tell, told) = channel();
        let run = move || {
            // Threads that it starts float as it does, until somebody pins them.
            host::pin(host::this_thread(), &cores.both());
            // Fails only when nobody asks any more.
            let _ = tell.send(host::this_thread());
            vm.run()
        };
        let thread = thread::Builder::new()
            .name("measured".to_owned())
            .spawn(run)
            .map_err(os)?;
        let thread_id = told.recv().unwrap_or_default();
        Ok(Guest {
            input: Some(input),
            output: BufReader::new(output),
            thread: Some(thread),
            thread_id,
            gauge,
            _sockets: sockets,
        })
    }

    /// Runs one block of some work. One that warms up stays out of the distribution.
    pub fn block(&mut self, work: &str, plan: Plan, warm: bool) -> Result<Block, Error> {
        let verb = if warm { "warm" } else { "run" };
        self.say(&format!("{verb} {}\n", words(work, plan)))?;
        let line = self.hear()?;
        read_block(&line).ok_or_else(|| said(&line))
    }

    /// The distribution of single rounds in all blocks of some work, in ticks.
    pub fn distribution(&mut self, work: &str) -> Result<Distribution, Error> {
        self.say(&format!("histogram {work}\n"))?;
        let line = self.hear()?;
        read_histogram(&line).ok_or_else(|| said(&line))
    }

    fn say(&mut self, line: &str) -> Result<(), Error> {
        let sent = self
            .input
            .as_mut()
            .map(|input| input.write_all(line.as_bytes()));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(self.autopsy()),
        }
    }

    fn hear(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
            _ => Err(self.autopsy()),
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), Error> {
        let line = self.hear()?;
        if line == word {
            Ok(())
        } else {
            Err(said(&line))
        }
    }

    /// Why a guest that should have answered is gone.
    fn autopsy(&mut self) -> Error {
        match self.end() {
            Err(error) => error,
            Ok(outcome) => gone(&outcome.end),
        }
    }

    /// Ends it, and says what the VM did in its life.
    pub fn stats(mut self) -> Result<Stats, Error> {
        let outcome = self.end()?;
        match outcome.end {
            End::Exit(0) => Ok(outcome.stats),
            end => Err(gone(&end)),
        }
    }

    /// Ends the guest's input, and waits for its end.
    fn end(&mut self) -> Result<Outcome, Error> {
        self.input = None;
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(outcome)) => outcome,
            _ => Err(broken("its thread is gone".to_owned())),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // What it measured has been read; how it ended does not matter any more.
        let _ = self.end();
    }
}

fn words(work: &str, plan: Plan) -> String {
    format!("{work} {} {} {}", plan.chunk, plan.chunks, plan.singles)
}

fn read_block(line: &str) -> Option<Block> {
    let (rounds, cost) = line.strip_prefix("block ")?.split_once(' ')?;
    Some(Block {
        rounds: rounds.parse().ok().filter(|rounds| *rounds > 0)?,
        cost: cost.parse().ok()?,
    })
}

fn read_histogram(line: &str) -> Option<Distribution> {
    let mut words = line.strip_prefix("histogram ")?.split(' ');
    let max = words.next()?.parse().ok()?;
    let bucket = |word: &str| {
        let (bucket, count) = word.split_once(':')?;
        Some((bucket.parse().ok()?, count.parse().ok()?))
    };
    Some(Distribution {
        max,
        counts: words.map(bucket).collect::<Option<_>>()?,
    })
}

fn said(line: &str) -> Error {
    broken(format!("it said {line:?}"))
}

fn gone(end: &End) -> Error {
    broken(match end {
        End::Panic(panic) => format!("it panicked: {}", panic.message),
        end => format!("it ended: {end:?}"),
    })
}

fn broken(problem: String) -> Error {
    Error::Os {
        what: "the measured guest".to_owned(),
        source: std::io::Error::other(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_says_is_read_or_refused() {
        assert_eq!(
            read_block("block 12 3400"),
            Some(Block {
                rounds: 12,
                cost: 3400
            })
        );
        for wrong in ["", "block", "block 0 1", "block 1", "block x 1", "ready"] {
            assert_eq!(read_block(wrong), None, "{wrong}");
        }
        let read = read_histogram("histogram 90 3:1 70:20").unwrap();
        assert_eq!((read.max, read.samples()), (90, 21));
        assert_eq!(read.counts.get(&70), Some(&20));
        assert_eq!(read_histogram("histogram 0"), Some(Distribution::default()));
        assert_eq!(read_histogram("histogram 1 3:x"), None);
    }
}
