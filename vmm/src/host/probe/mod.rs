//! What things cost on this host, measured with a VM of a few instructions.

mod programs;
mod vm;

use crate::Error;
use kvm_ioctls::Kvm;
use serde::Serialize;
use std::time::Duration;
use vm::{Probe, Ring};

/// A ring-0 instruction that costs this many ring-3 ones is not the processor's own work.
const EMULATED: f64 = 20.0;
/// Runs of a loop are made longer until they take this long, so that entry and exit do not count.
const LONG_ENOUGH: Duration = Duration::from_millis(1);
const FIRST_ROUNDS: u64 = 1_000;
const MOST_ROUNDS: u64 = 4_096_000;
/// Every time is the shortest of this many: what disturbs only lengthens.
const REPEATS: usize = 3;
const EXITS: usize = 300;
const BELLS: u64 = 1_000;

/// What things cost, in nanoseconds unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// An instruction of a counted loop at ring 3.
    pub ring3_ns: f64,
    /// The same at ring 0.
    pub ring0_ns: f64,
    /// What follows from the two.
    pub ring0: Ring0,
    /// From an `out` at ring 3 to user space and back: the median.
    pub exit_ns: f64,
    /// An `out` at ring 3 on an ioeventfd; `None` where KVM has none.
    pub bell_ns: Option<f64>,
    /// The guest's TSC less the host's, in ticks; 0 where they cannot be told apart.
    pub tsc_offset: i64,
    /// The guest TSC's nominal rate, in kHz; `None` where KVM does not say.
    pub tsc_khz: Option<u32>,
}

/// Who executes the guest's ring-0 instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ring0 {
    /// The processor.
    Native,
    /// Software in the kernel.
    Emulated,
}

/// Measures.
pub fn measure(kvm: &Kvm) -> Result<Measured, Error> {
    let mut probe = Probe::new(kvm)?;
    let exit_ns = exit(&mut probe)?;
    let ring3_ns = instruction(&mut probe, Ring::Three, exit_ns)?;
    let ring0_ns = instruction(&mut probe, Ring::Zero, exit_ns)?;
    let tsc_offset = probe.tsc_offset()?;
    let bell_ns = bell(&mut probe, exit_ns)?;
    Ok(Measured {
        ring3_ns,
        ring0_ns,
        ring0: if ring0_ns > EMULATED * ring3_ns {
            Ring0::Emulated
        } else {
            Ring0::Native
        },
        exit_ns,
        bell_ns,
        tsc_offset,
        tsc_khz: probe.tsc_khz(),
    })
}

/// A round trip to user space.
fn exit(probe: &mut Probe) -> Result<f64, Error> {
    probe.enter(Ring::Three, programs::EXIT, 0)?;
    let mut times = (0..EXITS)
        .map(|_| probe.run())
        .collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times.get(EXITS / 2).map_or(f64::NAN, nanos))
}

/// An instruction of the counted loop.
fn instruction(probe: &mut Probe, ring: Ring, exit_ns: f64) -> Result<f64, Error> {
    let mut rounds = FIRST_ROUNDS;
    loop {
        let time = shortest(probe, ring, programs::COUNT, rounds)?;
        if time >= LONG_ENOUGH || rounds >= MOST_ROUNDS {
            let instructions = (rounds * programs::COUNT_INSTRUCTIONS) as f64;
            return Ok(((nanos(&time) - exit_ns) / instructions).max(0.01));
        }
        rounds *= 8;
    }
}

/// An `out` that the kernel turns into an eventfd's count.
fn bell(probe: &mut Probe, exit_ns: f64) -> Result<Option<f64>, Error> {
    if !probe.hang_bell()? {
        return Ok(None);
    }
    let time = shortest(probe, Ring::Three, programs::BELL, BELLS)?;
    Ok(Some((nanos(&time) - exit_ns).max(0.0) / BELLS as f64))
}

fn shortest(probe: &mut Probe, ring: Ring, program: u64, rounds: u64) -> Result<Duration, Error> {
    let mut best = Duration::MAX;
    for _ in 0..REPEATS {
        probe.enter(ring, program, rounds)?;
        best = best.min(probe.run()?);
    }
    Ok(best)
}

fn nanos(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
