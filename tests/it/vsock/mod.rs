//! Sockets between real guests and this process.

mod busy;
mod devices;
mod hostile;
mod limits;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use trapless_tests::{Boot, Finished, require_kvm};
use vmm::config::Transport;
use vmm::stats::DeviceStats;

/// The port that the guests listen to.
const PORT: u32 = 5000;

/// A VM's sockets.
struct Sockets {
    directory: TempDir,
}

impl Sockets {
    fn new() -> Sockets {
        let directory = TempDir::new().expect("a temporary directory");
        Sockets { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("vsock")
    }

    /// Where the guest reaches a port of the host's.
    fn listen(&self) -> UnixListener {
        let path = self.directory.path().join("vsock_6000");
        UnixListener::bind(path).expect("a place for a socket")
    }

    /// A case of the guest, with a window as long as nothing that is ready is waited for by sleeping.
    fn boot(&self, args: &[&str]) -> Boot {
        let boot = Boot::guest("vsock", args)
            .window(Duration::from_millis(50))
            .transport(Transport::Poll);
        boot.vsock(&self.path())
    }

    /// Runs a case of the guest, while `client` is the program on the host.
    fn run<T>(&self, args: &[&str], client: impl FnOnce(&Path) -> T) -> (Finished, T) {
        self.play(&self.boot(args), client)
    }

    fn play<T>(&self, boot: &Boot, client: impl FnOnce(&Path) -> T) -> (Finished, T) {
        let path = self.path();
        // The socket is there as soon as the VM is.
        let (vm, console) = boot.vm();
        let both = thread::scope(|scope| {
            let vm = scope.spawn(|| boot.finish(vm, &console));
            let result = client(&path);
            (vm.join().expect("a VM that ends"), result)
        });
        assert!(!path.exists(), "the socket is gone with the VM");
        both
    }
}

/// Asks for a port; `None`: the guest refused.
fn ask(path: &Path, port: u32) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(path).expect("the device's socket");
    writeln!(stream, "CONNECT {port}").expect("a device that reads");
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).ok()? == 1 {
        line.extend(byte);
        if byte == *b"\n" {
            let line = String::from_utf8(line).expect("text");
            let port = line.strip_prefix("OK ").expect("OK").trim_end();
            assert!(port.parse::<u32>().is_ok(), "{line:?}");
            return Some(stream);
        }
    }
    None
}

/// Connects to the guest, which may not listen yet.
fn dial(path: &Path) -> UnixStream {
    loop {
        if let Some(stream) = ask(path, PORT) {
            return stream;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn device(finished: &Finished) -> &DeviceStats {
    let [device] = &finished.outcome.stats.devices[..] else {
        panic!("{:?}", finished.outcome.stats.devices);
    };
    assert_eq!((device.name.as_str(), device.broken), ("vsock0", None));
    device
}

/// Bytes that are not all the same.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Sends bytes and ends, while what comes back is read to its end.
fn echoed(stream: &UnixStream, bytes: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = stream;
            writer.write_all(bytes).expect("a guest that reads");
            stream.shutdown(Shutdown::Write).expect("half of it");
        });
        let mut reader = stream;
        reader.read_to_end(&mut back).expect("an end");
    });
    back
}

#[test]
fn megabytes_come_back_as_they_were() {
    require_kvm!();
    let sockets = Sockets::new();
    let bytes = noise(5 << 20, 1);
    let (finished, back) = sockets.run(&["echo", "1"], |path| echoed(&dial(path), &bytes));
    finished.passed();
    assert!(back == bytes, "{} of {} bytes", back.len(), bytes.len());
    assert!(device(&finished).requests > 10);
}

#[test]
fn many_connections_at_once() {
    require_kvm!();
    let sockets = Sockets::new();
    let (finished, ()) = sockets.run(&["echo", "100"], |path| {
        let streams: Vec<_> = (0..100).map(|_| dial(path)).collect();
        // All of them are open before the first is used.
        thread::scope(|scope| {
            for (index, stream) in (0..).zip(&streams) {
                scope.spawn(move || {
                    let bytes = noise(10_000 + index, index as u64);
                    assert!(echoed(stream, &bytes) == bytes, "stream {index}");
                });
            }
        });
    });
    finished.passed();
}

#[test]
fn either_side_may_end_its_half_first() {
    require_kvm!();
    let sockets = Sockets::new();
    let (finished, ()) = sockets.run(&["halves"], |path| {
        for guest_first in [false, true] {
            let stream = dial(path);
            let mut back = Vec::new();
            let (mut writer, mut reader) = (&stream, &stream);
            if guest_first {
                reader.read_to_end(&mut back).expect("an end");
            }
            writer.write_all(b"all of it").expect("a guest that reads");
            stream.shutdown(Shutdown::Write).expect("half of it");
            reader.read_to_end(&mut back).expect("an end");
            assert_eq!(back, b"done");
        }
    });
    finished.passed();
}

#[test]
fn a_program_that_is_gone_and_comes_back() {
    require_kvm!();
    let sockets = Sockets::new();
    // Somebody's socket that nobody listens at.
    drop(sockets.listen());
    let (finished, ()) = sockets.run(&["refused"], |path| {
        for _ in 0..2 {
            let mut sign = dial(path);
            sign.read_exact(&mut [0]).expect("a sign");
            std::fs::remove_file(sockets.directory.path().join("vsock_6000")).expect("the file");
            let listener = sockets.listen();
            sign.write_all(b"!").expect("a guest that reads");
            let (mut stream, _) = listener.accept().expect("the guest");
            stream.write_all(b"here\n").expect("a guest that reads");
            drop((listener, stream));
            drop(sign);
        }
    });
    finished.passed();
}

