//! What is said of each end: exit code, JSON, and the file it goes to.

use super::record::Record;
use super::{Ended, signals};
use crate::config::{Config, Image};
use crate::fault::{Cause, Fault, Panic, Registers};
use crate::stats::{CallTimes, Carried, Latency, Stats};
use crate::{End, Error, Outcome, StopReason, exit};
use hypercall_abi::fault::vector;
use hypercall_abi::{Status, call};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

fn ended(end: End, signal: Option<i32>) -> Ended {
    let mut stats = Stats {
        exits: [3, 1, 0, 0, 0, 0, 0, 0],
        unknown_calls: 1,
        times: Some(vec![CallTimes {
            number: call::CONSOLE_WRITE,
            carried: Carried::Trapped,
            whole: None,
            guest: None,
            transport: None,
            handler: Latency {
                count: 2,
                p50: Duration::from_nanos(700),
                p99: None,
                max: Duration::from_nanos(800),
            },
        }]),
        vcpu_cpu: vec![(0, Duration::from_millis(1))],
        poller_wakes: 1,
        poller_awake: Duration::from_micros(375),
        poller_cpu: Duration::from_micros(350),
        io_cpu: Duration::from_micros(40),
        io_looking: Duration::from_micros(30),
        to_first_call: None,
        to_end: Duration::from_micros(1500),
        ..Stats::default()
    };
    stats.count_call(call::row(call::CONSOLE_WRITE), Status::OK);
    stats.count_call(call::row(call::CONSOLE_WRITE), Status::IO);
    Ended {
        image: PathBuf::from("/images/hello"),
        outcome: Outcome { end, stats },
        signal,
    }
}

fn registers() -> Registers {
    let mut registers = Registers {
        rip: 0x20_1000,
        ..Registers::default()
    };
    registers.gpr[4] = 0x7f_fff8;
    registers
}

fn panic() -> Panic {
    Panic {
        vcpu: 1,
        message: "no \"luck\"".to_owned(),
        location: Some(("src/main.rs".to_owned(), 7, 5)),
        registers: registers(),
        backtrace: vec![0x20_1000, 0x20_2000],
        calls: Vec::new(),
    }
}

fn fault(cause: Cause) -> Fault {
    Fault {
        vcpu: 0,
        cause,
        registers: registers(),
        backtrace: vec![0x20_1000],
        stack: (0, 0),
        calls: Vec::new(),
    }
}

