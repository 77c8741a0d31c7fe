//! How a VM ended, as one JSON object for programs: what the `--outcome` file contains.
//!
//! Every key is always there. Programs must ignore keys they do not know; `schema` rises when a key goes or changes its meaning.
//!
//! | key | value, null where it does not apply |
//! |---|---|
//! | `schema` | 1 |
//! | `exit_code` | the [code](crate::exit) to exit with |
//! | `end` | `exit`, `panic`, `fault`, `time_limit`, `stopped` (by a signal), or `error` (it never ran, or the host could not go on) |
//! | `message` | what a panicking guest said, what a `broken` fault was, or why the host could not go on |
//! | `signal` | the name of the signal that asked the guest to end, also where it then did so by itself |
//! | `image` | the ELF file |
//! | `site` | for `panic` and `fault`, where: `vcpu`, `file`, `line`, `column` (as a panicking guest reports them), `rip`, `rsp`, `backtrace` |
//! | `fault` | `kind` (`exception`, `nested`, `triple_fault`, `broken`), `vector`, `code`, `address` |
//! | `exits` | `total`, and the count of each [kind](crate::stats::ExitKind) |
//! | `calls` | for each call that was made, by name: `made`, of these `refused` (not answered OK), `polled` (without an exit) and `batched` |
//! | `unknown_calls` | calls whose number means nothing |
//! | `times` | for each call that was made, by name, and for each way it was carried, `trapped`, `polled` or `batched`: [`whole`, `guest`, `transport` and `handler`](CallTimes), each null where it is not known and else `count`, `p50_ns`, `p99_ns` (null where fewer than ten calls lie beyond it), `max_ns`, in nanoseconds |
//! | `devices` | for each device, in order of the device table, if a driver made any of them work: `kind`, `name`, `requests` (answered), `dropped` (packets that went nowhere), `failed` (requests that the host could not do) and `failure` (why not the first; null without any), `kicks`, `events`, `from_guest` and `to_guest` (bytes that requests and answers carried, with their headers), `mean_ns`, `p50_ns`, `p99_ns` (null where fewer than ten requests lie beyond it) and `max_ns` (from taking a request to answering it; null without any), `broken` (why it stopped serving, the last time it did) |
//! | `vcpus` | for each vCPU that was started, in order: `index`, `cpu_ns`, the processor time of its thread in nanoseconds |
//! | `poller` | `wakes` (how often it was woken for this VM), `awake_ns` (for how long in all), `awake_share` (of the time to the end, 0 to 1), `cpu_ns` (the processor time of its thread meanwhile) |
//! | `io` | the I/O thread: `cpu_ns` (its processor time), `looking_ns` (for how long it looked at the devices' queues in vain, by the clock); 0 where no driver made it start |
//! | `to_first_call_ns` | nanoseconds from the start to the first call |
//! | `to_end_ns` | nanoseconds from the start to the end |
//!
//! Addresses are strings such as `"0x201000"`: a JSON number does not hold 64 bits everywhere.

use super::devices::Device;
use super::{Ended, signals, table};
use crate::fault::{Cause, Fault, Panic, Registers};
use crate::stats::{CallCount, CallTimes, ExitKind, Latency, Stats};
use crate::{End, Error, StopReason};
use hypercall_abi::fault::vector::PAGE_FAULT;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The object: see the module.
#[derive(Serialize, Default)]
pub(super) struct Summary {
    schema: u32,
    exit_code: u8,
    end: &'static str,
    message: Option<String>,
    signal: Option<&'static str>,
    image: Option<String>,
    site: Option<Site>,
    fault: Option<Kind>,
    exits: Option<BTreeMap<&'static str, u64>>,
    calls: Option<BTreeMap<&'static str, Count>>,
    unknown_calls: Option<u64>,
    times: Option<BTreeMap<&'static str, BTreeMap<&'static str, Times>>>,
    devices: Option<Vec<Device>>,
    vcpus: Option<Vec<Processor>>,
    poller: Option<Poller>,
    io: Option<Io>,
    to_first_call_ns: Option<u64>,
    to_end_ns: Option<u64>,
}

/// `site`.
#[derive(Serialize)]
struct Site {
    vcpu: u32,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    rip: String,
    rsp: String,
    backtrace: Vec<String>,
}

/// `fault`.
#[derive(Serialize)]
struct Kind {
    kind: &'static str,
    vector: Option<u32>,
    code: Option<u32>,
    address: Option<String>,
}

/// One of `calls`.
#[derive(Serialize)]
struct Count {
    made: u64,
    refused: u64,
    polled: u64,
    batched: u64,
}

/// One of `times`.
#[derive(Serialize)]
struct Times {
    whole: Option<Lengths>,
    guest: Option<Lengths>,
    transport: Option<Lengths>,
    handler: Lengths,
}

/// A part of one of `times`.
#[derive(Serialize)]
struct Lengths {
    count: u64,
    p50_ns: u64,
    p99_ns: Option<u64>,
    max_ns: u64,
}

/// One of `vcpus`.
#[derive(Serialize)]
struct Processor {
    index: u32,
    cpu_ns: u64,
}

/// `poller`.
#[derive(Serialize)]
struct Poller {
    wakes: u64,
    awake_ns: u64,
    awake_share: f64,
    cpu_ns: u64,
}

/// `io`.
#[derive(Serialize)]
struct Io {
    cpu_ns: u64,
    looking_ns: u64,
}