#[test]
fn a_program_that_vanishes_takes_nobody_along() {
    require_kvm!();
    let sockets = Sockets::new();
    let (finished, ()) = sockets.run(&["vanishing"], |path| {
        for index in 0..20 {
            let mut stream = dial(path);
            let mut some = vec![0; 1000 * index + 1];
            stream.read_exact(&mut some).expect("a guest that writes");
            let _ = stream.write_all(&some);
        }
        let mut last = Vec::new();
        dial(path).read_to_end(&mut last).expect("an end");
        assert_eq!(last, b"still here");
    });
    finished.passed();
}

#[test]
fn a_guest_that_does_not_read_holds_up_one_connection() {
    require_kvm!();
    let sockets = Sockets::new();
    let (finished, ()) = sockets.run(&["deaf"], |path| {
        let mut deaf = dial(path);
        deaf.set_nonblocking(true).expect("a socket");
        let bytes = noise(1 << 20, 5);
        // Until the guest's room and the kernel's are full; bounded, as it is not all of it.
        let mut sent = 0;
        let mut tries = 0;
        while sent < bytes.len() && tries < 200 {
            match deaf.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(_) => {
                    tries += 1;
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        assert!(sent < bytes.len(), "no bound");
        let mut other = dial(path);
        other.write_all(b"ping").expect("a guest that reads");
        let mut back = Vec::new();
        other.read_to_end(&mut back).expect("an end");
        assert_eq!(back, b"ping");
    });
    finished.passed();
}

#[test]
fn streams_without_tasks() {
    require_kvm!();
    let sockets = Sockets::new();
    let listener = sockets.listen();
    let (finished, ()) = sockets.run(&["blocking"], |path| {
        let (mut stream, _) = listener.accept().expect("the guest");
        let mut line = String::new();
        let mut reader = BufReader::new(&stream);
        reader.read_line(&mut line).expect("a line");
        assert_eq!(line, "question\n");
        stream.write_all(b"answer\n").expect("a guest that reads");
        let mut stream = dial(path);
        stream.write_all(b"1234567").expect("a guest that reads");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("an end");
        assert_eq!(back, b"1234567");
    });
    finished.passed();
}

#[test]
fn connections_have_ports_of_their_own() {
    require_kvm!();
    let sockets = Sockets::new();
    let (finished, ()) = sockets.run(&["ports"], |path| {
        let mut first = dial(path);
        // Nobody listens there. Asked before the guest has all that it waits for, and ends.
        assert!(ask(path, PORT + 1).is_none());
        let second = ask(path, PORT).expect("a guest that listens");
        let mut rest = Vec::new();
        for stream in [&mut first, &mut { second }] {
            stream.read_to_end(&mut rest).expect("an end");
        }
        assert!(rest.is_empty());
    });
    finished.passed();
}

#[test]
fn a_first_line_that_is_none_is_refused() {
    require_kvm!();
    let sockets = Sockets::new();
    let (finished, ()) = sockets.run(&["echo", "1"], |path| {
        let good = dial(path);
        for line in [
            "CONNECT\n",
            "CONNECT x\n",
            "CONNECT 5000x\n",
            "CONNECT -1\n",
            "CONNECT 4294967296\n",
            "connect 5000\n",
            "CONNECT 50000000000000000000000000000000",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\n",
            "\0\0\0\0",
        ] {
            let mut stream = UnixStream::connect(path).expect("the device's socket");
            stream.write_all(line.as_bytes()).expect("room for a line");
            let mut answer = Vec::new();
            // What was not read makes it a reset.
            let _ = stream.read_to_end(&mut answer);
            assert!(answer.is_empty(), "{line:?}: {answer:?}");
        }
        // Gone before the line's end, and a line in pieces.
        let mut stream = UnixStream::connect(path).expect("the device's socket");
        stream.write_all(b"CONN").expect("room for a line");
        drop(stream);
        let mut stream = UnixStream::connect(path).expect("the device's socket");
        for part in ["CON", "NECT ", "50", "01", "\n"] {
            stream.write_all(part.as_bytes()).expect("room for a line");
            thread::sleep(Duration::from_millis(2));
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an end");
        assert!(answer.is_empty(), "nobody listens to 5001: {answer:?}");
        assert_eq!(echoed(&good, b"unharmed"), b"unharmed");
    });
    finished.passed();
}

#[test]
fn a_path_that_is_taken_is_refused() {
    require_kvm!();
    let sockets = Sockets::new();
    let boot = Boot::guest("vsock", &["echo", "0"]).vsock(&sockets.path());
    let listener = UnixListener::bind(sockets.path()).expect("a place for a socket");
    let refusal = boot.refused();
    assert!(refusal.contains("a program listens there"), "{refusal}");
    // What a program left that was killed is no hindrance.
    drop(listener);
    assert!(sockets.path().exists());
    boot.run().passed();
    assert!(!sockets.path().exists());
}

#[test]
fn an_image_that_needs_sockets_is_refused_without_them() {
    require_kvm!();
    let refusal = Boot::guest("vsock", &["echo", "0"]).refused();
    assert!(
        refusal.contains("src/bin/vsock/main.rs:") && refusal.contains("[[vsock]]"),
        "{refusal}"
    );
}
