//! Whole programs, boot, and what things cost with nothing of ours in them.

use super::super::floor::{bare, program, threads};
use super::super::guest::Setup;
use super::super::qemu;
use super::super::subject;
use super::{CALL, FLOOR, Place, Row, Side};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "program/auto",
        operation: "whole program",
        mechanism: "called, adaptive",
        against: &["program/trapped", "floor/program"],
        place: Place::GuestPair(Setup::Auto, "program/called"),
        per: program::ROUNDS,
        explain: "A round of a program that writes 16 log lines of 64 bytes, each with events masked, reads the clock 64 times, and maps \
                  and looks through 8 pages where none were, with calls as they are by default. After 64 rounds all pages go at once, with one flush. Each \
                  sample is the mean of these 64. Its floor is a plain process that does the same with system calls.",
        ..CALL
    },
    Row {
        name: "program/poll",
        operation: "whole program",
        mechanism: "called, polled",
        against: &["program/trapped", "floor/program"],
        place: Place::GuestPair(Setup::Poll, "program/called"),
        per: program::ROUNDS,
        explain: "The same program with a poller that is woken by its first call. What the flush and each page's first touch cost, the latter in a \
                  row of its own, is most of what is left.",
        ..CALL
    },
    Row {
        name: "program/trap",
        operation: "whole program",
        mechanism: "called, every call traps",
        against: &["program/trapped", "floor/program"],
        place: Place::Guest(Setup::Trap, "program/called"),
        per: program::ROUNDS,
        explain: "The same program on a host that does not poll.",
        ..CALL
    },
    Row {
        name: "program/trapped",
        operation: "whole program",
        mechanism: "trapped",
        side: Side::Trapped,
        against: &[],
        place: Place::Guest(Setup::Trapped, "program/trapped"),
        explain: "The same work as an unmodified kernel does it: cli and sti, the UART, the interval timer, and one reload of the page-table root for \
                  64 rounds, which is no more than the hundred-thousandth part of it.",
        ..CALL
    },
    Row {
        name: "touch/guest",
        operation: "first touch of a mapped page",
        mechanism: "guest",
        against: &["floor/touch"],
        per: program::ROUNDS * program::PAGES,
        place: Place::Guest(Setup::Trap, "touch"),
        explain: "A page that the guest has mapped is looked at for the first time. Where KVM has no second level of address translation, its \
                  kernel then has to copy the entry into tables of its own, and no call is involved: the limit of any guest that maps pages. Each sample is \
                  the mean of 512 pages.",
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
                  polled calls use, six arguments, status and result included. No hypervisor: the limit of any answer from another processor.",
        ..FLOOR
    },
    Row {
        name: "floor/ring",
        operation: "floors",
        mechanism: "two threads, 64 entries",
        per: threads::BATCH,
        place: Place::HostPair(subject::ring),
        explain: "The same two threads with 64 entries in a ring of the layout that batches use: one fills them and posts once, the other reads \
                  and answers each. What one entry costs.",
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
        per: bare::BELLS,
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
        name: "floor/program",
        operation: "floors",
        mechanism: "the whole program",
        place: Place::Host(subject::program),
        per: program::ROUNDS,
        explain: "The whole program as a plain process: write to /dev/null, clock_gettime, mmap of 8 pages, and a munmap for 64 rounds.",
        ..FLOOR
    },
    Row {
        name: "floor/touch",
        operation: "floors",
        mechanism: "first touch of a page",
        per: program::ROUNDS * program::PAGES,
        place: Place::Host(subject::touch),
        explain: "A process that looks for the first time at pages of a file in memory that it has mapped and not populated, 8 to a mapping: \
                  its kernel brings in all 8 with the first.",
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
        against: &["null/trap", "null/poll"],
        per: qemu::READS as u32,
        place: Place::Qemu("tcg"),
        explain: "A ring-0 guest that reads a port with no device, under QEMU's translator: no processor mode is left, so nothing \
                  traps. It wins this row by far, and loses where guest code has to compute. QEMU is stopped outside its blocks.",
        ..CALL
    },
    Row {
        name: "qemu/kvm",
        operation: "empty port read",
        mechanism: "QEMU, KVM",
        side: Side::Trapped,
        against: &["null/trap", "null/poll"],
        per: qemu::READS as u32,
        place: Place::Qemu("kvm"),
        explain: "The same image under QEMU with this host's KVM.",
        ..CALL
    },
];
