//! The command line: what may be said on it, and which module does it.

mod bench;
mod build;
mod check;
mod doctor;
mod new;
mod run;

use clap::Parser;
use clap::error::ErrorKind;
use std::io::Write;
use vmm::{Error, exit};

/// Runs Rust unikernels that call the hypervisor instead of trapping into it.
#[derive(Parser)]
#[command(name = "trapless", version = VERSION, after_help = exit::help(), max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    Run(run::Run),
    Check(check::Check),
    Build(build::Build),
    Doctor(doctor::Doctor),
    New(new::New),
    Bench(bench::Bench),
}

impl Command {
    /// Does it, and says with which code to exit.
    ///
    /// # Errors
    /// What kept it from being done.
    pub fn execute(self) -> Result<u8, Error> {
        match self {
            Command::Run(run) => run.execute(),
            Command::Check(check) => check.execute(),
            Command::Build(build) => build.execute(),
            Command::Doctor(doctor) => doctor.execute(),
            Command::New(new) => new.execute(),
            Command::Bench(bench) => bench.execute(),
        }
    }
}

/// Reads the command line; where there is nothing to do, says so and returns the code to exit with.
///
/// # Errors
/// 0 after `--help` and `--version`, [`exit::USAGE`] after an explanation of what is wrong.
pub fn parse() -> Result<Command, u8> {
    CommandLine::try_parse()
        .map(|line| line.command)
        .map_err(|error| {
            // A closed standard error leaves nobody to tell.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
                _ => exit::USAGE,
            }
        })
}

/// Prints what was asked for. A reader that has gone, as `head` goes, has seen what it wanted.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
