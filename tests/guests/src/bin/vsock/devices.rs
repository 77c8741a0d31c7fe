//! Several devices.

use crate::streams::{GUEST, HOST};
use embedded_io_async::{Read, Write};
use guest_sdk::println;
use guest_sdk::vsock::{Vsock, VsockError, VsockListener};
use test_guests::check;

/// Two devices, by name and by place: the same ports of each are others. Both are served, and both serve.
pub async fn several() {
    for missing in [Vsock::open("nobody"), Vsock::at(2)] {
        check!(missing.err() == Some(VsockError::NoDevice), "no device");
    }
    let devices = [Vsock::open("vsock0"), Vsock::at(1)].map(|device| device.expect("a device"));
    check!(devices[1].name() == "other", "{devices:?}");
    check!(devices[0].cid() == 3, "the guest's context ID");
    let listeners = devices
        .each_ref()
        .map(|device| device.bind(GUEST).expect("a port"));
    let again = [VsockListener::bind(GUEST), devices[1].bind(GUEST)];
    for again in again {
        check!(
            again.err() == Some(VsockError::InUse),
            "a port that is in use"
        );
    }
    println!("ready");
    for (device, listener) in devices.iter().zip(&listeners) {
        let mut stream = listener.accept().await.expect("a connection");
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.expect("a question");
        check!(&bytes == b"who?", "{bytes:?}");
        let name = device.name().as_bytes();
        stream.write_all(name).await.expect("a host that reads");
        stream.close().await.expect("a device");
    }
    for device in &devices {
        let mut stream = device.connect(HOST).await.expect("a listener");
        let name = device.name().as_bytes();
        stream.write_all(name).await.expect("a host that reads");
        stream.close().await.expect("a device");
    }
}
