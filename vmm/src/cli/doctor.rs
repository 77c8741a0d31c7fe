//! `trapless doctor`: says what kind of host this is, why, and what that means.

use super::say;
use std::fmt::Write;
use vmm::host::{Capability, Host, Machine, Measured, Rating, Ring0, Verdict};
use vmm::{Error, exit};

/// Say what kind of host this is, what works on it and how fast
#[derive(clap::Args)]
pub struct Doctor {
    /// Print all of it as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn execute(self) -> Result<u8, Error> {
        let host = Host::examine();
        if self.json {
            let text = serde_json::to_string_pretty(&host).map_err(|error| Error::Os {
                what: "writing JSON".to_owned(),
                source: error.into(),
            })?;
            say(&text);
            say("\n");
        } else {
            say(&render(&host));
        }
        Ok(if host.refusal.is_none() {
            0
        } else {
            exit::NO_KVM
        })
    }
}

fn render(host: &Host) -> String {
    let mut text = String::new();
    let kind = match host.refusal {
        None => host.kind.to_string(),
        Some(_) => "no usable KVM".to_owned(),
    };
    line(&mut text, "host", &format!("{kind}: {}", host.evidence));
    if let Some(refusal) = &host.refusal {
        line(&mut text, "problem", &refusal.problem);
        line(&mut text, "remedy", &refusal.remedy);
    }
    machine(&mut text, &host.machine);
    if let Some(measured) = &host.measured {
        measurements(&mut text, measured);
    }
    capabilities(&mut text, &host.capabilities);
    verdicts(&mut text, &host.verdicts);
    text
}

fn machine(text: &mut String, machine: &Machine) {
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    line(text, "kernel", &or_unknown(&machine.kernel));
    line(text, "processor", &or_unknown(&machine.cpu));
    let load = machine
        .load
        .map_or_else(String::new, |load| format!("; load {load:.2}"));
    let cores = format!(
        "{} usable of {} online{load}",
        machine.cpus.len(),
        machine.online.len()
    );
    line(text, "cores", &cores);
    if let (Some(all), Some(available)) = (machine.memory, machine.available) {
        let memory = format!("{} MiB, {} MiB available", all >> 20, available >> 20);
        line(text, "memory", &memory);
    }
    let pages = machine.huge_pages.as_deref().unwrap_or("none");
    line(
        text,
        "huge pages",
        &format!("{pages} (transparent, private memory)"),
    );
}

fn measurements(text: &mut String, measured: &Measured) {
    heading(text, "measured with a VM of a few instructions");
    let mut row = |name: &str, value: &str| line(text, &format!("  {name}"), value);
    row(
        "ring 3",
        &format!("{:.2} ns an instruction", measured.ring3_ns),
    );
    let ring0 = match measured.ring0 {
        Ring0::Native => "native",
        Ring0::Emulated => "emulated",
    };
    let times = measured.ring0_ns / measured.ring3_ns;
    row(
        "ring 0",
        &format!(
            "{:.2} ns an instruction, {times:.1}× ring 3: {ring0}",
            measured.ring0_ns
        ),
    );
    row(
        "exit",
        &format!(
            "{:.1} µs from ring 3 to user space and back",
            measured.exit_ns / 1e3
        ),
    );
    row(
        "ioeventfd",
        &measured.bell_ns.map_or_else(
            || "none".to_owned(),
            |ns| format!("{:.1} µs from ring 3 to the kernel and back", ns / 1e3),
        ),
    );
    let tsc = match measured.tsc_offset {
        0 => "the guest's is the host's".to_owned(),
        ahead @ 1.. => format!("the guest's is {ahead} ticks ahead of the host's"),
        behind => format!(
            "the guest's is {} ticks behind the host's",
            behind.unsigned_abs()
        ),
    };
    let rate = measured
        .tsc_khz
        .map_or_else(String::new, |khz| format!(", {} MHz", khz / 1000));
    row("TSC", &format!("{tsc}{rate}"));
}

fn capabilities(text: &mut String, capabilities: &[Capability]) {
    if !capabilities.is_empty() {
        heading(text, "capabilities of this KVM");
    }
    for Capability {
        name,
        purpose,
        needed,
        present,
    } in capabilities
    {
        let answer = if *present { "yes" } else { "no" };
        let need = if *needed { ", needed" } else { "" };
        let _ = writeln!(text, "  {answer:<4} {name:<26} {purpose}{need}");
    }
}

fn verdicts(text: &mut String, verdicts: &[Verdict]) {
    if !verdicts.is_empty() {
        heading(text, "what this means");
    }
    for Verdict {
        subject,
        rating,
        why,
    } in verdicts
    {
        let rating = match rating {
            Rating::Good => "good",
            Rating::Slow => "slow",
            Rating::No => "no",
        };
        let _ = writeln!(text, "  {rating:<5} {subject:<25} {why}");
    }
}

fn heading(text: &mut String, heading: &str) {
    let _ = writeln!(text, "\n{heading}");
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<12} {value}");
}
