//! The table of devices: what an operation takes, beside the same work on the host alone and through trapped notifications or ports.

use super::{line, ratio_of};
use crate::bench::results::{Line, Results};
use crate::bench::statistics::Estimate;
use crate::bench::table::{count, figure, ratio, time};
use std::fmt::{self, Write};

/// An operation of a device.
pub(super) struct Device {
    pub name: &'static str,
    pub row: &'static str,
    /// The same on the host alone: rows, and in words.
    pub alone: &'static [(&'static str, &'static str)],
    /// The row in which it traps.
    pub trapped: Option<&'static str>,
}

/// The table's choice.
pub(super) const DEVICES: &[Device] = &[
    Device {
        name: "disk: read 4 KiB, one at a time",
        row: "disk/1",
        alone: &[
            ("floor/pread", "`pread`"),
            ("floor/disk/1", "two threads on such a ring that `pread`"),
            ("floor/mapped/1", "two that copy from a mapping, as it does"),
        ],
        trapped: Some("disk/ata"),
    },
    Device {
        name: "disk: read 4 KiB, 32 in flight",
        row: "disk/32",
        alone: &[
            ("floor/disk", "two threads on such a ring that `pread`"),
            ("floor/mapped", "two that copy from a mapping, as it does"),
        ],
        trapped: Some("disk/ata"),
    },
    Device {
        name: "network: a frame of 64 bytes and one back",
        row: "net/request",
        alone: &[("floor/loopback/request", "TCP over loopback")],
        trapped: Some("net/request/trapped"),
    },
    Device {
        name: "network: a ping that the user-mode network answers",
        row: "net/ping",
        alone: &[("floor/loopback/ping", "datagrams over loopback")],
        trapped: Some("net/ping/trapped"),
    },
    Device {
        name: "network: a stream's segment of 1460 bytes",
        row: "net/stream",
        alone: &[("floor/loopback/stream", "TCP over loopback")],
        trapped: Some("net/stream/trapped"),
    },
    Device {
        name: "socket: 64 bytes to the host and back",
        row: "vsock/request",
        alone: &[("floor/unix/request", "a pair of Unix sockets")],
        trapped: None,
    },
    Device {
        name: "socket: a stream's 4 KiB",
        row: "vsock/stream",
        alone: &[("floor/unix/stream", "a pair of Unix sockets")],
        trapped: None,
    },
    Device {
        name: "web server: requests over 8 connections",
        row: "http/guest",
        alone: &[("floor/http", "threads with the same code")],
        trapped: None,
    },
    Device {
        name: "those threads, without a guest",
        row: "floor/http",
        alone: &[],
        trapped: None,
    },
];

const HEAD: &str = "
| devices | an operation | p50 | p99 | kicks and events | what it costs of the same on the host alone | of the same trapped |
|---|---:|---:|---:|---:|---|---:|
";

/// Writes it, if any of its rows was measured.
pub(super) fn write(text: &mut String, results: &Results) -> fmt::Result {
    let known = |device: &'static Device| Some((device, line(results, device.row)?));
    let mut lines = DEVICES.iter().filter_map(known).peekable();
    if lines.peek().is_some() {
        text.push_str(HEAD);
    }
    lines.try_for_each(|(device, line)| write_line(text, device, line))
}

fn write_line(text: &mut String, device: &Device, line: &Line) -> fmt::Result {
    let or_nothing = |shown: Option<String>| shown.unwrap_or_else(|| "–".to_owned());
    let signals = line.kicks.zip(line.events);
    write!(text, "| {} (`{}`) |", device.name, device.row)?;
    for shown in [
        figure(line),
        line.p50_ns.map(time),
        line.p99_ns.map(time),
        signals.map(|(kicks, events)| count(kicks + events)),
    ] {
        write!(text, " {} |", or_nothing(shown))?;
    }
    let part = |row: &str| ratio_of(line, row).map(|part: Estimate| ratio(part.median));
    let beside = |(row, words): &(&str, &str)| Some(format!("{} of {words}", part(row)?));
    let alone: Vec<String> = device.alone.iter().filter_map(beside).collect();
    let alone = Some(alone.join("; ")).filter(|alone| !alone.is_empty());
    let trapped = device.trapped.and_then(part);
    writeln!(text, " {} | {} |", or_nothing(alone), or_nothing(trapped))
}
