//! What the foundation costs, each figure beside its floor measured in the same run: `cargo bench -p vmm`.
//!
//! Both sides of a pair run in turn, many times; the ratio is taken pair by pair, and the table has its median and the
//! middle half. A floor is the same work with nothing of ours in it.

mod image;
mod pairs;
mod process;

use pairs::{Pairs, spread};
use std::path::Path;
use std::time::{Duration, Instant};
use vmm::bench::floor::bare;
use vmm::config::{self, Config};
use vmm::{End, Vm};

/// Calls in one timed block: long enough that one preemption does not decide it.
const CALLS: u32 = 400;

fn main() {
    let directory = std::env::temp_dir().join(format!("trapless-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the guests");
    let write = |name: &str, code: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, image::elf(code)).expect("writing a guest");
        path
    };
    let caller = write("caller", &image::calls(CALLS));
    let hello = write("hello.elf", &image::hello());
    let waiter = write("waiter.elf", &image::wait());

    println!("host: {}", host());
    println!();
    println!(
        "{:<44}{:>12}{:>12}{:>9}  {:<15}{:>6}",
        "", "ours", "floor", "ratio", "middle half", "bar"
    );
    let (boot, trap) = boot_and_trap(&caller);
    row("Vm::new to first call", &boot, "1.25");
    row("trap call, round trip", &trap, "1.10");
    let start = process::start_to_exit(&hello, Duration::from_secs_f64(boot.median_floor()));
    row("trapless run hello.elf, start to exit", &start, "1.00");
    println!("    (floor: three times /bin/true, and the boot floor)");
    let process::Private { written, read } = process::private_memory(&waiter);
    println!(
        "{:<44}{:>8} KiB{:>46}",
        "private memory beside the guest's",
        written + read,
        "3072"
    );
    println!("    ({read} KiB of it are the program's file, which further VMs share)");
    std::fs::remove_dir_all(&directory).ok();
}

/// A VM that makes [`CALLS`] null calls, against the same ioctls and the same exits done bare.
fn boot_and_trap(caller: &Path) -> (Pairs, Pairs) {
    let config = Config {
        console: config::Console::None,
        ..Config::new(config::Image::File(caller.to_owned()))
    };
    let (mut boot, mut trap) = (Pairs::default(), Pairs::default());
    for round in 0..43 {
        let (to_first_exit, each_exit) = floor(config.machine.memory);
        let outcome = Vm::new(&config, caller)
            .and_then(Vm::run)
            .expect("a VM that runs");
        assert!(matches!(outcome.end, End::Exit(0)), "{:?}", outcome.end);
        let stats = outcome.stats;
        assert_eq!(
            stats.total_exits(),
            u64::from(CALLS) + 1,
            "an exit for each call, and one to end"
        );
        let first = stats.to_first_call.expect("a first call");
        let each = (stats.to_end - first) / CALLS;
        if round >= 3 {
            boot.push(first, to_first_exit);
            trap.push(each, each_exit);
        }
    }
    (boot, trap)
}

/// The same ioctls and as many exits, done bare: the time to the first exit, and that of each further one.
fn floor(memory: u64) -> (Duration, Duration) {
    let (mut bare, to_first_exit) = bare::boot(memory).expect("the bare guest");
    let start = Instant::now();
    for _ in 0..CALLS {
        bare.exit().expect("an exit");
    }
    (to_first_exit, start.elapsed() / CALLS)
}

fn row(name: &str, pairs: &Pairs, bar: &str) {
    let (low, median, high) = spread(pairs.ratios());
    println!(
        "{name:<44}{:>9.1} µs{:>9.1} µs{median:>9.3}  {:<15}{bar:>6}",
        pairs.median_ours() * 1e6,
        pairs.median_floor() * 1e6,
        format!("{low:.3}..{high:.3}"),
    );
}

/// What a figure depends on.
fn host() -> String {
    let machine = vmm::host::Machine::look();
    let unknown = || "unknown".to_owned();
    format!(
        "{}, kernel {}, {}, {} cores, load {}",
        vmm::host::kind(),
        machine.kernel.unwrap_or_else(unknown),
        machine.cpu.unwrap_or_else(unknown),
        machine.cpus.len(),
        machine.load.map_or_else(unknown, |load| load.to_string()),
    )
}
