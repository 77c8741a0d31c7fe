//! What a kernel does with its machine: clock, timer, masking, identity, address translation, notification.

use super::super::guest::Setup;
use super::{CALL, Figure, Place, Row, Side, TRAPPED};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "clock/page",
        operation: "read the clock",
        mechanism: "shared page",
        against: &["floor/clock", "clock/pit", "clock/rtc"],
        place: Place::Guest(Setup::Trap, "clock"),
        explain: "The guest reads the time from a page that the host keeps right: no call. Its floor is the host reading its own \
                  clock, which Linux maps into every process in the same way.",
        ..CALL
    },
    Row {
        name: "clock/pit",
        operation: "read the clock",
        mechanism: "PIT",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "pit/read"),
        explain: "What is left of the interval timer's count: a latch command and two reads, three exits.",
        ..TRAPPED
    },
    Row {
        name: "clock/rtc",
        operation: "read the clock",
        mechanism: "RTC",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "rtc/read"),
        explain: "The date and time of day from the battery-backed clock, read until they hold still: some twenty exits.",
        ..TRAPPED
    },
    Row {
        name: "timer/trap",
        operation: "timer: late by",
        mechanism: "wait(deadline)",
        against: &["timer/pit"],
        place: Place::Guest(Setup::Trap, "timer"),
        explain: "The guest waits for a deadline 100 µs ahead; the figure is how much later than that it runs again. It holds the \
                  exit, the host kernel's timer and its waking of a sleeping thread.",
        ..CALL
    },
    Row {
        name: "timer/pit",
        operation: "timer: late by",
        mechanism: "PIT and hlt",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "pit/timer"),
        explain: "The same with the interval timer as an unmodified kernel drives it: three writes to arm it, hlt, and the controller asked and answered after the interrupt, which are part of being late.",
        ..TRAPPED
    },
    Row {
        name: "idle/cpu",
        operation: "a VM that waits: CPU time",
        mechanism: "wait(deadline)",
        against: &[],
        place: Place::GuestPair(Setup::Auto, "idle"),
        figure: Figure::Cpu,
        explain: "What all threads of the process but the measuring one, the poller among them, use of a processor while the guest waits \
                  for a second.",
        ..CALL
    },
    Row {
        name: "mask/word",
        operation: "mask and unmask events",
        mechanism: "shared word",
        against: &["mask/cli"],
        place: Place::Guest(Setup::Trapped, "mask/word"),
        explain: "Events are held back and let through again by a word of the guest's own that is looked at before one is taken: two \
                  ordered stores.",
        ..CALL
    },
    Row {
        name: "mask/cli",
        operation: "mask and unmask events",
        mechanism: "cli and sti",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "cli"),
        explain: "What an unmodified kernel executes instead: each faults at ring 3, is decoded and emulated. Two exits.",
        ..TRAPPED
    },
    Row {
        name: "identify/page",
        operation: "identify the machine",
        mechanism: "boot page",
        against: &["identify/cpuid", "identify/rdmsr"],
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
        name: "identify/rdmsr",
        operation: "identify the machine",
        mechanism: "rdmsr",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "rdmsr"),
        explain: "A model-specific register: faults at ring 3, is decoded and emulated.",
        ..TRAPPED
    },
    Row {
        name: "remap/trap/1",
        operation: "remap 1 page, flush",
        mechanism: "edit, one call",
        against: &["remap/invlpg/1"],
        place: Place::Guest(Setup::Trap, "remap/1"),
        explain: "The guest points a page of its own tables elsewhere and makes every vCPU forget the old place. It then looks \
                  through the new mapping, which is part of the figure and proves the flush.",
        ..CALL
    },
    Row {
        name: "remap/invlpg/1",
        operation: "remap 1 page, flush",
        mechanism: "edit, invlpg each",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "invlpg/1"),
        explain: "The same edit, and an invlpg for it, which faults at ring 3 and is emulated.",
        ..TRAPPED
    },
    Row {
        name: "remap/trap/64",
        operation: "remap 64 pages, flush",
        mechanism: "edit, one call",
        against: &["remap/invlpg/64"],
        place: Place::Guest(Setup::Trap, "remap/64"),
        explain: "64 pages, and still one call.",
        ..CALL
    },
    Row {
        name: "remap/invlpg/64",
        operation: "remap 64 pages, flush",
        mechanism: "edit, invlpg each",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "invlpg/64"),
        explain: "The same edit, and an invlpg for each page, which faults at ring 3 and is emulated.",
        ..TRAPPED
    },
    Row {
        name: "remap/trap/1024",
        operation: "remap 1024 pages, flush",
        mechanism: "edit, one call",
        against: &["remap/invlpg/1024", "remap/cr3/1024"],
        place: Place::Guest(Setup::Trap, "remap/1024"),
        explain: "1024 pages, and still one call: what grows is the guest's own writing to its tables, which the host's kernel \
                  may have to follow.",
        ..CALL
    },
    Row {
        name: "remap/invlpg/1024",
        operation: "remap 1024 pages, flush",
        mechanism: "edit, invlpg each",
        against: &[],
        place: Place::Guest(Setup::Trapped, "invlpg/1024"),
        explain: "The same edit, and an invlpg for each page, which faults at ring 3 and is emulated.",
        ..TRAPPED
    },
    Row {
        name: "remap/cr3/1024",
        operation: "remap 1024 pages, flush",
        mechanism: "edit, mov cr3",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "cr3/1024"),
        explain: "The same edit, and one reload of the page-table root.",
        ..TRAPPED
    },
    Row {
        name: "notify/trap",
        operation: "notify a vCPU, one way",
        against: &["notify/pic"],
        place: Place::Guest(Setup::Trap, "notify/call"),
        explain: "A call that raises an event on another vCPU, which does not wait for it.",
        ..CALL
    },
    Row {
        name: "notify/poll",
        operation: "notify a vCPU, one way",
        mechanism: "polled call",
        against: &["notify/trap", "notify/pic"],
        place: Place::GuestPair(Setup::Poll, "notify/call"),
        explain: "The same posted in the line.",
        ..CALL
    },
    Row {
        name: "notify/pic",
        operation: "notify a vCPU, one way",
        mechanism: "interrupt controller",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "pic/end"),
        explain: "One write to the emulated interrupt controller: the least that an interrupt from one processor to another takes.",
        ..TRAPPED
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
];
