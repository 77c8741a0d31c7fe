//! What all of it comes to: what of Trapless is fast on this host and what is not. Pure.

use super::capability::Capability;
use super::machine::Machine;
use super::probe::{Measured, Ring0};
use serde::Serialize;

/// How something does on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// As fast as it can be.
    Good,
    /// It works and costs more than elsewhere.
    Slow,
    /// It does not work, or not usefully.
    No,
}

/// One conclusion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Of what.
    pub subject: &'static str,
    /// How it does.
    pub rating: Rating,
    /// Why, and what would help; one line.
    pub why: String,
}

/// An exit that takes longer is no hardware's doing.
const QUICK_EXIT_NS: f64 = 10_000.0;

/// Draws the conclusions.
#[must_use]
pub fn verdicts(
    measured: &Measured,
    machine: &Machine,
    capabilities: &[Capability],
) -> Vec<Verdict> {
    let has = |name| {
        capabilities
            .iter()
            .any(|each| each.name == name && each.present)
    };
    vec![
        guests(measured),
        unmodified(measured),
        traps(measured),
        cores(machine),
        doorbells(measured, has("KVM_CAP_IOEVENTFD")),
        memory(machine),
    ]
}

fn verdict(subject: &'static str, rating: Rating, why: impl Into<String>) -> Verdict {
    Verdict {
        subject,
        rating,
        why: why.into(),
    }
}

fn guests(measured: &Measured) -> Verdict {
    let why = format!(
        "run at ring 3, natively: {:.2} ns an instruction",
        measured.ring3_ns
    );
    verdict("guests that link the SDK", Rating::Good, why)
}

fn unmodified(measured: &Measured) -> Verdict {
    let subject = "kernels that need ring 0";
    match measured.ring0 {
        Ring0::Native => verdict(subject, Rating::Good, "ring 0 is native"),
        Ring0::Emulated => {
            let times = measured.ring0_ns / measured.ring3_ns;
            let why = format!("ring 0 is emulated, {times:.0}× slower: use a host with VMX or SVM");
            verdict(subject, Rating::No, why)
        }
    }
}

fn traps(measured: &Measured) -> Verdict {
    let (micros, each_second) = (measured.exit_ns / 1e3, 1e9 / measured.exit_ns);
    let why = format!("{micros:.1} µs each: at most {each_second:.0} a second on a vCPU");
    let quick = measured.exit_ns < QUICK_EXIT_NS;
    verdict(
        "calls that trap",
        if quick { Rating::Good } else { Rating::Slow },
        why,
    )
}

fn cores(machine: &Machine) -> Verdict {
    let subject = "host and guest at once";
    match machine.cpus.len() {
        0 | 1 => verdict(
            subject,
            Rating::No,
            "one usable core: polled calls and further vCPUs need a second",
        ),
        cores => {
            let why = format!("{cores} cores: vCPUs and a host thread that polls run side by side");
            verdict(subject, Rating::Good, why)
        }
    }
}

fn doorbells(measured: &Measured, offered: bool) -> Verdict {
    let subject = "doorbells";
    match measured.bell_ns {
        Some(ns) if offered => {
            let why = format!("stay in the kernel: {:.1} µs each", ns / 1e3);
            verdict(subject, Rating::Good, why)
        }
        _ => verdict(subject, Rating::Slow, "no ioeventfd: each one traps"),
    }
}

fn memory(machine: &Machine) -> Verdict {
    let subject = "first touch of memory";
    match machine.huge_pages.as_deref() {
        Some(setting @ ("always" | "madvise")) => {
            let why = format!("in huge pages (transparent_hugepage: {setting})");
            verdict(subject, Rating::Good, why)
        }
        _ => verdict(
            subject,
            Rating::Slow,
            "4 KiB at a time: set transparent_hugepage/enabled to madvise",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cpus: &[u32], huge_pages: &str) -> Machine {
        Machine {
            kernel: None,
            cpu: None,
            cpus: cpus.to_vec(),
            online: vec![0, 1],
            load: None,
            memory: None,
            available: None,
            huge_pages: Some(huge_pages.to_owned()),
        }
    }

    fn ratings(measured: &Measured, machine: &Machine, ioeventfd: bool) -> Vec<Rating> {
        let capability = Capability {
            name: "KVM_CAP_IOEVENTFD",
            purpose: "",
            needed: false,
            present: ioeventfd,
        };
        verdicts(measured, machine, &[capability])
            .iter()
            .map(|each| each.rating)
            .collect()
    }

    #[test]
    fn each_host_gets_what_it_deserves() {
        use Rating::{Good, No, Slow};
        let software = Measured {
            ring3_ns: 0.3,
            ring0_ns: 700.0,
            ring0: Ring0::Emulated,
            exit_ns: 26_000.0,
            bell_ns: Some(3_000.0),
            tsc_offset: 0,
            tsc_khz: None,
        };
        let hardware = Measured {
            ring0_ns: 0.3,
            ring0: Ring0::Native,
            exit_ns: 1_500.0,
            ..software.clone()
        };
        let quiet = machine(&[0, 1], "madvise");
        assert_eq!(
            ratings(&software, &quiet, true),
            [Good, No, Slow, Good, Good, Good]
        );
        assert_eq!(ratings(&hardware, &quiet, true), [Good; 6]);
        let poor = machine(&[0], "never");
        assert_eq!(
            ratings(&hardware, &poor, false),
            [Good, Good, Good, No, Slow, Slow]
        );
    }
}
