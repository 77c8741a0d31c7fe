//! Every queue of every device under the same bad treatment: what breaks a queue breaks it everywhere, and its device alone.

use crate::net::{peer::Peer, send_back};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::config::PortEnd;
use vmm::fault::Cause;

/// A device's queue, and what it makes of a buffer of 4 GiB, of one of no bytes, and of one that goes the wrong way: whether it has an answer, as an
/// ordinary mistake has, or stops.
const QUEUES: &[(&str, u16, [bool; 3])] = &[
    ("block", 0, [false, true, true]),
    ("net", 0, [true, false, false]),
    ("net", 1, [true, true, true]),
    ("vsock", 0, [true, false, false]),
    ("vsock", 1, [true, true, true]),
    ("console", 0, [true, true, true]),
    ("console", 1, [false, true, true]),
    ("console", 2, [true, true, true]),
    ("console", 3, [true, true, true]),
    ("rng", 0, [true, true, true]),
];

/// What stops every device.
const BREAKS: &[&str] = &[
    "a loop",
    "a loop of one",
    "a chain that is too long",
    "a next that is not there",
    "a head that is not there",
    "a head far away",
    "an index too far on",
    "an index that went back",
    "to read after to write",
    "half a table",
    "a table in the platform area",
    "a buffer that wraps",
    "in the platform area",
    "from the platform area on",
    "across the end",
    "far away",
];

/// What some have an answer for.
const ODD: [&str; 3] = ["4 GiB", "no bytes", "the wrong way"];

/// Runs a case with a device at the head of the table, and somebody at its other end.
fn run(device: &str, args: &[&str], vcpus: u32) -> Finished {
    // The device's name is for the message of a test that fails.
    let args = [&["every"], args, &[device]].concat();
    let boot = Boot::guest("devices", &args).rng().vcpus(vcpus);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("socket");
    match device {
        "block" => {
            let image = NamedTempFile::new().unwrap();
            image.as_file().set_len(64 << 10).unwrap();
            boot.disk(image.path(), |_| {}).run()
        }
        "net" => {
            let listener = UnixListener::bind(&path).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| send_back(Peer::accept(&listener)));
                boot.stream(&path).run()
            })
        }
        "vsock" => boot.vsock(&path).run(),
        "console" => {
            let boot = boot.port("one", PortEnd::Socket(path.clone()));
            let (vm, console) = boot.vm();
            thread::scope(|scope| {
                scope.spawn(|| while chat(&path).is_ok() {});
                boot.finish(vm, &console)
            })
        }
        "rng" => boot.run(),
        other => panic!("{other}"),
    }
}

/// Is a port's client until a reset sends it away: there is always something to read, and room to write.
fn chat(path: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    let mut bytes = [b'x'; 4096];
    let goes_on = |done: std::io::Result<usize>| match done {
        Ok(moved) => moved != 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    };
    while goes_on(stream.write(&bytes)) && goes_on(stream.read(&mut bytes)) {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[test]
fn what_no_queue_may_hold_stops_every_device_until_it_is_reset() {
    require_kvm!();
    for (device, queue, answers) in QUEUES {
        let finished = run(device, &["rings", &queue.to_string()], 1);
        finished.passed();
        let broken = BREAKS.iter().map(|case| format!("{case}: broken\n"));
        let odd = ODD.iter().zip(answers).map(|(case, answered)| {
            let end = if *answered { "answered" } else { "broken" };
            format!("{case}: {end}\n")
        });
        let again = "a head again: answered\n".to_owned();
        let expected: String = broken.chain(odd).chain([again]).collect();
        assert_eq!(finished.text(), expected, "{device}, queue {queue}");
        assert!(finished.outcome.stats.devices[0].broken.is_some());
    }
}

#[test]
fn chains_that_change_while_they_are_read_are_answered_or_stop_their_device() {
    require_kvm!();
    for (device, queue, _) in QUEUES {
        run(device, &["changing", &queue.to_string(), "100"], 2).passed();
    }
}

#[test]
fn a_queue_in_use_keeps_its_size_and_a_reset_lets_go_of_it() {
    require_kvm!();
    for (device, queue, _) in QUEUES {
        let finished = run(device, &["in-flight", &queue.to_string(), "20"], 1);
        finished.passed();
        assert_eq!(finished.outcome.stats.devices[0].broken, None, "{device}");
    }
}

#[test]
fn no_configuration_space_can_be_written() {
    require_kvm!();
    for device in ["block", "net", "vsock", "console", "rng"] {
        let finished = run(device, &["config", "0"], 1);
        let cause = &finished.fault().cause;
        assert!(
            matches!(cause, Cause::Exception { vector: 14, .. }),
            "{device}: {cause:?}"
        );
    }
}
