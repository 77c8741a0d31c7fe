//! The network: frames through a card, through one whose notifications trap, and the host's own loopback.

use super::super::floor::loopback;
use super::super::guest::Setup;
use super::super::subject;
use super::{CALL, FLOOR, Figure, Place, Row, TRAPPED};

/// What the rows of trapped notifications are.
const TRAPPED_KICKS: Row = Row {
    mechanism: "virtio, trapped kicks",
    against: &["floor/exit"],
    explain: "The same frames by the same driver, where the kick for each frame is an exit, as is the end of each interrupt, and the host looks \
              at a queue only when it was kicked.",
    ..TRAPPED
};

/// The rows.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "net/request",
        operation: "network: request and answer",
        mechanism: "virtio, doorbells",
        against: &["net/request/trapped", "floor/loopback/request"],
        place: Place::GuestPair(Setup::Auto, "net/request"),
        explain: "A frame of 64 bytes to a thread of this process, at the other end of the card's socket, and the same back. It holds two wake-ups each way, of the I/O \
                  thread and of that one, which share a processor; the loopback has one.",
        ..CALL
    },
    Row {
        name: "net/request/trapped",
        operation: "network: request and answer",
        place: Place::GuestPair(Setup::Trapped, "net/request/trapped"),
        ..TRAPPED_KICKS
    },
    Row {
        name: "net/ping",
        operation: "network: ping the gateway",
        mechanism: "virtio, doorbells",
        against: &["net/ping/trapped", "floor/loopback/ping"],
        place: Place::GuestPair(Setup::Auto, "net/ping"),
        explain: "An ICMP echo, a frame of 78 bytes, to the gateway of a user-mode network and its answer, which that network gives by itself in the I/O thread: the way of a frame in \
                  and out, and no other program.",
        ..CALL
    },
    Row {
        name: "net/ping/trapped",
        operation: "network: ping the gateway",
        place: Place::GuestPair(Setup::Trapped, "net/ping/trapped"),
        ..TRAPPED_KICKS
    },
    Row {
        name: "net/stream",
        operation: "network: stream of 1460-byte segments",
        mechanism: "virtio, doorbells",
        against: &["net/stream/trapped", "floor/loopback/stream"],
        per: loopback::SEGMENTS.writes,
        place: Place::GuestPair(Setup::Auto, "net/stream"),
        explain: "A frame of 1460 bytes and its header, of 1024 one after the other, the last of which comes back. The guest fills buffers on one processor; on the other the I/O \
                  thread copies them out of the guest's memory and into a socket, and a thread of this process out of that.",
        ..CALL
    },
    Row {
        name: "net/stream/trapped",
        operation: "network: stream of 1460-byte segments",
        per: loopback::SEGMENTS.writes,
        place: Place::GuestPair(Setup::Trapped, "net/stream/trapped"),
        ..TRAPPED_KICKS
    },
    Row {
        name: "http/guest",
        operation: "web server, 8 connections",
        mechanism: "guest, user-mode network",
        against: &["floor/http"],
        place: Place::HostPair(subject::web_guest),
        figure: Figure::Rate,
        explain: "The example that is a web server, asked by the host through a port that user-mode networking forwards, as `wrk -t1 -c8` asks: 8 connections that stay, each \
                  of which asks for the page again as soon as it was answered, from one thread that has the first processor. The figure is requests a second, the percentiles are of \
                  a request's latency, and kicks and events are a request's, too. A request crosses the host's TCP, that of the user-mode network in the I/O thread, and the \
                  guest's own. Guest and I/O thread share the second processor.",
        ..CALL
    },
    Row {
        name: "floor/http",
        operation: "floors",
        mechanism: "web server, threads",
        place: Place::HostPair(subject::web_threads),
        figure: Figure::Rate,
        explain: "The same server code in this process, with a thread for each of the connections, all of them on the second processor, asked in the same way.",
        ..FLOOR
    },
    Row {
        name: "floor/loopback/request",
        operation: "floors",
        mechanism: "loopback, both ways",
        place: Place::HostPair(subject::tcp_requests),
        explain: "64 bytes to a thread on the other processor over a TCP connection within this host, and 64 back.",
        ..FLOOR
    },
    Row {
        name: "floor/loopback/ping",
        operation: "floors",
        mechanism: "loopback, one thread",
        place: Place::Host(subject::datagrams),
        explain: "64 bytes from one UDP socket of a thread to another one of the same over loopback, and back: four system calls, and nobody is woken.",
        ..FLOOR
    },
    Row {
        name: "floor/loopback/stream",
        operation: "floors",
        mechanism: "loopback, a stream",
        per: loopback::SEGMENTS.writes,
        place: Place::HostPair(subject::tcp_streams),
        explain: "A segment of 1460 bytes over a TCP connection within this host, each a system call, to a thread on the other processor that reads as many as there are, and a byte back \
                  after 1024 of them.",
        ..FLOOR
    },
];
