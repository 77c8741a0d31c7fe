//! Running a VM as a command does: build the image, run it, pass signals on, say on standard error how it ended, and turn that into an
//! exit code. The VM itself is [`Vm`]'s business.

mod devices;
mod record;
mod signals;
pub mod summary;
mod table;

use crate::exit;
use crate::report::{self, Colour};
use crate::{Config, End, Error, Outcome, StopReason, Vm, build};
use record::Record;
use signals::Signals;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

/// What a command can ask for beside the run itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Print exits by kind, calls by name, and times on standard error. Calls are then [timed](crate::config::Calls::timed).
    pub stats: bool,
    /// Write how the VM ended to this file, as JSON; the keys are those of [`summary`]. Calls are then timed too.
    pub outcome: Option<PathBuf>,
}

/// How a VM that did run ended.
struct Ended {
    image: PathBuf,
    outcome: Outcome,
    /// The first signal that asked it to.
    signal: Option<i32>,
}

/// Runs a VM and returns the [code](exit) to exit with.
///
/// SIGINT, SIGTERM and, unless it is ignored, SIGHUP are taken over: while the VM runs, the first asks the guest to end and a further SIGINT or
/// SIGTERM stops it. A process runs one VM at a time this way.
///
/// # Errors
/// What kept the VM from running, or the outcome from being written.
pub fn run(config: &Config, options: &Options) -> Result<u8, Error> {
    let record = options.outcome.as_deref().map(Record::at).transpose()?;
    let mut config = config.clone();
    config.calls.timed |= options.stats || options.outcome.is_some();
    let ended = attempt(&config);
    if let Some(record) = record {
        record.write(&ended)?;
    }
    let ended = ended?;
    let mut text = ended.report(&config);
    text.push_str(&devices::failures(&config, &ended.outcome.stats.devices));
    if options.stats {
        text.push_str(&table::render(&ended.outcome.stats));
    }
    // Where standard error is closed, the exit code has to do.
    let _ = std::io::stderr().write_all(text.as_bytes());
    Ok(ended.code())
}

fn attempt(config: &Config) -> Result<Ended, Error> {
    let image = build::image(&config.guest.image)?;
    let vm = Vm::new(config, &image)?;
    let signals = Signals::forward_to(vm.stopper())?;
    let outcome = vm.run()?;
    Ok(Ended {
        image,
        outcome,
        signal: signals.first(),
    })
}

impl Ended {
    fn code(&self) -> u8 {
        match (&self.outcome.end, self.signal) {
            (End::Exit(code), _) => *code,
            (End::Panic(_), _) => exit::PANIC,
            (End::Fault(_), _) => exit::FAULT,
            (End::Stopped(StopReason::TimeLimit), _) => exit::TIME_LIMIT,
            (End::Stopped(StopReason::Requested), Some(signals::TERMINATE)) => exit::TERMINATED,
            (End::Stopped(StopReason::Requested), Some(signals::HANG_UP)) => exit::HUNG_UP,
            (End::Stopped(StopReason::Requested), _) => exit::INTERRUPTED,
        }
    }

    /// What there is to say to a person; nothing about a guest that ended by itself.
    fn report(&self, config: &Config) -> String {
        match &self.outcome.end {
            End::Exit(_) => String::new(),
            End::Panic(panic) => report::render_panic(panic, &self.image, colour()),
            End::Fault(fault) => report::render_fault(fault, &self.image, colour()),
            End::Stopped(StopReason::TimeLimit) => {
                let limit = config.limits.time.unwrap_or_default();
                let limit = crate::config::time::render(limit);
                format!("trapless: stopped at the guest's time limit of {limit}\n")
            }
            End::Stopped(StopReason::Requested) => {
                let name = self.signal.map_or("request", signals::name);
                format!("trapless: stopped by {name}\n")
            }
        }
    }
}

/// Colours for a terminal whose owner has not declined them.
fn colour() -> Colour {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match std::io::stderr().is_terminal() && !declined {
        true => Colour::Ansi,
        false => Colour::Never,
    }
}

#[cfg(test)]
mod tests;
