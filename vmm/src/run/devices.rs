//! Devices in reports: lines of the table for people, and the objects of the summary for programs.

use super::table::length;
use crate::Config;
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
        "{:26}{:>12}{:>10}{:>10}{:>10} | {:>8}{:>8}{:>11}{:>10}",
        "devices", "requests", "p50", "p99", "max", "kicks", "events", "out", "in"
    )?;
    for device in shown {
        let name = match kind_name(device.kind) {
            kind if kind == device.name => format!("  {kind}"),
            kind => format!("  {kind} {}", device.name),
        };
        write!(
            text,
            "{name:26}{:>12}{:>10}{:>10}{:>10} | {:>8}{:>8}{:>11}{:>10}",
            device.requests,
            length(device.latency.map(|latency| latency.p50)),
            length(device.latency.and_then(|latency| latency.p99)),
            length(device.latency.map(|latency| latency.max)),
            device.kicks,
            device.events,
            bytes(device.from_guest),
            bytes(device.to_guest),
        )?;
        if device.dropped != 0 {
            write!(text, "  ({} dropped)", device.dropped)?;
        }
        if let Some(why) = &device.failure {
            write!(text, "  ({} failed, first: {why})", device.failed)?;
        }
        if let Some(why) = device.broken {
            write!(text, "  (broken: {why})")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// A line for each device for which the host could not do what it was asked: whoever looks after the host should know, whatever the guest makes of it.
pub(super) fn failures(config: &Config, all: &[DeviceStats]) -> String {
    let failed = all.iter().filter(|device| device.failed != 0);
    let line = |device: &DeviceStats| {
        let path = config.disks.iter().find(|disk| disk.name == device.name);
        let place = path.map_or(String::new(), |disk| format!(" ({})", disk.path.display()));
        let requests = if device.failed == 1 {
            "request"
        } else {
            "requests"
        };
        format!(
            "trapless: {} {}{place}: the host could not do {} {requests}, the first for this: {}\n",
            kind_name(device.kind),
            device.name,
            device.failed,
            device.failure.as_deref().unwrap_or("not known"),
        )
    };
    failed.map(line).collect()
}

/// A number of bytes in the unit that suits it.
fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KiB", count >> 10),
        10_000_000..10_000_000_000 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
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
    failed: u64,
    failure: Option<String>,
    kicks: u64,
    events: u64,
    from_guest: u64,
    to_guest: u64,
    mean_ns: Option<u64>,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
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
            failed: stats.failed,
            failure: stats.failure.clone(),
            kicks: stats.kicks,
            events: stats.events,
            from_guest: stats.from_guest,
            to_guest: stats.to_guest,
            mean_ns: stats.mean().map(nanos),
            p50_ns: stats.latency.map(|latency| nanos(latency.p50)),
            p99_ns: stats.latency.and_then(|latency| latency.p99).map(nanos),
            max_ns: stats.latency.map(|latency| nanos(latency.max)),
            broken: stats.broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Latency;
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
                from_guest: 0,
                to_guest: 10_240,
                latency: Some(Latency {
                    count: 4,
                    p50: Duration::from_nanos(1100),
                    p99: None,
                    max: Duration::from_micros(3),
                }),
                ..DeviceStats::default()
            },
            DeviceStats {
                kind: kind::BLOCK,
                name: "data".into(),
                failed: 3,
                failure: Some("no room".into()),
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
            "devices                       requests       p50       p99       max |    kicks  events        out        in\n\
             \x20 rng                                4   1100 ns         -   3000 ns |        2       3        0 B    10 KiB\n\
             \x20 disk data                          0         -         -         - |        0       0        0 B       0 B  (3 failed, first: no room)  (broken: a chain loops)\n"
        );
        text.clear();
        write(&mut text, &devices()[2..]).unwrap();
        assert_eq!(text, "");
    }

    #[test]
    fn what_the_host_could_not_do_is_said_with_its_place() {
        let mut config = Config::new(crate::config::Image::File("g".into()));
        let disk = crate::config::Disk::new("data", "/images/data.img".into());
        config.disks.push(disk);
        assert_eq!(
            failures(&config, &devices()),
            "trapless: disk data (/images/data.img): the host could not do 3 requests, the first for this: no room\n"
        );
        assert_eq!(failures(&config, &devices()[2..]), "");
    }

    #[test]
    fn an_object_has_every_key() {
        let [rng, disk, _] = &devices();
        assert_eq!(
            json!([Device::of(rng), Device::of(disk)]),
            json!([
                {
                    "kind": "rng", "name": "rng", "requests": 4, "dropped": 0, "failed": 0, "failure": null, "kicks": 2, "events": 3,
                    "from_guest": 0, "to_guest": 10_240,
                    "mean_ns": 1500, "p50_ns": 1100, "p99_ns": null, "max_ns": 3000, "broken": null,
                },
                {
                    "kind": "disk", "name": "data", "requests": 0, "dropped": 0, "failed": 3, "failure": "no room", "kicks": 0, "events": 0,
                    "from_guest": 0, "to_guest": 0, "mean_ns": null, "p50_ns": null, "p99_ns": null, "max_ns": null, "broken": "a chain loops",
                },
            ])
        );
    }
}
