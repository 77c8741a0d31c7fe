//! The machine and its kernel, as far as they decide how fast a VM is. Reads `/proc` and `/sys`; what is not there is left
//! out.

use serde::Serialize;
use std::fs;

/// The machine as this process sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor's model.
    pub cpu: Option<String>,
    /// Processors that this process may run on, by number.
    pub cpus: Vec<u32>,
    /// Processors that are online.
    pub online: Vec<u32>,
    /// The load average of the last minute.
    pub load: Option<f64>,
    /// All memory, in bytes.
    pub memory: Option<u64>,
    /// Memory that could be had without swapping, in bytes.
    pub available: Option<u64>,
    /// Transparent huge pages for private memory: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
}

impl Machine {
    /// Looks.
    #[must_use]
    pub fn look() -> Machine {
        let meminfo = read("/proc/meminfo");
        let kib = |key| {
            value(&meminfo, key)?
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        };
        let bytes = |key| kib(key).and_then(|kib| kib.checked_mul(1024));
        let status = read("/proc/self/status");
        Machine {
            kernel: some(read("/proc/sys/kernel/osrelease").trim()),
            cpu: value(&read("/proc/cpuinfo"), "model name").and_then(some),
            cpus: value(&status, "Cpus_allowed_list").map_or_else(Vec::new, numbers),
            online: numbers(&read("/sys/devices/system/cpu/online")),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok()),
            memory: bytes("MemTotal"),
            available: bytes("MemAvailable"),
            huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What stands behind `key:` in the first line that has it.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then_some(value.trim())
    })
}

/// The word in brackets of a list like `always [madvise] never`.
fn chosen(list: &str) -> Option<String> {
    list.split_whitespace()
        .find_map(|word| some(word.strip_prefix('[')?.strip_suffix(']')?))
}

/// The numbers of a list like `0-2,5`.
fn numbers(list: &str) -> Vec<u32> {
    list.trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_lists() {
        assert_eq!(numbers("0-2,5,8-9\n"), [0, 1, 2, 5, 8, 9]);
        assert_eq!(numbers("3"), [3]);
        assert!(numbers("").is_empty());
        assert_eq!(
            chosen("always [madvise] never\n"),
            Some("madvise".to_owned())
        );
        assert_eq!(chosen("always never"), None);
        assert_eq!(value("a: 1\nb c\t: 2 kB\n", "b c"), Some("2 kB"));
        assert_eq!(value("a: 1\n", "b"), None);
    }

    #[test]
    fn finds_this_machine() {
        let machine = Machine::look();
        assert!(!machine.cpus.is_empty());
        assert!(
            machine.cpus.iter().all(|cpu| machine.online.contains(cpu)),
            "{machine:?}"
        );
        assert!(machine.available <= machine.memory, "{machine:?}");
    }
}
