//! What is measured in this process: a function for each row, which sets up what stays from block to block.

use super::Ground;
use super::block::Run;
use super::floor::disk::Way;
use super::floor::program::Program;
use super::floor::{bare, disk, loopback, system, threads as pair};
use super::host::Cores;
use super::signals::Signals;
use super::web::Web;
use crate::config::{self, Config};
use crate::gauge::Gauge;
use crate::{End, Error, Vm};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// A block.
type RunBlock = dyn FnMut(&mut Run) -> Result<(), Error>;

/// Runs the blocks of a row.
pub struct Subject {
    block: Box<RunBlock>,
    /// Of the VM that it is about.
    gauge: Option<Gauge>,
}

impl Subject {
    /// By a function that runs a block.
    pub fn new(block: impl FnMut(&mut Run) -> Result<(), Error> + 'static) -> Subject {
        Subject {
            block: Box::new(block),
            gauge: None,
        }
    }

    /// Runs a block.
    pub fn block(&mut self, run: &mut Run) -> Result<(), Error> {
        (self.block)(run)
    }

    /// What the VM's devices and drivers have told each other until now.
    pub fn signals(&self) -> Signals {
        self.gauge
            .as_ref()
            .map(Signals::until_now)
            .unwrap_or_default()
    }
}

/// Guest memory of the boot rows, in bytes.
const MEMORY: u64 = 64 << 20;

pub fn threads(ground: &Ground) -> Result<Subject, Error> {
    let cores = ground.cores;
    Ok(Subject::new(move |run| pair::ping_pong(run, cores)))
}

pub fn ring(ground: &Ground) -> Result<Subject, Error> {
    let cores = ground.cores;
    Ok(Subject::new(move |run| pair::ring(run, cores)))
}

pub fn pread(_: &Ground) -> Result<Subject, Error> {
    let file = disk::image()?;
    Ok(Subject::new(move |run| disk::read(run, &file)))
}

pub fn disk_one(ground: &Ground) -> Result<Subject, Error> {
    disk_ring(ground, disk::one, Way::Call)
}

pub fn disk_many(ground: &Ground) -> Result<Subject, Error> {
    disk_ring(ground, disk::many, Way::Call)
}

pub fn disk_one_mapped(ground: &Ground) -> Result<Subject, Error> {
    disk_ring(ground, disk::one, Way::Mapped)
}

pub fn disk_many_mapped(ground: &Ground) -> Result<Subject, Error> {
    disk_ring(ground, disk::many, Way::Mapped)
}

fn disk_ring(
    ground: &Ground,
    read: fn(&mut Run, &File, Way, Cores) -> Result<(), Error>,
    way: Way,
) -> Result<Subject, Error> {
    let (file, cores) = (disk::image()?, ground.cores);
    Ok(Subject::new(move |run| read(run, &file, way, cores)))
}

pub fn pipes(ground: &Ground) -> Result<Subject, Error> {
    let cores = ground.cores;
    Ok(Subject::new(move |run| pair::pipes(run, cores)))
}

pub fn syscall(_: &Ground) -> Result<Subject, Error> {
    Ok(Subject::new(system::call))
}

pub fn clock(_: &Ground) -> Result<Subject, Error> {
    Ok(Subject::new(system::clock))
}

pub fn exit(_: &Ground) -> Result<Subject, Error> {
    let (bare, _) = bare::boot(MEMORY)?;
    Ok(exits(bare))
}

pub fn bell(_: &Ground) -> Result<Subject, Error> {
    Ok(exits(bare::Bare::with_bell(MEMORY)?))
}

fn exits(mut bare: bare::Bare) -> Subject {
    Subject::new(move |run| run.try_over(|| bare.exit()))
}

pub fn bare_boot(ground: &Ground) -> Result<Subject, Error> {
    timed(ground, || bare::boot(MEMORY).map(|(_, time)| time))
}

pub fn boot(ground: &Ground) -> Result<Subject, Error> {
    let hello = ground.hello.clone();
    let mut config = Config::new(config::Image::File(hello.clone()));
    config.machine.memory = MEMORY;
    config.console = config::Console::None;
    timed(ground, move || {
        let outcome = Vm::new(&config, &hello).and_then(Vm::run)?;
        match (outcome.end, outcome.stats.to_first_call) {
            (End::Exit(0), Some(time)) => Ok(time),
            (end, _) => Err(Error::Os {
                what: "the guest that is booted".to_owned(),
                source: std::io::Error::other(format!("{end:?}")),
            }),
        }
    })
}

pub fn process(ground: &Ground) -> Result<Subject, Error> {
    let (program, hello) = (ground.program.clone(), ground.hello.clone());
    timed(ground, move || {
        system::program(&program, &[Path::new("run"), &hello])
    })
}

pub fn program(_: &Ground) -> Result<Subject, Error> {
    let mut program = Program::new()?;
    Ok(Subject::new(move |run| run.try_over(|| program.rounds())))
}

pub fn touch(ground: &Ground) -> Result<Subject, Error> {
    let mut program = Program::new()?;
    timed(ground, move || program.touch())
}

pub fn tcp_requests(_: &Ground) -> Result<Subject, Error> {
    let mut loopback = loopback::tcp(loopback::REQUEST)?;
    Ok(Subject::new(move |run| loopback.block(run)))
}

pub fn datagrams(_: &Ground) -> Result<Subject, Error> {
    let pair = loopback::datagrams()?;
    Ok(Subject::new(move |run| pair.block(run)))
}

pub fn tcp_streams(_: &Ground) -> Result<Subject, Error> {
    let mut loopback = loopback::tcp(loopback::SEGMENTS)?;
    Ok(Subject::new(move |run| loopback.block(run)))
}

pub fn unix_requests(_: &Ground) -> Result<Subject, Error> {
    let mut loopback = loopback::unix(loopback::REQUEST)?;
    Ok(Subject::new(move |run| loopback.block(run)))
}

pub fn unix_streams(_: &Ground) -> Result<Subject, Error> {
    let mut loopback = loopback::unix(loopback::PAGES)?;
    Ok(Subject::new(move |run| loopback.block(run)))
}

pub fn web_guest(ground: &Ground) -> Result<Subject, Error> {
    let (mut web, gauge) = Web::of_guest(&ground.web)?;
    Ok(Subject {
        gauge: Some(gauge),
        ..Subject::new(move |run| web.block(run))
    })
}

pub fn web_threads(_: &Ground) -> Result<Subject, Error> {
    let mut web = Web::of_threads()?;
    Ok(Subject::new(move |run| web.block(run)))
}

pub fn nothing(ground: &Ground) -> Result<Subject, Error> {
    timed(ground, || system::program(Path::new("/bin/true"), &[]))
}

/// A block of rounds that say themselves how long they took.
fn timed(
    ground: &Ground,
    mut round: impl FnMut() -> Result<Duration, Error> + 'static,
) -> Result<Subject, Error> {
    let ticks_per_ns = ground.ticks_per_ns;
    Ok(Subject::new(move |run| {
        let mut failed = Ok(());
        run.timed(|| match round() {
            Ok(time) => (time.as_secs_f64() * 1e9 * ticks_per_ns) as u64,
            Err(error) => {
                failed = Err(error);
                0
            }
        });
        failed
    }))
}
