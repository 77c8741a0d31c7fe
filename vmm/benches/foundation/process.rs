//! Figures of the whole `trapless` process.

use crate::pairs::Pairs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TRAPLESS: &str = env!("CARGO_BIN_EXE_trapless");

/// `trapless run` of a guest that prints a line, against three times `/bin/true` and the boot floor.
pub fn start_to_exit(image: &Path, boot_floor: Duration) -> Pairs {
    let mut pairs = Pairs::default();
    for round in 0..33 {
        let nothing = timed(&mut Command::new("/bin/true"));
        let ours = timed(Command::new(TRAPLESS).arg("run").arg(image));
        if round >= 3 {
            pairs.push(ours, nothing * 3 + boot_floor);
        }
    }
    pairs
}

fn timed(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("a process");
    let time = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    time
}

/// Memory that one process alone uses, in KiB.
pub struct Private {
    /// What it has written.
    pub written: u64,
    /// What it has not: pages of the program's file, which are there once for all processes that run it.
    pub read: u64,
}

/// What is this process's alone while its guest waits, beside what the guest has touched.
pub fn private_memory(image: &Path) -> Private {
    let mut child = Command::new(TRAPLESS)
        .arg("run")
        .arg(image)
        .stdin(Stdio::null())
        .spawn()
        .expect("a process");
    std::thread::sleep(Duration::from_millis(300));
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps", child.id())).expect("smaps");
    child
        .kill()
        .and_then(|()| child.wait())
        .expect("the process ends");

    let (mut private, mut written, mut guest) = (0, 0, false);
    let mut guests = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(key), value) = (words.next(), words.next().unwrap_or_default()) else {
            continue;
        };
        match key {
            // The guest's RAM is the one mapping of its size.
            "Size:" => {
                guest = value.parse::<u64>().is_ok_and(|kib| kib >= 32 << 10);
                guests += u32::from(guest);
            }
            "Private_Clean:" | "Private_Dirty:" if !guest => private += kib(value),
            // What the process has written is its own. The others may be dirty too: of a file that has just been linked.
            "Anonymous:" if !guest => written += kib(value),
            _ => {}
        }
    }
    assert!(guests >= 1, "the guest's memory was not found");
    Private {
        written,
        read: private.saturating_sub(written),
    }
}

fn kib(value: &str) -> u64 {
    value.parse().expect("a number of KiB")
}
