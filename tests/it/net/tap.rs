//! Cards on tap devices, with the host's own network stack at the other end. Where the host does not allow that, these tests say so and pass.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use trapless_tests::{Boot, require_kvm};
use vmm::config::Link;

/// A tap device with an address, gone at the end. Its network is this test's alone, also where several run at once, or one was killed.
pub struct Tap {
    pub name: String,
    /// What addresses in it begin with.
    network: String,
}

impl Tap {
    /// `None` where the host does not allow it, with a line that says so.
    pub fn new() -> Option<Tap> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = std::process::id() * 4 + COUNT.fetch_add(1, Ordering::Relaxed);
        let [.., high, low] = number.to_be_bytes();
        let name = format!("trapless{}", number % 1_000_000);
        let network = format!("10.{}.{low}", 128 | high);
        if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
            eprintln!("skipped: /dev/net/tun cannot be opened: {error}");
            return None;
        }
        let tap = Tap { name, network };
        let made = tap.ip(&["tuntap", "add", &tap.name, "mode", "tap"])
            && tap.ip(&["address", "add", &tap.subnet(1), "dev", &tap.name])
            && tap.ip(&["link", "set", &tap.name, "up"]);
        if !made {
            eprintln!("skipped: `ip` cannot make a tap device here");
            return None;
        }
        Some(tap)
    }

    fn ip(&self, args: &[&str]) -> bool {
        let ran = Command::new("ip").args(args).stderr(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    }

    /// An address in its network.
    pub fn address(&self, host: u8) -> String {
        format!("{}.{host}", self.network)
    }

    /// The same, with the network's length.
    pub fn subnet(&self, host: u8) -> String {
        self.address(host) + "/24"
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.ip(&["link", "delete", &self.name]);
    }
}

/// Connects as soon as somebody listens.
fn connect(server: &str) -> TcpStream {
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        match TcpStream::connect((server, 7)) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
    }
}

#[test]
fn the_hosts_own_stack_talks_to_a_guests() {
    require_kvm!();
    let Some(tap) = Tap::new() else {
        return;
    };
    let boot = Boot::guest("net", &["tcp", &tap.subnet(2)]).card(Link::Tap(tap.name.clone()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = connect(&tap.address(2));
            let sent: Vec<u8> = (0..300_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
            let mut writer = stream.try_clone().unwrap();
            let writing = sent.clone();
            let writer = std::thread::spawn(move || writer.write_all(&writing).unwrap());
            let mut back = vec![0; sent.len()];
            stream.read_exact(&mut back).unwrap();
            assert!(back == sent);
            writer.join().unwrap();
            stream.write_all(b"quit").unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        });
        boot.run().passed();
    });
}

#[test]
fn a_tap_device_in_use_is_refused_with_its_cure() {
    require_kvm!();
    let Some(tap) = Tap::new() else {
        return;
    };
    let boot = Boot::guest("net", &["echo"]).card(Link::Tap(tap.name.clone()));
    let (vm, _console) = boot.vm();
    let refused = boot.refused();
    assert!(refused.contains("in use by another program"), "{refused}");
    drop(vm);
    drop(boot.vm());
}
