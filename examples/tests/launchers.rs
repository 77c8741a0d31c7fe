//! Examples started as the README says: by `cargo run`, each with the configuration beside it.
//!
//! Their ports and sockets are the user's. Where another program has one, the launcher has to say so, which only that configuration makes it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// A launcher that has started its guest.
struct Launched(Child);

impl Drop for Launched {
    fn drop(&mut self) {
        // A signal that lets it remove what it made.
        let id = self.0.id().to_string();
        let _ = Command::new("kill").arg(id).status();
        let _ = self.0.wait();
    }
}

/// Starts a launcher. Nothing where there is no KVM and the environment says to skip, or where `busy` is what it says.
fn launch(program: &str, listening: &str, busy: &str) -> Option<Launched> {
    if let Err(error) = std::fs::File::open("/dev/kvm") {
        let skip = std::env::var_os("TRAPLESS_SKIP_KVM").is_some_and(|value| value == "1");
        assert!(skip, "no KVM on this machine: /dev/kvm: {error}");
        eprintln!("skipped, no KVM");
        return None;
    }
    let child = Command::new(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut launched = Launched(child.unwrap());
    let mut line = String::new();
    let mut output = BufReader::new(launched.0.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    if line.starts_with(listening) {
        return Some(launched);
    }
    let mut said = String::new();
    let mut errors = launched.0.stderr.take().unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert!(said.contains(busy), "{line}{said}");
    eprintln!("not asked: {said}");
    None
}

#[test]
fn the_web_server_is_where_its_configuration_says() {
    let busy = r#""tcp:127.0.0.1:8080:80": another program listens there"#;
    let Some(_server) = launch(env!("CARGO_BIN_EXE_http"), "listening at", busy) else {
        return;
    };
    let mut stream = TcpStream::connect("127.0.0.1:8080").unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn a_name_with_a_hyphen_finds_its_configuration() {
    let busy = "/tmp/vsock-echo.sock cannot be created: a program listens there";
    let program = env!("CARGO_BIN_EXE_vsock-echo");
    let Some(_server) = launch(program, "listening to port 7", busy) else {
        return;
    };
    let mut stream = UnixStream::connect("/tmp/vsock-echo.sock").unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    stream.write_all(b"CONNECT 7\nagain").unwrap();
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert!(line.starts_with("OK"), "{line}");
    let mut bytes = [0; 5];
    answer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"again");
}
