//! The table of rows: what is measured, where it runs, what it is held against.
//!
//! A new row is an entry here and, for work that the guest does not know yet, a function in `examples/bench/rows.rs`.

use super::Ground;
use super::guest::Setup;
use super::subject::{self, Subject};
use crate::Error;
use serde::{Deserialize, Serialize};

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, by which filters and result files know it.
    pub name: &'static str,
    /// What is done. Rows of one operation are shown together.
    pub operation: &'static str,
    /// How it is done here.
    pub mechanism: &'static str,
    /// Which side of the comparison it is on.
    pub side: Side,
    /// The names of the rows it is held against, in turn with which it is measured.
    pub against: &'static [&'static str],
    /// Operations in one round: what is measured is divided by it.
    pub per: u32,
    /// Where it runs.
    pub place: Place,
    /// What the figure means, for people.
    pub explain: &'static str,
}

impl Row {
    /// Whether a filter lets it through.
    pub fn matches(&self, filter: &str) -> bool {
        self.name.contains(filter) || self.operation.contains(filter)
    }
}

/// A side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The guest calls the hypervisor, or reads what it shares.
    Called,
    /// The guest executes what an unmodified kernel would, and it is emulated.
    Trapped,
    /// The same work with nothing of ours in it.
    Floor,
}

