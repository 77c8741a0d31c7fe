//! What a kernel does with its machine: clock, timer, masking, identity, address translation, notification.

use super::super::guest::Setup;
use super::{CALL, Place, Row, Side};

/// The rows.
pub(super) const ROWS: &[Row] = &[
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
        against: &[],
        place: Place::Guest(Setup::Trap, "remap/1"),
        explain: "The guest points a page of its own tables elsewhere and makes every vCPU forget the old place. It then looks \
                  through the new mapping, which is part of the figure and proves the flush.",
        ..CALL
    },
    Row {
        name: "remap/trap/64",
        operation: "remap 64 pages, flush",
        mechanism: "edit, one call",
        against: &[],
        place: Place::Guest(Setup::Trap, "remap/64"),
        explain: "64 pages, and still one call.",
        ..CALL
    },
    Row {
        name: "remap/trap/1024",
        operation: "remap 1024 pages, flush",
        mechanism: "edit, one call",
        against: &[],
        place: Place::Guest(Setup::Trap, "remap/1024"),
        explain: "1024 pages, and still one call: what grows is the guest's own writing to its tables, which the host's kernel \
                  may have to follow.",
        ..CALL
    },
    Row {
        name: "notify/trap",
        operation: "notify a vCPU, one way",
        against: &[],
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
];
