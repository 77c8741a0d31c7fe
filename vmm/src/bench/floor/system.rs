//! What this process pays the kernel and the processor for: a system call, the clock, starting a program.

use super::super::block::Run;
use crate::Error;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The shortest system call there is.
pub fn call(run: &mut Run) -> Result<(), Error> {
    // The C library does not cache this one.
    run.over(|| _ = black_box(rustix::process::getppid()));
    Ok(())
}

/// The host's own clock, which its kernel maps into every process.
pub fn clock(run: &mut Run) -> Result<(), Error> {
    run.over(|| _ = black_box(clock_gettime(ClockId::Monotonic)));
    Ok(())
}

/// How long a program takes from its start to its end, with nothing to read and nobody to read what it prints.
pub fn program(program: &Path, args: &[&Path]) -> Result<Duration, Error> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let os = |source| Error::Os {
        what: format!("running {}", program.display()),
        source,
    };
    let start = Instant::now();
    let status = command.status().map_err(os)?;
    let time = start.elapsed();
    match status.success() {
        true => Ok(time),
        false => Err(os(std::io::Error::other(status.to_string()))),
    }
}
