//! The host's sockets: all of them non-blocking, and closed with this program.

use rustix::io::{Errno, Result};
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_keepalive, set_socket_reuseaddr, set_tcp_nodelay, socket_error,
};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, getsockname, ipproto,
    listen, socket_with,
};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Connections that wait at a listener until they are accepted.
const BACKLOG: i32 = 128;

/// What has become of connecting a stream.
pub(super) enum Connected {
    NotYet,
    Yes,
    No(Errno),
}

fn socket(address: SocketAddr, kind: SocketType) -> Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, kind, flags, None)
}

/// Begins to connect a stream: it is writable when it is connected or cannot be.
pub(super) fn connect_stream(to: SocketAddr) -> Result<OwnedFd> {
    let socket = socket(to, SocketType::STREAM)?;
    tune(&socket)?;
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// What has become of connecting a stream, which is ready for something.
pub(super) fn connected(stream: &OwnedFd) -> Connected {
    match socket_error(stream) {
        Ok(Ok(())) => {}
        Ok(Err(error)) | Err(error) => return Connected::No(error),
    }
    match getpeername(stream) {
        Ok(_) => Connected::Yes,
        Err(_) => Connected::NotYet,
    }
}

/// What a stream needs that carries another one's segments: no waiting for more of them, and an end when the other side is gone for good.
pub(super) fn tune(stream: &OwnedFd) -> Result<()> {
    set_tcp_nodelay(stream, true)?;
    set_socket_keepalive(stream, true)
}

/// A socket for datagrams with one peer.
pub(super) fn connect_datagrams(to: SocketAddr) -> Result<OwnedFd> {
    let socket = socket(to, SocketType::DGRAM)?;
    connect(&socket, &to)?;
    Ok(socket)
}

/// A socket for echoes of one address. Not every host lets every user have one (`net.ipv4.ping_group_range`).
pub(super) fn connect_echoes(to: SocketAddr) -> Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let protocol = Some(ipproto::ICMP);
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, protocol)?;
    connect(&socket, &to)?;
    Ok(socket)
}

/// A socket that listens for streams.
pub(super) fn listen_streams(at: SocketAddr) -> Result<OwnedFd> {
    let socket = socket(at, SocketType::STREAM)?;
    set_socket_reuseaddr(&socket, true)?;
    own_family(&socket, at)?;
    bind(&socket, &at)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// A socket for datagrams that come to an address.
pub(super) fn listen_datagrams(at: SocketAddr) -> Result<OwnedFd> {
    let socket = socket(at, SocketType::DGRAM)?;
    own_family(&socket, at)?;
    bind(&socket, &at)?;
    Ok(socket)
}

/// Every IPv6 address is not every IPv4 one.
fn own_family(socket: &OwnedFd, at: SocketAddr) -> Result<()> {
    match at {
        SocketAddr::V6(_) => set_ipv6_v6only(socket, true),
        SocketAddr::V4(_) => Ok(()),
    }
}

/// Where a socket is.
pub(super) fn local(socket: &OwnedFd) -> Result<SocketAddr> {
    SocketAddr::try_from(getsockname(socket)?)
}

/// Whether an address is the host's own: what goes there comes from there. Nothing is sent to find out.
pub(super) fn is_own(address: SocketAddr) -> bool {
    let here = connect_datagrams(address).and_then(|socket| local(&socket));
    here.is_ok_and(|here| here.ip() == address.ip())
}