/// Where a row runs.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In the benchmark's guest, which knows the work by this name.
    Guest(Setup, &'static str),
    /// In the guest, with a processor for each of two vCPUs or for a vCPU and the poller.
    GuestPair(Setup, &'static str),
    /// In this process.
    Host(fn(&Ground) -> Result<Subject, Error>),
    /// In this process, with a thread on each of two processors.
    HostPair(fn(&Ground) -> Result<Subject, Error>),
    /// In QEMU, with this accelerator.
    Qemu(&'static str),
}

impl Place {
    /// The VM and the name of the work, for what the benchmark's guest does.
    pub fn work(self) -> Option<(Setup, &'static str)> {
        match self {
            Place::Guest(setup, work) | Place::GuestPair(setup, work) => Some((setup, work)),
            Place::Host(_) | Place::HostPair(_) | Place::Qemu(_) => None,
        }
    }

    /// Whether it runs in the benchmark's guest.
    pub fn is_guest(self) -> bool {
        self.work().is_some()
    }

    /// Whether it takes two processors.
    pub fn is_pair(self) -> bool {
        matches!(self, Place::GuestPair(..) | Place::HostPair(_))
    }
}

/// The row with a name.
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// What most rows are.
const CALL: Row = Row {
    name: "",
    operation: "",
    mechanism: "trap call",
    side: Side::Called,
    against: &["null/trap"],
    per: 1,
    place: Place::Guest(Setup::Trap, "null"),
    explain: "",
};

const FLOOR: Row = Row {
    side: Side::Floor,
    against: &[],
    ..CALL
};

/// Calls that do nothing, submitted together: a row for each size and transport.
const BATCHES: [Row; 8] = [
    batch("batch/trap/1", 1, "batch of 1, trap", "batch/1"),
    batch("batch/trap/8", 8, "batch of 8, trap", "batch/8"),
    batch("batch/trap/64", 64, "batch of 64, trap", "batch/64"),
    batch("batch/trap/512", 512, "batch of 512, trap", "batch/512"),
    polled_batch("batch/poll/1", 1, "batch of 1, polled", "batch/1"),
    polled_batch("batch/poll/8", 8, "batch of 8, polled", "batch/8"),
    polled_batch("batch/poll/64", 64, "batch of 64, polled", "batch/64"),
    polled_batch("batch/poll/512", 512, "batch of 512, polled", "batch/512"),
];

const fn batch(name: &'static str, per: u32, mechanism: &'static str, work: &'static str) -> Row {
    Row {
        name,
        operation: "null call",
        mechanism,
        per,
        place: Place::Guest(Setup::Trap, work),
        explain: "What one call costs of so many that are queued in a ring and submitted with one exit. Each is queued by the guest and \
                  answered by the host in an entry of its own, and that is in the figure.",
        ..CALL
    }
}

const fn polled_batch(
    name: &'static str,
    per: u32,
    mechanism: &'static str,
    work: &'static str,
) -> Row {
    Row {
        against: &["null/poll"],
        place: Place::GuestPair(Setup::Poll, work),
        explain: "Likewise, submitted with one post in the line: no exit.",
        ..batch(name, per, mechanism, work)
    }
}

/// Every row, in the order it is shown in.
pub const ROWS: &[Row] = &[
    Row {
        name: "null/trap",
        operation: "null call",
        against: &["floor/exit"],
        explain: "A call that does nothing, through the gate: one exit to this process and back. What every trap call pays \
                  before it does anything. Its floor is an exit with no hypervisor of ours behind it.",
        ..CALL
    },
    Row {
        name: "null/poll",
        operation: "null call",
        mechanism: "polled call",
        against: &["floor/threads", "null/trap"],
        place: Place::GuestPair(Setup::Poll, "null"),
        explain: "The same call, posted in a line of shared memory that a host thread on the other processor looks at: no exit. Its                   floor is two threads of one process that answer each other in such a line.",
        ..CALL
    },
    Row {
        name: "null/auto",
        operation: "null call",
        mechanism: "adaptive, dense",
        against: &["null/poll", "null/trap"],
        place: Place::GuestPair(Setup::Auto, "null"),
        explain: "The default: calls trap until they come densely, and are then polled. Here they come one after another.",
        ..CALL
    },
    Row {
        name: "null/rare/trap",
        operation: "null call",
        mechanism: "trap call, 1 ms apart",
        against: &["null/trap"],
        place: Place::Guest(Setup::Trap, "null/rare"),
        explain: "One call every millisecond. The processor has grown a little colder in between.",
        ..CALL
    },
    Row {
        name: "null/rare/auto",
        operation: "null call",
        mechanism: "adaptive, 1 ms apart",
        against: &["null/rare/trap"],
        place: Place::GuestPair(Setup::Auto, "null/rare"),
        explain: "One call every millisecond where the transport is adaptive: it should trap, and cost what a trap costs.",
        ..CALL
    },
    BATCHES[0],
    BATCHES[1],
    BATCHES[2],
    BATCHES[3],
    BATCHES[4],
    BATCHES[5],
    BATCHES[6],
    BATCHES[7],
    Row {
        name: "random/trap/64",
        operation: "64 bytes out",
        place: Place::Guest(Setup::Trap, "random/64"),
        explain: "A call that brings 64 random bytes into the guest's memory, the host kernel's generator included.",
        ..CALL
    },
    Row {
        name: "random/poll/64",
        operation: "64 bytes out",
        mechanism: "polled call",
        against: &["random/trap/64"],
        place: Place::GuestPair(Setup::Poll, "random/64"),
        explain: "The same posted in the line.",
        ..CALL
    },
    Row {
        name: "random/trap/4096",
        operation: "4096 bytes out",
        place: Place::Guest(Setup::Trap, "random/4096"),
        explain: "The same with a page of them, most of which is the generator.",
        ..CALL
    },
    Row {
        name: "random/poll/4096",
        operation: "4096 bytes out",
        mechanism: "polled call",
        against: &["random/trap/4096"],
        place: Place::GuestPair(Setup::Poll, "random/4096"),
        explain: "The same posted in the line: what is left is mostly the generator.",
        ..CALL
    },
    Row {
        name: "console/trap/1",
        operation: "console write, 1 byte",
        place: Place::Guest(Setup::Trap, "console/1"),
        explain: "One byte from the guest's memory to a console that leads nowhere: permission, address check and copy included.",
        ..CALL
    },
    Row {
        name: "console/poll/1",
        operation: "console write, 1 byte",
        mechanism: "polled call",
        against: &["console/trap/1"],
        place: Place::GuestPair(Setup::Poll, "console/1"),
        explain: "One byte, without an exit.",
        ..CALL
    },
    Row {
        name: "console/trap/64",
        operation: "console write, 64 bytes",
        place: Place::Guest(Setup::Trap, "console/64"),
        explain: "A line of text in one call.",
        ..CALL
    },
    Row {
        name: "console/poll/64",
        operation: "console write, 64 bytes",
        mechanism: "polled call",
        against: &["console/trap/64"],
        place: Place::GuestPair(Setup::Poll, "console/64"),
        explain: "A line of text, without an exit.",
        ..CALL
    },
    Row {
        name: "console/trap/4096",
        operation: "console write, 4096 bytes",
        place: Place::Guest(Setup::Trap, "console/4096"),
        explain: "A page of text in one call: the copy is all that grows.",
        ..CALL
    },
    Row {
        name: "console/poll/4096",
        operation: "console write, 4096 bytes",
        mechanism: "polled call",
        against: &["console/trap/4096"],
        place: Place::GuestPair(Setup::Poll, "console/4096"),
        explain: "A page of text, without an exit: the copy is most of it.",
        ..CALL
    },
    Row {
        name: "clock/page",
        operation: "read the clock",
        mechanism: "shared page",
        against: &["floor/clock"],
        place: Place::Guest(Setup::Trap, "clock"),
        explain: "The guest reads the time from a page that the host keeps right: no call. Its floor is the host reading its own \
                  clock, which Linux maps into every process in the same way.",
        ..CALL
    },
    Row {
        name: "timer/trap",
        operation: "timer: late by",
        mechanism: "wait(deadline)",
        against: &[],
        place: Place::Guest(Setup::Trap, "timer"),
        explain: "The guest waits for a deadline 100 µs ahead; the figure is how much later than that it runs again. It holds the \
                  exit, the host kernel's timer and its waking of a sleeping thread.",
        ..CALL
    },
    Row {
        name: "identify/page",
        operation: "identify the machine",
        mechanism: "boot page",
        against: &["identify/cpuid"],
        place: Place::Guest(Setup::Trap, "identify/page"),
        explain: "The guest reads what it runs on from the page it was booted with.",
        ..CALL
    },
    Row {
        name: "identify/cpuid",
        operation: "identify the machine",
        mechanism: "cpuid",
        side: Side::Trapped,
        against: &[],
        place: Place::Guest(Setup::Trap, "identify/cpuid"),
        explain: "What an unmodified kernel executes instead. The host's kernel answers it, without an exit to this process.",
        ..CALL
    },
    Row {
        name: "remap/trap/1",
        operation: "remap 1 page, flush",
        mechanism: "edit, one call",
        place: Place::Guest(Setup::Trap, "remap/1"),
        explain: "The guest points a page of its own tables elsewhere and makes every vCPU forget the old place. It then looks \
                  through the new mapping, which is part of the figure and proves the flush.",
        ..CALL
    },
    Row {
        name: "remap/trap/64",
        operation: "remap 64 pages, flush",
        mechanism: "edit, one call",
        place: Place::Guest(Setup::Trap, "remap/64"),
        explain: "64 pages, and still one call.",
        ..CALL
    },
    Row {
        name: "remap/trap/1024",
        operation: "remap 1024 pages, flush",
        mechanism: "edit, one call",
        place: Place::Guest(Setup::Trap, "remap/1024"),
        explain: "1024 pages, and still one call: what grows is the guest's own writing to its tables, which the host's kernel \
                  may have to follow.",
        ..CALL
    },
    Row {
        name: "notify/trap",
        operation: "notify a vCPU, one way",
        place: Place::Guest(Setup::Trap, "notify/call"),
        explain: "A call that raises an event on another vCPU, which does not wait for it.",
        ..CALL
    },
    Row {
        name: "notify/poll",
        operation: "notify a vCPU, one way",
        mechanism: "polled call",
        against: &["notify/trap"],
        place: Place::GuestPair(Setup::Poll, "notify/call"),
        explain: "The same posted in the line.",
        ..CALL
    },
    Row {
        name: "notify/word",
        operation: "notify a vCPU, both ways",
        mechanism: "event word, spinning",
        against: &["floor/threads"],
        place: Place::GuestPair(Setup::Trap, "notify/word"),
        explain: "Two vCPUs that answer each other's events while both look at their pending words: shared memory alone, no call. \
                  The bits are set with atomic operations, which a plain store to a line is not.",
        ..CALL
    },
    Row {
        name: "notify/wait",
        operation: "notify a vCPU, both ways",
        mechanism: "event, both waiting",
        against: &["floor/pipe"],
        place: Place::GuestPair(Setup::Trap, "notify/wait"),
        explain: "The same with each vCPU asleep in a wait call until the other notifies it: up to four calls, fewer where one side has not fallen asleep yet. Its floor \
                  is two sleeping threads of one process that wake each other through pipes.",
        ..CALL
    },
    Row {
        name: "boot/vm",
        operation: "boot",
        mechanism: "Vm to first call",
        against: &["floor/boot"],
        place: Place::Host(subject::boot),
        explain: "From nothing to the first call of a guest that prints a line: its image read, memory, page tables and a vCPU \
                  made. Its floor is the fewest ioctls that bring any ring-3 guest to an exit.",
        ..CALL
    },
    Row {
        name: "boot/process",
        operation: "boot",
        mechanism: "trapless run",
        against: &["floor/process"],
        place: Place::Host(subject::process),
        explain: "The whole command for the same guest, from starting the process to its end.",
        ..CALL
    },
    Row {
        name: "floor/threads",
        operation: "floors",
        mechanism: "two threads, one line",
        place: Place::HostPair(subject::threads),
        explain: "Two threads of this process, each on its processor, that post and answer in one cache line of the layout that \
                  polled calls use. No hypervisor: the limit of any answer from another processor.",
        ..FLOOR
    },
    Row {
        name: "floor/exit",
        operation: "floors",
        mechanism: "bare exit loop",
        place: Place::Host(subject::exit),
        explain: "A ring-3 guest that does nothing but exit, entered again at once: what KVM costs on this host.",
        ..FLOOR
    },
    Row {
        name: "floor/bell",
        operation: "floors",
        mechanism: "ioeventfd, one way",
        per: super::floor::bare::BELLS,
        place: Place::Host(subject::bell),
        explain: "A port write that the host's kernel turns into an eventfd's count: a kick without an answer and without an exit \
                  to this process. Each sample is the mean of 1024.",
        ..FLOOR
    },
    Row {
        name: "floor/syscall",
        operation: "floors",
        mechanism: "system call",
        place: Place::Host(subject::syscall),
        explain: "getppid on the host: what a process pays to ask its kernel.",
        ..FLOOR
    },
    Row {
        name: "floor/pipe",
        operation: "floors",
        mechanism: "pipe, both ways",
        place: Place::HostPair(subject::pipes),
        explain: "A byte to a thread on the other processor through a pipe and one back, each waking the other.",
        ..FLOOR
    },
    Row {
        name: "floor/clock",
        operation: "floors",
        mechanism: "clock_gettime",
        place: Place::Host(subject::clock),
        explain: "The host's own clock, read without a system call.",
        ..FLOOR
    },
    Row {
        name: "floor/boot",
        operation: "floors",
        mechanism: "ioctls to first exit",
        place: Place::Host(subject::bare_boot),
        explain: "From opening /dev/kvm to the first exit of the bare guest, with the same amount of memory.",
        ..FLOOR
    },
    Row {
        name: "floor/process",
        operation: "floors",
        mechanism: "/bin/true",
        place: Place::Host(subject::nothing),
        explain: "The shortest process: started, loaded and ended.",
        ..FLOOR
    },
    Row {
        name: "qemu/tcg",
        operation: "empty port read",
        mechanism: "QEMU, TCG",
        side: Side::Trapped,
        against: &[],
        place: Place::Qemu("tcg"),
        explain: "A ring-0 guest that reads a port with no device, under QEMU's translator: no processor mode is left, so nothing \
                  traps. It wins this row by far, and loses where guest code has to compute. Run by itself after the others.",
        ..CALL
    },
    Row {
        name: "qemu/kvm",
        operation: "empty port read",
        mechanism: "QEMU, KVM",
        side: Side::Trapped,
        against: &[],
        place: Place::Qemu("kvm"),
        explain: "The same image under QEMU with this host's KVM.",
        ..CALL
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sound() {
        let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len(), "a name twice");
        for each in ROWS {
            assert!(!each.name.contains(' '), "{} goes over the wire", each.name);
            assert!(each.per > 0 && !each.operation.is_empty(), "{}", each.name);
            assert!(each.explain.ends_with('.'), "{}", each.name);
            for other in each.against {
                let other = row(other).expect("a row to be held against");
                assert_ne!(other.name, each.name);
                assert!(!matches!(other.place, Place::Qemu(_)), "{}", each.name);
            }
        }
    }

    #[test]
    fn the_guest_knows_all_work() {
        let guest = include_str!("../../../examples/bench/rows.rs");
        for (_, work) in ROWS.iter().filter_map(|row| row.place.work()) {
            assert!(guest.contains(&format!("(\"{work}\",")), "{work}");
        }
    }
}
