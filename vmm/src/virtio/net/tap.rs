//! A tap device of the host's as what a card is connected to: checksums and segmentation are left to the host's kernel.

use super::tun::{self, Interface, Refused};
use super::{Backend, HEADER, Sent};
use crate::Error;
use crate::io::Sources;
use hypercall_abi::net::feature;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use vmm_sys_util::epoll::EventSet;

/// What a tap device offers.
const OFFERED: u64 = feature::CSUM
    | feature::HOST_TSO4
    | feature::HOST_TSO6
    | feature::HOST_ECN
    | feature::GUEST_CSUM
    | feature::GUEST_TSO4
    | feature::GUEST_TSO6
    | feature::GUEST_ECN;

/// The driver's features, as the kernel numbers what the reader of a tap device can do.
const OFFLOADS: [(u64, u32); 4] = [
    (feature::GUEST_CSUM, libc::TUN_F_CSUM),
    (feature::GUEST_TSO4, libc::TUN_F_TSO4),
    (feature::GUEST_TSO6, libc::TUN_F_TSO6),
    (feature::GUEST_ECN, libc::TUN_F_TSO_ECN),
];

/// An open tap device.
pub(crate) struct Tap {
    file: File,
    /// Whether there may be a frame.
    is_readable: bool,
}

impl Tap {
    /// Opens the tap device of that name and sets it up, and says the most bytes of its packets; it is made if it is not there. `mtu`: what
    /// those are to be.
    ///
    /// # Errors
    /// [`Error::Os`]: what the host refuses, and what would help.
    pub fn open(name: &str, mtu: Option<u16>) -> Result<(Tap, u16), Error> {
        let was_there = tun::is_there(name);
        let file =
            tun::open(name, HEADER as i32).map_err(|refused| explain(name, was_there, refused))?;
        let os = |what: &str| {
            let what = format!("{what} of the tap device {name:?}");
            move |source| Error::Os { what, source }
        };
        let interface = Interface::new(name).map_err(os("asking for the state"))?;
        let found = interface.mtu().map_err(os("reading the MTU"))?;
        let mtu = mtu.unwrap_or(found);
        if mtu != found {
            interface
                .set_mtu(mtu)
                .map_err(os("setting the MTU, which `net.mtu` asks for,"))?;
        }
        // Whoever made the device may mean it to be down, and who may not change that is not stopped by it.
        let _ = interface.set_up();
        let tap = Tap {
            file,
            is_readable: true,
        };
        Ok((tap, mtu))
    }
}

fn explain(name: &str, was_there: bool, refused: Refused) -> Error {
    let (what, source) = match refused {
        Refused::Opening(source) if source.kind() == ErrorKind::NotFound => (
            "/dev/net/tun, which tap devices are had from, is not there; load the module `tun`".to_owned(),
            source,
        ),
        Refused::Opening(source) => (
            "/dev/net/tun, which tap devices are had from, cannot be opened; run as root, or use a stream".to_owned(),
            source,
        ),
        Refused::Attaching(source) => (
            match source.raw_os_error() {
                Some(libc::EBUSY) => format!(
                    "the tap device {name:?} is in use by another program; end that one, or name another device"
                ),
                Some(libc::EPERM | libc::EACCES) => match was_there {
                    true => format!(
                        "you may not use the tap device {name:?}; have it made yours with `sudo ip tuntap add {name} mode tap user $USER`"
                    ),
                    false => format!(
                        "there is no tap device {name:?} and you may not make one; have it made with `sudo ip tuntap add {name} mode tap user $USER`"
                    ),
                },
                Some(libc::EINVAL) => format!(
                    "{name:?} is there and is no tap device, or one with several queues; name another, or make it with `sudo ip tuntap add {name} mode tap`"
                ),
                _ => format!("opening the tap device {name:?}"),
            },
            source,
        ),
    };
    Error::Os { what, source }
}

impl Backend for Tap {
    fn features(&self) -> u64 {
        OFFERED
    }

    fn watch(&mut self, features: u64, sources: &mut Sources) -> std::io::Result<()> {
        let taken = OFFLOADS.iter().filter(|(bit, _)| features & bit != 0);
        tun::set_offloads(
            &self.file,
            taken.fold(0, |offloads, (_, offload)| offloads | offload),
        )?;
        self.is_readable = true;
        let events = EventSet::IN | EventSet::OUT | EventSet::EDGE_TRIGGERED;
        sources.watch(&self.file, 0, events)
    }

    fn forget(&mut self, sources: &mut Sources) {
        sources.forget(&self.file);
    }

    fn ready(&mut self, _: u32, _: EventSet, _: &mut Sources) {
        self.is_readable = true;
    }

    fn send(&mut self, packet: &[u8]) -> Sent {
        match (&self.file).write(packet) {
            Ok(_) => Sent::Taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Full,
            // The device is down, or the packet is none that the kernel takes.
            Err(_) => Sent::Dropped,
        }
    }

    fn receive(&mut self, room: &mut [u8]) -> Option<usize> {
        if !self.is_readable {
            return None;
        }
        match (&self.file).read(room) {
            Ok(len) => Some(len),
            Err(error) => {
                // Another edge comes with the next frame, or when the device is up again.
                self.is_readable = error.kind() == ErrorKind::Interrupted;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_refuses_is_said_with_its_cure() {
        let error = |code| std::io::Error::from_raw_os_error(code);
        for (refused, was_there, cure) in [
            (
                Refused::Opening(error(libc::ENOENT)),
                false,
                "load the module `tun`",
            ),
            (Refused::Opening(error(libc::EACCES)), false, "run as root"),
            (
                Refused::Attaching(error(libc::EBUSY)),
                true,
                "in use by another program",
            ),
            (
                Refused::Attaching(error(libc::EPERM)),
                true,
                "made yours with `sudo ip tuntap",
            ),
            (
                Refused::Attaching(error(libc::EPERM)),
                false,
                "have it made with `sudo ip tuntap",
            ),
            (
                Refused::Attaching(error(libc::EINVAL)),
                true,
                "is no tap device",
            ),
        ] {
            let shown = explain("tap7", was_there, refused).to_string();
            assert!(shown.contains(cure), "{shown}");
            assert_eq!(shown.lines().count(), 1);
        }
    }
}