fn scratch(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("vmm-run-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn written(name: &str, ended: &Result<Ended, Error>) -> Value {
    let directory = scratch(name);
    let path = directory.join("outcome.json");
    Record::at(&path).unwrap().write(ended).unwrap();
    let text = fs::read(&path).unwrap();
    let names = fs::read_dir(&directory).unwrap().count();
    assert_eq!(names, 1, "nothing but the file is left");
    fs::remove_dir_all(directory).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn each_end_has_its_code() {
    use signals::{HANG_UP, TERMINATE};
    const INTERRUPT: i32 = signal_hook::consts::SIGINT;
    let stopped = || End::Stopped(StopReason::Requested);
    for (end, signal, code) in [
        (End::Exit(0), None, 0),
        (End::Exit(255), None, 255),
        (End::Exit(7), Some(INTERRUPT), 7),
        (End::Panic(Box::new(panic())), None, exit::PANIC),
        (
            End::Fault(Box::new(fault(Cause::TripleFault))),
            None,
            exit::FAULT,
        ),
        (End::Stopped(StopReason::TimeLimit), None, exit::TIME_LIMIT),
        (stopped(), Some(INTERRUPT), exit::INTERRUPTED),
        (stopped(), Some(TERMINATE), exit::TERMINATED),
        (stopped(), Some(HANG_UP), exit::HUNG_UP),
    ] {
        let ended = ended(end, signal);
        assert_eq!(ended.code(), code, "{:?}", ended.outcome.end);
    }
}

#[test]
fn a_guest_that_ended_by_itself_is_not_commented_on() {
    let config = Config::new(Image::File(PathBuf::new()));
    assert_eq!(ended(End::Exit(1), None).report(&config), "");
}

#[test]
fn stops_are_explained() {
    let mut config = Config::new(Image::File(PathBuf::new()));
    config.limits.time = Some(Duration::from_millis(1500));
    let late = ended(End::Stopped(StopReason::TimeLimit), None);
    assert_eq!(
        late.report(&config),
        "trapless: stopped at the guest's time limit of 1500ms\n"
    );
    let asked = ended(
        End::Stopped(StopReason::Requested),
        Some(signals::TERMINATE),
    );
    assert_eq!(asked.report(&config), "trapless: stopped by SIGTERM\n");
}

#[test]
fn an_exit_is_recorded() {
    assert_eq!(
        written("exit", &Ok(ended(End::Exit(3), None))),
        json!({
            "schema": 1,
            "exit_code": 3,
            "end": "exit",
            "message": null,
            "signal": null,
            "image": "/images/hello",
            "site": null,
            "fault": null,
            "exits": {"total": 4, "call": 3, "doorbell": 0, "emulated": 0, "exception": 1, "kick": 0, "port": 0, "mmio": 0, "other": 0},
            "calls": {"console_write": {"made": 2, "refused": 1, "polled": 0, "batched": 0}},
            "unknown_calls": 1,
            "times": {"console_write": {"trapped": {
                "whole": null,
                "guest": null,
                "transport": null,
                "handler": {"count": 2, "p50_ns": 700, "p99_ns": null, "max_ns": 800},
            }}},
            "vcpus": [{"index": 0, "cpu_ns": 1_000_000}],
            "devices": [],
            "poller": {"wakes": 1, "awake_ns": 375_000, "awake_share": 0.25, "cpu_ns": 350_000},
            "io": {"cpu_ns": 40_000, "looking_ns": 30_000},
            "to_first_call_ns": null,
            "to_end_ns": 1_500_000,
        })
    );
}

#[test]
fn a_panic_is_recorded() {
    let outcome = written("panic", &Ok(ended(End::Panic(Box::new(panic())), None)));
    assert_eq!(outcome["end"], "panic");
    assert_eq!(outcome["exit_code"], 101);
    assert_eq!(outcome["message"], "no \"luck\"");
    assert_eq!(
        outcome["site"],
        json!({
            "vcpu": 1,
            "file": "src/main.rs",
            "line": 7,
            "column": 5,
            "rip": "0x201000",
            "rsp": "0x7ffff8",
            "backtrace": ["0x201000", "0x202000"],
        })
    );
}

#[test]
fn faults_are_recorded() {
    let page_fault = Cause::Exception {
        vector: vector::PAGE_FAULT,
        code: 6,
        address: 0x10,
    };
    let nested = Cause::Nested {
        vector: vector::DIVIDE,
        code: 0,
        address: 0,
        first: vector::PAGE_FAULT,
    };
    let broken = Cause::Broken("it wrote \u{1} where it should not".to_owned());
    for (cause, message, expected) in [
        (
            page_fault,
            json!(null),
            json!({"kind": "exception", "vector": 14, "code": 6, "address": "0x10"}),
        ),
        (
            nested,
            json!(null),
            json!({"kind": "nested", "vector": 0, "code": 0, "address": null}),
        ),
        (
            Cause::TripleFault,
            json!(null),
            json!({"kind": "triple_fault", "vector": null, "code": null, "address": null}),
        ),
        (
            broken,
            json!("it wrote \u{1} where it should not"),
            json!({"kind": "broken", "vector": null, "code": null, "address": null}),
        ),
    ] {
        let end = End::Fault(Box::new(fault(cause)));
        let outcome = written("fault", &Ok(ended(end, None)));
        assert_eq!(outcome["end"], "fault");
        assert_eq!(outcome["exit_code"], 120);
        assert_eq!(outcome["message"], message);
        assert_eq!(outcome["fault"], expected);
        assert_eq!(outcome["site"]["rip"], "0x201000");
    }
}

#[test]
fn stops_and_errors_are_recorded() {
    let end = End::Stopped(StopReason::Requested);
    let outcome = written("stop", &Ok(ended(end, Some(signals::TERMINATE))));
    assert_eq!(outcome["end"], "stopped");
    assert_eq!(outcome["signal"], "SIGTERM");
    let outcome = written(
        "limit",
        &Ok(ended(End::Stopped(StopReason::TimeLimit), None)),
    );
    assert_eq!(outcome["end"], "time_limit");
    let outcome = written("error", &Err(Error::Build("no such package".to_owned())));
    assert_eq!(outcome["end"], "error");
    assert_eq!(outcome["exit_code"], 70);
    assert_eq!(outcome["message"], "building the guest: no such package");
    assert_eq!(outcome["exits"], json!(null));
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_run() {
    let directory = scratch("refused");
    let missing = directory.join("no/outcome.json");
    let error = Record::at(&missing).err().unwrap();
    assert_eq!(error.exit_code(), exit::CANNOT_CREATE);
    assert!(
        error
            .to_string()
            .contains("no/outcome.json cannot be created"),
        "{error}"
    );
    assert!(Record::at(&directory).is_err(), "a directory");
    let image = directory.join("disk.img");
    fs::write(&image, [0; 512]).unwrap();
    let error = Record::at(&image).err().unwrap().to_string();
    assert!(error.contains("something else"), "{error}");
    fs::write(&image, "").unwrap();
    assert!(Record::at(&image).is_ok(), "an empty file");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_old_file_stays_until_the_new_one_is_complete() {
    let directory = scratch("replaced");
    let path = directory.join("outcome.json");
    fs::write(&path, "{\"old\": 1}").unwrap();
    let record = Record::at(&path).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("old"));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "no draft yet");
    record.write(&Ok(ended(End::Exit(0), None))).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("schema"));
    assert_eq!(
        fs::read_dir(&directory).unwrap().count(),
        1,
        "no draft left"
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_link_stays_a_link() {
    let directory = scratch("link");
    let (path, link) = (
        directory.join("outcome.json"),
        directory.join("latest.json"),
    );
    fs::write(&path, "{\"old\": 1}").unwrap();
    std::os::unix::fs::symlink("outcome.json", &link).unwrap();
    Record::at(&link)
        .unwrap()
        .write(&Ok(ended(End::Exit(0), None)))
        .unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&path).unwrap().contains("\"schema\": 1"));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn devices_are_written_as_they_are() {
    Record::at("/dev/null".as_ref())
        .unwrap()
        .write(&Ok(ended(End::Exit(0), None)))
        .unwrap();
    let there = fs::metadata("/dev/null").unwrap();
    assert!(!there.is_file(), "/dev/null is still a device");
}
