//! Devices in reports: lines of the table for people, and the objects of the summary for programs.

use super::table::length;
use crate::stats::DeviceStats;
use hypercall_abi::device::kind;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// A line for each device that did something or was broken.
pub(super) fn write(text: &mut String, all: &[DeviceStats]) -> std::fmt::Result {
    let mut shown = all
        .iter()
        .filter(|device| device.requests != 0 || device.kicks != 0 || device.broken.is_some())
        .peekable();
    if shown.peek().is_none() {
        return Ok(());
    }
    writeln!(
        text,
        "{:26}{:>12}{:>10}{:>10}{:>10}{:>10}",
        "devices", "requests", "kicks", "events", "mean", "max"
    )?;
    for device in shown {
        let name = match kind_name(device.kind) {
            kind if kind == device.name => format!("  {kind}"),
            kind => format!("  {kind} {}", device.name),
        };
        write!(
            text,
            "{name:26}{:>12}{:>10}{:>10}{:>10}{:>10}",
            device.requests,
            device.kicks,
            device.events,
            length(device.mean()),
            length(device.mean().map(|_| device.longest)),
        )?;
        if device.dropped != 0 {
            write!(text, "  ({} dropped)", device.dropped)?;
        }
        if let Some(why) = device.broken {
            write!(text, "  (broken: {why})")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn kind_name(number: u32) -> &'static str {
    let known = kind::ALL.iter().find(|(kind, _)| *kind == number);
    known.map_or("unknown", |(_, name)| name)
}

/// One of `devices`.
#[derive(Serialize)]
pub(super) struct Device {
    kind: &'static str,
    name: String,
    requests: u64,
    dropped: u64,
    kicks: u64,
    events: u64,
    mean_ns: Option<u64>,
    max_ns: Option<u64>,
    broken: Option<&'static str>,
}

impl Device {
    pub fn of(stats: &DeviceStats) -> Device {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Device {
            kind: kind_name(stats.kind),
            name: stats.name.clone(),
            requests: stats.requests,
            dropped: stats.dropped,
            kicks: stats.kicks,
            events: stats.events,
            mean_ns: stats.mean().map(nanos),
            max_ns: stats.mean().map(|_| nanos(stats.longest)),
            broken: stats.broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn devices() -> [DeviceStats; 3] {
        [
            DeviceStats {
                kind: kind::RNG,
                name: "rng".into(),
                requests: 4,
                kicks: 2,
                events: 3,
                busy: Duration::from_micros(6),
                longest: Duration::from_micros(3),
                ..DeviceStats::default()
            },
            DeviceStats {
                kind: kind::BLOCK,
                name: "data".into(),
                broken: Some("a chain loops"),
                ..DeviceStats::default()
            },
            DeviceStats {
                kind: kind::NET,
                name: "idle".into(),
                ..DeviceStats::default()
            },
        ]
    }

    #[test]
    fn a_line_says_what_a_device_did() {
        let mut text = String::new();
        write(&mut text, &devices()).unwrap();
        assert_eq!(
            text,
            "devices                       requests     kicks    events      mean       max\n\
             \x20 rng                                4         2         3   1500 ns   3000 ns\n\
             \x20 disk data                          0         0         0         -         -  (broken: a chain loops)\n"
        );
        text.clear();
        write(&mut text, &devices()[2..]).unwrap();
        assert_eq!(text, "");
    }

    #[test]
    fn an_object_has_every_key() {
        let [rng, disk, _] = &devices();
        assert_eq!(
            json!([Device::of(rng), Device::of(disk)]),
            json!([
                {
                    "kind": "rng", "name": "rng", "requests": 4, "dropped": 0, "kicks": 2, "events": 3,
                    "mean_ns": 1500, "max_ns": 3000, "broken": null,
                },
                {
                    "kind": "disk", "name": "data", "requests": 0, "dropped": 0, "kicks": 0, "events": 0,
                    "mean_ns": null, "max_ns": null, "broken": "a chain loops",
                },
            ])
        );
    }
}
