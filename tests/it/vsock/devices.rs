//! A VM with several vsock devices.

use super::{Sockets, dial};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use trapless_tests::require_kvm;

#[test]
fn each_device_has_ports_and_connections_of_its_own() {
    require_kvm!();
    let sockets = Sockets::new();
    let other = sockets.directory.path().join("other");
    let boot = sockets.boot(&["several"]).vsock(&other);
    let boot = boot.change(|config| config.vsocks[1].name = "other".into());
    // Where the guest connects to, each by its own device.
    let beyond = UnixListener::bind(sockets.directory.path().join("other_6000")).unwrap();
    let listeners = [sockets.listen(), beyond];
    let (finished, ()) = sockets.play(&boot, |path| {
        for (path, name) in [(path, "vsock0"), (&*other, "other")] {
            let mut stream = dial(path);
            stream.write_all(b"who?").expect("a guest that reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an end");
            assert_eq!(answer, name);
        }
        for (listener, name) in listeners.iter().zip(["vsock0", "other"]) {
            let (mut stream, _) = listener.accept().expect("the guest");
            let mut said = String::new();
            stream.read_to_string(&mut said).expect("an end");
            assert_eq!(said, name);
        }
    });
    finished.passed();
    let devices = &finished.outcome.stats.devices;
    let names = devices.iter().map(|device| device.name.as_str());
    assert!(names.eq(["vsock0", "other"]), "{devices:?}");
    assert!(
        devices
            .iter()
            .all(|device| device.requests > 0 && device.broken.is_none())
    );
    assert!(!other.exists(), "the socket is gone with the VM");
}
