//! A disk, through virtio queues and through the ports of an emulated one.

use super::super::guest::Setup;
use super::super::subject;
use super::{CALL, FLOOR, Place, Row, TRAPPED};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "disk/1",
        operation: "read 4 KiB from a disk",
        mechanism: "virtio, one at a time",
        against: &["floor/pread", "floor/disk/1", "floor/mapped/1", "disk/ata"],
        place: Place::GuestPair(Setup::Auto, "disk/1"),
        explain: "The guest reads a block of a disk whose file is in memory and waits for it, as a program without tasks does. The host looks at the \
                  ring while it is busy, so that nothing traps, and copies the block out of a mapping of the file. Its floors are this process reading the same by \
                  `pread`, one thread and no ring, and two threads of it with the same ring between them, of which one reads by `pread`, or copies as the host does.",
        ..CALL
    },
    Row {
        name: "disk/32",
        operation: "read 4 KiB from a disk",
        mechanism: "virtio, 32 in flight",
        against: &["floor/disk", "floor/mapped", "disk/ata"],
        place: Place::GuestPair(Setup::Auto, "disk/32"),
        explain: "The same with 32 reads in flight: each that has ended is followed by another one. Its floors are two threads of this process with the same \
                  ring between them. Kicks and events together are at most one for a hundred reads, which a test asserts.",
        ..CALL
    },
    Row {
        name: "disk/ata",
        operation: "read 4 KiB from a disk",
        mechanism: "ATA, programmed I/O",
        against: &["floor/exit"],
        place: Place::Guest(Setup::Trapped, "disk/ata"),
        explain: "The same file as a PC's first disk, driven as a kernel without DMA does it: seven registers for the command, and for each of eight \
                  sectors a look at the status and one string instruction.",
        ..TRAPPED
    },
    Row {
        name: "floor/pread",
        operation: "floors",
        mechanism: "pread of 4 KiB",
        place: Place::Host(subject::pread),
        explain: "This process reads 4 KiB from a file in memory into a page of its own: the system call and the copy.",
        ..FLOOR
    },
    Row {
        name: "floor/disk/1",
        operation: "floors",
        mechanism: "a disk's ring, 1 deep",
        place: Place::HostPair(subject::disk_one),
        explain: "Two threads of this process, each on its processor: one makes a request of 4 KiB in a split virtqueue and looks until it is answered, the \
                  other reads it from a file in memory by `pread`. No hypervisor: the limit of any disk that another processor serves by system calls, one request at a time.",
        ..FLOOR
    },
    Row {
        name: "floor/disk",
        operation: "floors",
        mechanism: "a disk's ring, 32 deep",
        place: Place::HostPair(subject::disk_many),
        explain: "The same with 32 requests in flight.",
        ..FLOOR
    },
    Row {
        name: "floor/mapped/1",
        operation: "floors",
        mechanism: "the same, mapped",
        place: Place::HostPair(subject::disk_one_mapped),
        explain: "As the ring 1 deep, but the block is copied out of a mapping of the file: the limit of any disk that another processor serves one request at a time.",
        ..FLOOR
    },
    Row {
        name: "floor/mapped",
        operation: "floors",
        mechanism: "the same, mapped, 32 deep",
        place: Place::HostPair(subject::disk_many_mapped),
        explain: "The same with 32 requests in flight. It checks, limits, counts and times nothing.",
        ..FLOOR
    },
];
