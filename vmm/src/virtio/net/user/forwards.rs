//! The forwards: where the host listens for the guest.
//!
//! They listen from when the network is made, so that an address that is in use is found out before the guest runs; what comes before the
//! guest is there waits. How the guest is asked to take a connection is [`Call`](super::call::Call)'s.

use super::frame::{Datagram, UDP_PAYLOAD, write_udp};
use super::host;
use super::plan::after;
use super::site::Site;
use super::streams::Streams;
use super::visitors::Visitors;
use super::watch::Source;
use crate::Error;
use crate::config::{Forward, Protocol};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recvfrom, sendto};
use smoltcp::time::Duration;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

/// How soon a connection is accepted for which there was no room or no descriptor.
const AGAIN: Duration = Duration::from_millis(100);

/// One of them.
struct Listener {
    forward: Forward,
    socket: OwnedFd,
    /// Whether something may have come.
    pending: bool,
}

/// All of them.
pub(super) struct Forwards {
    listeners: Vec<Listener>,
    visitors: Visitors,
}

impl Forwards {
    /// Listens.
    ///
    /// # Errors
    /// What the host refuses: an address that is in use or not its own, a port that needs privileges.
    pub fn open(forwards: &[Forward], site: &Site) -> Result<Forwards, Error> {
        let mut listeners = Vec::new();
        for (index, forward) in (0..).zip(forwards) {
            let socket = match forward.protocol {
                Protocol::Tcp => host::listen_streams(forward.host),
                Protocol::Udp => host::listen_datagrams(forward.host),
            };
            let socket = socket.and_then(|socket| {
                site.watch.add(&socket, Source::Forward(index))?;
                Ok(socket)
            });
            let socket = socket.map_err(|error| refused(forward, error))?;
            listeners.push(Listener {
                forward: *forward,
                socket,
                pending: false,
            });
        }
        Ok(Forwards {
            listeners,
            visitors: Visitors::default(),
        })
    }

    /// Something has come to one of them.
    pub fn ready(&mut self, index: u64) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.pending = true;
        }
    }

    /// Accepts the connections that have come, as long as there is room.
    pub fn accept(&mut self, streams: &mut Streams, site: &mut Site) {
        for listener in &mut self.listeners {
            while listener.pending && listener.forward.protocol == Protocol::Tcp {
                if !streams.takes_calls() {
                    site.wake_by(after(site.now, AGAIN));
                    return;
                }
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                match accept_with(&listener.socket, flags) {
                    Ok(host) => streams.accept(host, listener.forward.guest, site),
                    Err(Errno::AGAIN) => listener.pending = false,
                    Err(Errno::INTR | Errno::CONNABORTED) => {}
                    Err(_) => {
                        site.wake_by(after(site.now, AGAIN));
                        return;
                    }
                }
            }
        }
    }

    /// The next datagram that has come, as a frame for the guest; says how long it is.
    pub fn give(&mut self, frame: &mut [u8], site: &mut Site) -> Option<usize> {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            while listener.pending && listener.forward.protocol == Protocol::Udp {
                let room = frame.get_mut(UDP_PAYLOAD..).unwrap_or_default();
                let fits = room.len();
                let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
                let (length, from) = match recvfrom(&listener.socket, room, flags) {
                    Ok((_, length, from)) => (length, from),
                    // An answer to a peer that is gone.
                    Err(Errno::INTR | Errno::CONNREFUSED) => continue,
                    Err(_) => {
                        listener.pending = false;
                        continue;
                    }
                };
                let Some(Ok(from)) = from.map(SocketAddr::try_from) else {
                    continue;
                };
                let Some(port) = self.visitors.port((index, from), site.now) else {
                    continue;
                };
                site.wake_by(Visitors::patience(site.now));
                if length > fits {
                    continue;
                }
                let plan = &site.plan;
                let from = SocketAddrV4::new(plan.gateway, port);
                let to = SocketAddrV4::new(plan.guest, listener.forward.guest);
                let frame = write_udp(frame, plan, from, to, length);
                if frame.is_some() {
                    return frame;
                }
            }
        }
        None
    }

    /// Sends a datagram of the guest's, if it answers one that came here.
    pub fn take(&mut self, datagram: &Datagram, site: &Site) -> bool {
        if *datagram.destination.ip() != site.plan.gateway {
            return false;
        }
        let Some((index, peer)) = self.visitors.peer(datagram.destination.port(), site.now) else {
            return false;
        };
        let listener = self.listeners.get(index);
        let listener = listener.filter(|listener| listener.forward.guest == datagram.source.port());
        let Some(listener) = listener else {
            return false;
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // Lost, as datagrams may be.
        let _ = sendto(&listener.socket, datagram.payload, flags, &peer);
        true
    }

    /// Forgets who has been silent, and says when the next one will have been.
    pub fn expire(&mut self, site: &Site) -> Option<smoltcp::time::Instant> {
        self.visitors.expire(site.now)
    }

    /// The guest is gone: what came for it is not for the next one.
    pub fn clear(&mut self) {
        self.visitors.clear();
    }

    /// Where they listen.
    #[cfg(test)]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = self.listeners.iter();
        listeners
            .map(|listener| host::local(&listener.socket).unwrap())
            .collect()
    }
}

fn refused(forward: &Forward, error: Errno) -> Error {
    let cure = match error {
        Errno::ADDRINUSE => ": another program listens there; end it, or forward another port",
        Errno::ADDRNOTAVAIL => {
            ": the host has no such address; write one of its own, such as 127.0.0.1"
        }
        Errno::ACCESS => ": ports below 1024 are the administrator's; forward a higher one",
        _ => "",
    };
    Error::Os {
        what: format!("listening for the forward \"{forward}\"{cure}"),
        source: io::Error::from(error),
    }
}
