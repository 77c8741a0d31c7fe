//! What a VM did: counts that do not depend on the host's speed, and times.

mod times;

use hypercall_abi::{Status, call};
use std::time::Duration;
pub use times::{CallTimes, Carried, Latency};

/// Exits by kind, calls by number, times. Sums over all vCPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Exits to user space by kind, in order of [`ExitKind`].
    pub exits: [u64; ExitKind::ALL.len()],
    /// Calls by row of [`hypercall_abi::call::TABLE`]: how many, and how many of those were not answered OK.
    pub calls: [CallCount; call::TABLE.len()],
    /// Calls with a number that the table does not have.
    pub unknown_calls: u64,
    /// How often the poller was woken for this VM.
    pub poller_wakes: u64,
    /// For how long it was awake in all: what polling cost in processor time.
    pub poller_awake: Duration,
    /// What each device did, in order of the device table; empty where no guest driver made the I/O thread start.
    pub devices: Vec<DeviceStats>,
    /// The processor time of the poller's thread while it was awake for this VM. It had other VMs at the same time as likely as not: what it did for those
    /// is in there.
    pub poller_cpu: Duration,
    /// The processor time of the I/O thread, which serves the devices.
    pub io_cpu: Duration,
    /// For how long it looked at their queues and found nothing, by the clock: where it had to wait for its processor that is more than it used.
    pub io_looking: Duration,
    /// The processor time of each vCPU's thread, for those that were started, in order of index: in the guest and in the host on its behalf.
    pub vcpu_cpu: Vec<(u32, Duration)>,
    /// How long calls took, in order of number and of [`Carried`]; `None` unless [`Calls::timed`](crate::config::Calls::timed).
    pub times: Option<Vec<CallTimes>>,
    /// From [`Vm::new`](crate::Vm::new) to the guest's first call; `None` if it made none.
    pub to_first_call: Option<Duration>,
    /// From [`Vm::new`](crate::Vm::new) to the VM's end.
    pub to_end: Duration,
}

/// Calls of one row of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCount {
    /// The call's number.
    pub number: u32,
    /// How often it was made.
    pub made: u64,
    /// How often it was answered other than OK.
    pub refused: u64,
    /// How many of those made were served in a call line: by the poller, or after a `LINE` call.
    pub polled: u64,
    /// How many of those made were entries of a batch.
    pub batched: u64,
}

/// What one device did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceStats {
    /// What it is: of [`hypercall_abi::device::kind`].
    pub kind: u32,
    /// Its name in the configuration.
    pub name: String,
    /// Requests answered.
    pub requests: u64,
    /// What went nowhere: packets of a network card, either way, that were too short, too long, too many, or had no link.
    pub dropped: u64,
    /// Requests of a disk that the host could not do. Their drivers were told.
    pub failed: u64,
    /// Why it could not do the first of them, in words.
    pub failure: Option<String>,
    /// How often a doorbell woke the host for it.
    pub kicks: u64,
    /// How often it told the guest.
    pub events: u64,
    /// Bytes that requests carried from the guest, with their headers.
    pub from_guest: u64,
    /// Bytes that their answers carried to it.
    pub to_guest: u64,
    /// From taking a request to answering it: the sum of all.
    pub busy: Duration,
    /// How long single ones took; `None` without any.
    pub latency: Option<Latency>,
    /// Why it stopped serving, the last time it did: what the driver did wrong.
    pub broken: Option<&'static str>,
}

impl DeviceStats {
    /// From taking a request to answering it, in the mean; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let ns = self.busy.as_nanos().checked_div(self.requests.into())?;
        Some(Duration::from_nanos(ns.try_into().unwrap_or(u64::MAX)))
    }
}

/// Why a vCPU left the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum ExitKind {
    /// A call through the gate.
    Call,
    /// An exception, from its stub.
    Exception,
    /// A signal: a stop, a flush on another vCPU, a time limit.
    Kick,
    /// Port I/O, of a device or of none.
    Port,
    /// A memory access that no RAM or device answers.
    Mmio,
    /// A privileged instruction at ring 3, emulated.
    Emulated,
    /// A doorbell that the host's kernel could not ring by itself.
    Doorbell,
    /// Shutdown, internal errors and all others.
    Other,
}

impl ExitKind {
    /// Every kind, in order.
    pub const ALL: [ExitKind; 8] = [
        ExitKind::Call,
        ExitKind::Exception,
        ExitKind::Kick,
        ExitKind::Port,
        ExitKind::Mmio,
        ExitKind::Emulated,
        ExitKind::Doorbell,
        ExitKind::Other,
    ];

    /// The kind's name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ExitKind::Call => "call",
            ExitKind::Exception => "exception",
            ExitKind::Kick => "kick",
            ExitKind::Port => "port",
            ExitKind::Mmio => "mmio",
            ExitKind::Emulated => "emulated",
            ExitKind::Doorbell => "doorbell",
            ExitKind::Other => "other",
        }
    }
}

impl Default for Stats {
    fn default() -> Stats {
        let mut calls = [CallCount::default(); call::TABLE.len()];
        for (count, entry) in calls.iter_mut().zip(call::TABLE) {
            count.number = entry.number;
        }
        Stats {
            exits: [0; ExitKind::ALL.len()],
            calls,
            unknown_calls: 0,
            devices: Vec::new(),
            poller_wakes: 0,
            poller_awake: Duration::ZERO,
            poller_cpu: Duration::ZERO,
            io_cpu: Duration::ZERO,
            io_looking: Duration::ZERO,
            vcpu_cpu: Vec::new(),
            times: None,
            to_first_call: None,
            to_end: Duration::ZERO,
        }
    }
}

impl Stats {
    /// The part of the VM's life for which the poller was awake for it, 0 to 1.
    #[must_use]
    pub fn poller_share(&self) -> f64 {
        let life = self.to_end.as_secs_f64();
        match life > 0.0 {
            true => (self.poller_awake.as_secs_f64() / life).min(1.0),
            false => 0.0,
        }
    }

    /// Counts one call, of a row of the table if it has one.
    pub(crate) fn count_call(&mut self, row: Option<usize>, status: Status) {
        let Some(row) = row.and_then(|row| self.calls.get_mut(row)) else {
            self.unknown_calls += 1;
            return;
        };
        row.made += 1;
        row.refused += u64::from(status != Status::OK);
    }

    /// Adds another vCPU's.
    pub(crate) fn add(&mut self, other: &Stats) {
        for (sum, more) in self.exits.iter_mut().zip(&other.exits) {
            *sum += more;
        }
        for (sum, more) in self.calls.iter_mut().zip(&other.calls) {
            sum.made += more.made;
            sum.refused += more.refused;
            sum.polled += more.polled;
            sum.batched += more.batched;
        }
        self.unknown_calls += other.unknown_calls;
        self.vcpu_cpu.extend(&other.vcpu_cpu);
        self.vcpu_cpu.sort_unstable();
        self.to_first_call = match (self.to_first_call, other.to_first_call) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// All exits.
    #[must_use]
    pub fn total_exits(&self) -> u64 {
        self.exits.iter().sum()
    }

    /// How long a call took where something carried it; `None` where that was not timed or did not happen.
    #[must_use]
    pub fn times_of(&self, number: u32, carried: Carried) -> Option<&CallTimes> {
        let mut times = self.times.iter().flatten();
        times.find(|times| times.number == number && times.carried == carried)
    }

    /// How often a call was made.
    #[must_use]
    pub fn made(&self, number: u32) -> u64 {
        self.calls
            .iter()
            .filter(|count| count.number == number)
            .map(|count| count.made)
            .sum()
    }
}
