//! Calls and what they carry: the null call on every transport, batches, bytes in and out.

use super::super::guest::Setup;
use super::{CALL, Figure, Place, Row, TRAPPED};

/// The rows.
pub(super) const ROWS: &[Row] = &[
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
        explain: "The same call, posted in a line of shared memory that a host thread on the other processor looks at: no exit. Its \
                  floor is two threads of one process that answer each other in such a line.",
        ..CALL
    },
    Row {
        name: "null/poll/timed",
        operation: "null call",
        mechanism: "polled call, timed",
        against: &["null/poll"],
        place: Place::GuestPair(Setup::Timed, "null"),
        explain: "The polled call where the operator asks how long calls take, with --stats, --outcome or calls.timed: the guest and the host then read \
                  their clocks around the call and keep the lengths. Where nobody asks, all of that is a branch each.",
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
    Row {
        name: "null/bell",
        operation: "null call",
        mechanism: "doorbell, one way",
        against: &["floor/bell", "null/trap"],
        per: RUNG,
        place: Place::GuestPair(Setup::Trap, "bell/1"),
        explain: "A call is queued and a doorbell rung for it, 64 times, and then the last of them is waited for: what one costs. The guest goes on when the \
                  host's kernel has noted the ring; another thread of this process serves it. Its floor is the ring alone.",
        ..CALL
    },
    Row {
        name: "hog/trap",
        operation: "null call beside hogs: p99",
        against: &[],
        place: Place::Guest(Setup::Trap, "null/hog"),
        figure: Figure::P99,
        hogs: true,
        explain: "What one trap call in a hundred exceeds while a thread that never stops competes for each of the two processors. The host's \
                  scheduler takes the processor away for milliseconds at a time.",
        ..CALL
    },
    Row {
        name: "hog/auto",
        operation: "null call beside hogs: p99",
        mechanism: "adaptive",
        against: &["hog/trap"],
        place: Place::GuestPair(Setup::Auto, "null/hog"),
        figure: Figure::P99,
        hogs: true,
        explain: "The same where the poller, too, has to share its processor: a guest that waits for it in vain loses its patience and traps.",
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
        name: "batch/bell/64",
        operation: "null calls in a batch",
        mechanism: "64, one doorbell",
        against: &["floor/bell", "batch/trap/64"],
        per: RUNG,
        place: Place::GuestPair(Setup::Trap, "bell/64"),
        explain: "Likewise, submitted with one doorbell, and waited for: the guest could do something else meanwhile. A thread of this process wakes up, serves \
                  all and tells the guest with an event.",
        ..CALL
    },
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
        against: &["null/trap", "console/uart/1"],
        place: Place::Guest(Setup::Trap, "console/1"),
        explain: "One byte from the guest's memory to a console that leads nowhere: permission, address check and copy included.",
        ..CALL
    },
    Row {
        name: "console/poll/1",
        operation: "console write, 1 byte",
        mechanism: "polled call",
        against: &["console/trap/1", "console/uart/1"],
        place: Place::GuestPair(Setup::Poll, "console/1"),
        explain: "One byte, without an exit.",
        ..CALL
    },
    Row {
        name: "console/uart/1",
        operation: "console write, 1 byte",
        mechanism: "16550 UART",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "uart/1"),
        explain: "One byte as an early console of an ordinary kernel sends it: a look at the line status of the 16550, and a write. Two exits.",
        ..TRAPPED
    },
    Row {
        name: "console/trap/64",
        operation: "console write, 64 bytes",
        against: &["null/trap", "console/uart/64"],
        place: Place::Guest(Setup::Trap, "console/64"),
        explain: "A line of text in one call.",
        ..CALL
    },
    Row {
        name: "console/poll/64",
        operation: "console write, 64 bytes",
        mechanism: "polled call",
        against: &["console/trap/64", "console/uart/64"],
        place: Place::GuestPair(Setup::Poll, "console/64"),
        explain: "A line of text, without an exit.",
        ..CALL
    },
    Row {
        name: "console/uart/64",
        operation: "console write, 64 bytes",
        mechanism: "16550 UART",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "uart/64"),
        explain: "A line of text to the 16550, two exits for each byte.",
        ..TRAPPED
    },
    Row {
        name: "console/trap/4096",
        operation: "console write, 4096 bytes",
        against: &["null/trap"],
        place: Place::Guest(Setup::Trap, "console/4096"),
        explain: "A page of text in one call: the copy is all that grows.",
        ..CALL
    },
    Row {
        name: "console/poll/4096",
        operation: "console write, 4096 bytes",
        mechanism: "polled call",
        against: &["console/trap/4096", "console/uart/4096"],
        place: Place::GuestPair(Setup::Poll, "console/4096"),
        explain: "A page of text, without an exit: the copy is most of it.",
        ..CALL
    },
    Row {
        name: "console/uart/4096",
        operation: "console write, 4096 bytes",
        mechanism: "16550 UART",
        against: &[],
        place: Place::Guest(Setup::Trapped, "uart/4096"),
        explain: "A page of text to the 16550, two exits for each byte.",
        ..TRAPPED
    },
];

/// Calls that the guest queues before it waits for them, where doorbells submit them.
const RUNG: u32 = 64;

/// Calls that do nothing, submitted together: a row for each size and transport.
const BATCHES: [Row; 8] = [
    batch("batch/trap/1", 1, "1, one exit", "batch/1"),
    batch("batch/trap/8", 8, "8, one exit", "batch/8"),
    batch("batch/trap/64", 64, "64, one exit", "batch/64"),
    batch("batch/trap/512", 512, "512, one exit", "batch/512"),
    polled_batch("batch/poll/1", 1, "1, one post", "batch/1"),
    polled_batch("batch/poll/8", 8, "8, one post", "batch/8"),
    Row {
        against: &["null/poll", "floor/ring"],
        ..polled_batch("batch/poll/64", 64, "64, one post", "batch/64")
    },
    polled_batch("batch/poll/512", 512, "512, one post", "batch/512"),
];

const fn batch(name: &'static str, per: u32, mechanism: &'static str, work: &'static str) -> Row {
    Row {
        name,
        operation: "null calls in a batch",
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
