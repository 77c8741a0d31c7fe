//! Ports of the virtio console, from a guest to files and to the clients of sockets.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempDir};
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::config::PortEnd;

fn boot(args: &[&str]) -> Boot {
    Boot::guest("ports", args)
}

/// A directory, and the path of a socket in it.
fn socket() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    (directory, path)
}

fn connect(path: &Path) -> UnixStream {
    UnixStream::connect(path).expect("the VMM listens from the VM's making on")
}

/// Runs a VM while the host's side is played.
fn beside<T: Send>(boot: &Boot, play: impl FnOnce(&NamedTempFile) -> T + Send) -> (Finished, T) {
    let (vm, console) = boot.vm();
    thread::scope(|scope| {
        let player = scope.spawn(|| play(&console));
        let finished = boot.finish(vm, &console);
        (finished, player.join().expect("the host's side"))
    })
}

/// Waits until the guest has printed a line, and returns all it has printed.
fn printed(console: &NamedTempFile) -> String {
    loop {
        let text = std::fs::read_to_string(console.path()).expect("the console");
        if text.ends_with('\n') {
            return text;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

#[test]
fn two_ports_write_two_files() {
    require_kvm!();
    let files = [(); 2].map(|()| NamedTempFile::new().expect("a file"));
    let [one, other] = files.each_ref().map(|file| file.path().to_owned());
    std::fs::write(&one, "before:").unwrap();
    let finished = boot(&["two"])
        .port("one", PortEnd::File(one.clone()))
        .port("nobody", PortEnd::None)
        .port("other", PortEnd::File(other.clone()))
        .run();
    finished.passed();
    let [device] = &finished.outcome.stats.devices[..] else {
        panic!("{:?}", finished.outcome.stats.devices);
    };
    assert_eq!((device.name.as_str(), device.broken), ("console", None));
    let written = std::fs::read_to_string(&one).unwrap();
    assert_eq!(written, format!("before:{}", "1".repeat(4950)));
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "2".repeat(4950));
}

#[test]
fn ports_are_found_by_name_and_have_one_user() {
    require_kvm!();
    let boot = ["c", "a", "b"].iter().fold(boot(&["names"]), |boot, name| {
        boot.port(name, PortEnd::None)
    });
    boot.run().passed();
}

#[test]
fn without_a_console_there_are_no_ports() {
    require_kvm!();
    let finished = boot(&["two"]).run();
    assert!(
        finished.text().contains("no such port"),
        "{}",
        finished.story()
    );
}

#[test]
fn clients_of_a_socket_come_and_go() {
    require_kvm!();
    let (_directory, path) = socket();
    let boot = boot(&["echo", "4"]).port("echo", PortEnd::Socket(path.clone()));
    let (finished, ()) = beside(&boot, |_| {
        for client in 0..4_u8 {
            let mut stream = connect(&path);
            let sent = vec![client; 3000];
            stream.write_all(&sent).unwrap();
            if client % 2 == 0 {
                // A client that has said all may still listen.
                stream.shutdown(Shutdown::Write).unwrap();
            }
            let mut received = vec![0; 3000];
            stream.read_exact(&mut received).unwrap();
            assert_eq!(sent, received);
        }
    });
    finished.passed();
    assert!(!path.exists(), "the socket goes with the VM");
}

#[test]
fn many_bytes_go_both_ways_at_once() {
    require_kvm!();
    let len = 8 << 20;
    let (_directory, path) = socket();
    let boot = boot(&["stream", &len.to_string()]).port("stream", PortEnd::Socket(path.clone()));
    let (finished, received) = beside(&boot, |_| {
        let mut stream = connect(&path);
        let mut writer = stream.try_clone().unwrap();
        let sender = thread::spawn(move || writer.write_all(&pattern(len)).unwrap());
        let mut received = vec![0; len];
        stream.read_exact(&mut received).unwrap();
        sender.join().unwrap();
        received
    });
    finished.passed();
    assert!(received == pattern(len), "what the guest sent");
}

#[test]
fn output_waits_for_a_client() {
    require_kvm!();
    let (_directory, path) = socket();
    let boot = boot(&["hold"]).port("held", PortEnd::Socket(path.clone()));
    let (finished, (held, received)) = beside(&boot, |console| {
        let held: usize = printed(console).trim().parse().unwrap();
        let mut received = Vec::new();
        // To the end: the guest closes its side when all is taken.
        connect(&path).read_to_end(&mut received).unwrap();
        (held, received)
    });
    finished.passed();
    assert_eq!(held, 16, "as many as the queue holds");
    assert_eq!(received, vec![b'x'; (held + 50) * 1000]);
}

#[test]
fn a_socket_is_somebody_elses_or_is_left_over() {
    require_kvm!();
    let (_directory, path) = socket();
    let boot = boot(&["names"]).port("a", PortEnd::Socket(path.clone()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let refusal = boot.refused();
    assert!(refusal.contains("a program listens there"), "{refusal}");
    drop(listener);
    assert!(path.exists(), "left over");
    drop(boot.vm());
    assert!(!path.exists());
}

#[test]
fn a_ports_limits_are_kept() {
    require_kvm!();
    // Of 99 writes that come to 4,950 bytes the burst is a tenth of a second's, and one more may begin while there is anything left.
    for (ops, bytes, late) in [
        (
            Some(200),
            None,
            Duration::from_millis((99 - 21) * 1000 / 200),
        ),
        (
            None,
            Some(10_000),
            Duration::from_micros((4950 - 1000 - 99) * 100),
        ),
    ] {
        let boot = boot(&["two"])
            .port("one", PortEnd::None)
            .port("other", PortEnd::None)
            .change(|config| {
                (
                    config.ports[0].ops_per_second,
                    config.ports[0].bytes_per_second,
                ) = (ops, bytes);
            });
        let began = Instant::now();
        boot.run().passed();
        let took = began.elapsed();
        assert!(took >= late, "{took:?} for what takes {late:?}");
    }
}

#[test]
fn messages_that_no_driver_may_send_break_nothing_else() {
    require_kvm!();
    let finished = Boot::guest("devices", &["messages"])
        .rng()
        .port("one", PortEnd::None)
        .run();
    finished.passed();
    assert_eq!(finished.text(), "done\n");
    let broken = finished.outcome.stats.devices[0].broken;
    assert_eq!(broken, Some("a buffer does not lie in the guest's memory"));
}
