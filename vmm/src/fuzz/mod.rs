//! Random input of the shape that guests give, for everything that reads what a guest wrote, without KVM.
//!
//! A [`Target`] makes up its input as it goes, from a [`Source`] of numbers, and panics where something is not as it must be. An input is a target's
//! name, a seed and a number of steps; the same three give the same run. What ever failed is kept in `regressions.txt`.
//!
//! | variable | what |
//! |---|---|
//! | `TRAPLESS_FUZZ_SECONDS` | for how long, all targets together, from a seed of the moment; not set: shortly, and always the same inputs |
//! | `TRAPLESS_FUZZ_TARGET` | the one target to run, by its name; not set: all |
//! | `TRAPLESS_FUZZ_INPUT` | the one input to run, as a failure names it |

mod ram;
mod source;

pub(crate) use ram::Ram;
pub(crate) use source::Source;

use crate::calls;
use crate::shared::lock;
use crate::virtio;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Something that reads what a guest wrote.
struct Target {
    name: &'static str,
    run: fn(&mut Source),
}

/// All of them.
const TARGETS: &[Target] = &[
    Target {
        name: "line",
        run: calls::fuzz::lines,
    },
    Target {
        name: "ring",
        run: calls::fuzz::rings,
    },
    Target {
        name: "net",
        run: virtio::net::tests::fuzz::cards,
    },
    Target {
        name: "user-network",
        run: virtio::net::fuzz::frames,
    },
    Target {
        name: "queue",
        run: virtio::fuzz::queues,
    },
    Target {
        name: "disk",
        run: virtio::block::fuzz::disks,
    },
    Target {
        name: "rng",
        run: virtio::rng::fuzz::buffers,
    },
    Target {
        name: "console",
        run: virtio::console::messages,
    },
    Target {
        name: "vsock",
        run: virtio::vsock::fuzz::packets,
    },
];

/// Steps of an input.
const STEPS: u32 = 200;
/// How long it takes where nobody says.
const SHORTLY: Duration = Duration::from_secs(2);

/// An input takes milliseconds. One that takes this long does not end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The input that runs, and since when.
static RUNNING: Mutex<Option<(String, Instant)>> = Mutex::new(None);

/// Inputs that failed once, one a line.
const REGRESSIONS: &str = include_str!("regressions.txt");

/// A target's input: `name:seed:steps`.
struct Input {
    target: &'static Target,
    seed: u64,
    steps: u32,
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:#x}:{}", self.target.name, self.seed, self.steps)
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Input, String> {
        let mut parts = text.split(':');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let wrong = || format!("{text:?} is not an input; one is target:0xseed:steps");
        let (Some(name), Some(seed), Some(steps), None) = parts else {
            return Err(wrong());
        };
        let target = TARGETS.iter().find(|target| target.name == name);
        let seed = seed.strip_prefix("0x").unwrap_or_default();
        Ok(Input {
            target: target.ok_or_else(|| format!("there is no target {name:?}"))?,
            seed: u64::from_str_radix(seed, 16).map_err(|_| wrong())?,
            steps: steps.parse().map_err(|_| wrong())?,
        })
    }
}

impl Input {
    /// Runs it; where it fails, says how to run just this again.
    fn run(&self) {
        *lock(&RUNNING) = Some((self.to_string(), Instant::now()));
        let mut source = Source::new(self.seed, self.steps);
        let run = catch_unwind(AssertUnwindSafe(|| (self.target.run)(&mut source)));
        if let Err(panic) = run {
            let steps = source.taken();
            let failed = Input { steps, ..*self };
            eprintln!(
                "failed in step {steps}; again: {}",
                again(&failed.to_string())
            );
            resume_unwind(panic);
        }
    }
}

/// The command that runs one input.
fn again(input: &str) -> String {
    format!("TRAPLESS_FUZZ_INPUT={input} cargo test -p vmm --lib fuzz")
}

/// Ends the process when an input does not end.
fn watch() {
    loop {
        thread::sleep(Duration::from_secs(1));
        if let Some((input, since)) = &*lock(&RUNNING)
            && since.elapsed() > PATIENCE
        {
            eprintln!("an input does not end; again: {}", again(input));
            std::process::abort();
        }
    }
}

#[test]
fn what_guests_write_does_no_harm() {
    thread::spawn(watch);
    if let Ok(input) = std::env::var("TRAPLESS_FUZZ_INPUT") {
        return input.parse::<Input>().unwrap().run();
    }
    for line in REGRESSIONS.lines().filter(|line| !line.starts_with('#')) {
        line.parse::<Input>().unwrap().run();
    }
    let seconds = std::env::var("TRAPLESS_FUZZ_SECONDS").ok();
    let (time, first) = match &seconds {
        None => (SHORTLY, 0),
        Some(seconds) => {
            let seconds = seconds.parse().expect("TRAPLESS_FUZZ_SECONDS is a number");
            let mut seed = [0; 8];
            getrandom(&mut seed, GetRandomFlags::empty()).unwrap();
            (Duration::from_secs(seconds), u64::from_ne_bytes(seed))
        }
    };
    let one = std::env::var("TRAPLESS_FUZZ_TARGET").ok();
    let wanted = |target: &&Target| one.as_ref().is_none_or(|one| one == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    assert!(!targets.is_empty(), "there is no target {one:?}");
    for &target in &targets {
        let until = Instant::now() + time / targets.len() as u32;
        let mut seed = first;
        while Instant::now() < until {
            Input {
                target,
                seed,
                steps: STEPS,
            }
            .run();
            seed = seed.wrapping_add(1);
        }
        *lock(&RUNNING) = None;
        let count = seed.wrapping_sub(first);
        println!("{}: {count} inputs from seed {first:#x}", target.name);
    }
}
