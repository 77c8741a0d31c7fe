//! Sockets between guest and host, and those of the host alone.

use super::super::floor::loopback;
use super::super::guest::Setup;
use super::super::subject;
use super::{CALL, FLOOR, Place, Row};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "vsock/request",
        operation: "socket to the host: request and answer",
        mechanism: "virtio, doorbells",
        against: &["floor/unix/request"],
        place: Place::GuestPair(Setup::Auto, "vsock/request"),
        explain: "64 bytes to a thread of this process, at a Unix socket that the device is connected to, and 64 back. The I/O thread and that one share a processor.",
        ..CALL
    },
    Row {
        name: "vsock/stream",
        operation: "socket to the host: stream of 4 KiB",
        mechanism: "virtio, doorbells",
        against: &["floor/unix/stream"],
        per: loopback::PAGES.writes,
        place: Place::GuestPair(Setup::Auto, "vsock/stream"),
        explain: "A write of 4 KiB, of 256 one after the other, the last of which is answered with a byte. The guest copies each into a buffer on one processor; on the other \
                  the I/O thread writes it to a Unix socket, and a thread of this process reads it from there.",
        ..CALL
    },
    Row {
        name: "floor/unix/request",
        operation: "floors",
        mechanism: "Unix socket, both ways",
        place: Place::HostPair(subject::unix_requests),
        explain: "64 bytes to a thread on the other processor over a pair of Unix sockets, and 64 back.",
        ..FLOOR
    },
    Row {
        name: "floor/unix/stream",
        operation: "floors",
        mechanism: "Unix socket, a stream",
        per: loopback::PAGES.writes,
        place: Place::HostPair(subject::unix_streams),
        explain: "4 KiB over a pair of Unix sockets, each a system call, to a thread on the other processor that reads as many as there are, and a byte back after 256 of them.",
        ..FLOOR
    },
];