impl Summary {
    /// What there is to say of a run.
    pub fn of(ended: &Result<Ended, Error>) -> Summary {
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                return Summary {
                    schema: 1,
                    exit_code: error.exit_code(),
                    end: "error",
                    message: Some(error.to_string()),
                    ..Summary::default()
                };
            }
        };
        let summary = Summary {
            schema: 1,
            exit_code: ended.code(),
            signal: ended.signal.map(signals::name),
            image: Some(ended.image.to_string_lossy().into_owned()),
            ..Summary::default()
        };
        let summary = match &ended.outcome.end {
            End::Exit(_) => Summary {
                end: "exit",
                ..summary
            },
            End::Stopped(StopReason::TimeLimit) => Summary {
                end: "time_limit",
                ..summary
            },
            End::Stopped(StopReason::Requested) => Summary {
                end: "stopped",
                ..summary
            },
            End::Panic(panic) => Summary {
                end: "panic",
                message: Some(panic.message.clone()),
                site: Some(Site::of_panic(panic)),
                ..summary
            },
            End::Fault(fault) => Summary {
                end: "fault",
                message: match &fault.cause {
                    Cause::Broken(what) => Some(what.clone()),
                    _ => None,
                },
                site: Some(Site::of_fault(fault)),
                fault: Some(Kind::of(&fault.cause)),
                ..summary
            },
        };
        summary.with(&ended.outcome.stats)
    }

    fn with(self, stats: &Stats) -> Summary {
        let mut exits: BTreeMap<_, _> = ExitKind::ALL
            .iter()
            .map(|kind| kind.name())
            .zip(stats.exits)
            .collect();
        exits.insert("total", stats.total_exits());
        let made = stats.calls.iter().filter(|count| count.made != 0);
        let counts = made.map(|count| (table::name(count.number), Count::of(count)));
        Summary {
            exits: Some(exits),
            calls: Some(counts.collect()),
            unknown_calls: Some(stats.unknown_calls),
            times: stats.times.as_deref().map(times),
            devices: Some(stats.devices.iter().map(Device::of).collect()),
            vcpus: Some(stats.vcpu_cpu.iter().map(Processor::of).collect()),
            poller: Some(Poller::of(stats)),
            io: Some(Io {
                cpu_ns: nanos(stats.io_cpu),
                looking_ns: nanos(stats.io_looking),
            }),
            to_first_call_ns: stats.to_first_call.map(nanos),
            to_end_ns: Some(nanos(stats.to_end)),
            ..self
        }
    }
}

impl Site {
    fn of_panic(panic: &Panic) -> Site {
        let (file, line, column) = match &panic.location {
            Some((file, line, column)) => (Some(file.clone()), Some(*line), Some(*column)),
            None => (None, None, None),
        };
        Site {
            file,
            line,
            column,
            ..Site::at(panic.vcpu, &panic.registers, &panic.backtrace)
        }
    }

    fn of_fault(fault: &Fault) -> Site {
        Site::at(fault.vcpu, &fault.registers, &fault.backtrace)
    }

    fn at(vcpu: u32, registers: &Registers, backtrace: &[u64]) -> Site {
        let [_, _, _, _, rsp, ..] = registers.gpr;
        Site {
            vcpu,
            file: None,
            line: None,
            column: None,
            rip: address(registers.rip),
            rsp: address(rsp),
            backtrace: backtrace.iter().copied().map(address).collect(),
        }
    }
}

impl Kind {
    fn of(cause: &Cause) -> Kind {
        let (kind, vector, code, at) = match *cause {
            Cause::Exception {
                vector,
                code,
                address,
            } => ("exception", vector, code, address),
            Cause::Nested {
                vector,
                code,
                address,
                ..
            } => ("nested", vector, code, address),
            Cause::TripleFault => return Kind::without("triple_fault"),
            Cause::Broken(_) => return Kind::without("broken"),
        };
        Kind {
            kind,
            vector: Some(vector),
            code: Some(code),
            address: (vector == PAGE_FAULT).then(|| address(at)),
        }
    }

    fn without(kind: &'static str) -> Kind {
        Kind {
            kind,
            vector: None,
            code: None,
            address: None,
        }
    }
}

impl Count {
    fn of(count: &CallCount) -> Count {
        Count {
            made: count.made,
            refused: count.refused,
            polled: count.polled,
            batched: count.batched,
        }
    }
}

/// By the call's name, and by what carried it.
fn times(all: &[CallTimes]) -> BTreeMap<&'static str, BTreeMap<&'static str, Times>> {
    let mut calls = BTreeMap::<_, BTreeMap<_, _>>::new();
    for times in all {
        let call = calls.entry(table::name(times.number)).or_default();
        call.insert(times.carried.name(), Times::of(times));
    }
    calls
}

impl Times {
    fn of(times: &CallTimes) -> Times {
        Times {
            whole: times.whole.as_ref().map(Lengths::of),
            guest: times.guest.as_ref().map(Lengths::of),
            transport: times.transport.as_ref().map(Lengths::of),
            handler: Lengths::of(&times.handler),
        }
    }
}

impl Lengths {
    fn of(latency: &Latency) -> Lengths {
        Lengths {
            count: latency.count,
            p50_ns: nanos(latency.p50),
            p99_ns: latency.p99.map(nanos),
            max_ns: nanos(latency.max),
        }
    }
}

impl Processor {
    fn of((index, used): &(u32, Duration)) -> Processor {
        Processor {
            index: *index,
            cpu_ns: nanos(*used),
        }
    }
}

impl Poller {
    fn of(stats: &Stats) -> Poller {
        Poller {
            wakes: stats.poller_wakes,
            awake_ns: nanos(stats.poller_awake),
            awake_share: stats.poller_share(),
            cpu_ns: nanos(stats.poller_cpu),
        }
    }
}

fn address(address: u64) -> String {
    format!("{address:#x}")
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}
