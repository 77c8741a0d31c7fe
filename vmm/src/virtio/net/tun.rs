//! The door to the kernel's tap devices: opening one, and what its requests want.

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file through which all of them are had.
const TUN: &str = "/dev/net/tun";

/// Whether a network device of that name is there.
pub(super) fn is_there(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Opens the tap device of that name, of at most 15 bytes, making it if it is not there. Frames come and go with a header of `header` bytes.
pub(super) fn open(name: &str, header: i32) -> Result<File, Refused> {
    let file = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(TUN)
        .map_err(Refused::Opening)?;
    let mut request = named(name);
    request.ifr_ifru.ifru_flags =
        (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as libc::c_short;
    // SAFETY: a whole `ifreq`, alive during the call, which is all that this request reads and writes.
    done(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
        .map_err(Refused::Attaching)?;
    // SAFETY: an `int`, alive during the call, which is all that this request reads.
    done(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const header) })
        .map_err(Refused::Attaching)?;
    Ok(file)
}

/// Where [`open`] was refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// The file.
    Opening(io::Error),
    /// The device.
    Attaching(io::Error),
}

/// Says which offloads, of `TUN_F_*`, whoever reads the device's frames can do.
pub(super) fn set_offloads(file: &File, offloads: libc::c_uint) -> io::Result<()> {
    let offloads = libc::c_ulong::from(offloads);
    // SAFETY: the request's argument is a number.
    done(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, offloads) })
}

/// A network device of the host's, by its name.
pub(super) struct Interface {
    name: String,
    /// Any socket will do.
    socket: UdpSocket,
}

impl Interface {
    pub fn new(name: &str) -> io::Result<Interface> {
        Ok(Interface {
            name: name.to_owned(),
            socket: UdpSocket::bind(("127.0.0.1", 0))?,
        })
    }

    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The most bytes of its packets.
    pub fn mtu(&self) -> io::Result<u16> {
        let mut request = named(&self.name);
        // SAFETY: a whole `ifreq`, alive during the call, which is all that this request reads and writes.
        done(unsafe { libc::ioctl(self.fd(), libc::SIOCGIFMTU, &raw mut request) })?;
        // SAFETY: the kernel has written this member.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
    }

    /// Sets that.
    pub fn set_mtu(&self, mtu: u16) -> io::Result<()> {
        let mut request = named(&self.name);
        request.ifr_ifru.ifru_mtu = mtu.into();
        // SAFETY: as in `mtu`.
        done(unsafe { libc::ioctl(self.fd(), libc::SIOCSIFMTU, &raw mut request) })
    }

    /// Has it take part in traffic.
    pub fn set_up(&self) -> io::Result<()> {
        let mut request = named(&self.name);
        // SAFETY: as in `mtu`.
        done(unsafe { libc::ioctl(self.fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
        // SAFETY: the kernel has written this member.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        if flags & libc::IFF_UP as libc::c_short != 0 {
            return Ok(());
        }
        request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
        // SAFETY: as in `mtu`.
        done(unsafe { libc::ioctl(self.fd(), libc::SIOCSIFFLAGS, &raw mut request) })
    }
}

/// A request about the device of that name; what is longer than a name can be is cut.
fn named(name: &str) -> libc::ifreq {
    // SAFETY: it consists of integers and arrays and unions of them, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let last = request.ifr_name.len().saturating_sub(1);
    for (to, from) in request.ifr_name.iter_mut().take(last).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

fn done(answer: libc::c_int) -> io::Result<()> {
    match answer {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
