//! Datagrams that came to the host for the guest, and the guest's answers: each peer has a port of the gateway's, as which the guest knows it.

use super::plan::after;
use smoltcp::time::{Duration, Instant};
use std::collections::HashMap;
use std::net::SocketAddr;

/// How long a peer is known without a datagram either way.
const SILENCE: Duration = Duration::from_secs(60);
/// The most that are known.
const MOST: usize = 128;
/// The first port that stands for a peer; the others follow. Below those of connections.
const FIRST_PORT: u16 = 40_000;

/// Who sends: through which forward, from where.
pub(super) type Peer = (usize, SocketAddr);

/// Them.
#[derive(Default)]
pub(super) struct Visitors {
    ports: HashMap<Peer, u16>,
    peers: HashMap<u16, (Peer, Instant)>,
    /// Where the search for a free port begins.
    next: u16,
}

impl Visitors {
    /// The port that stands for a peer, which sends something; when there are too many, one that has been silent for the longest time is
    /// forgotten.
    pub fn port(&mut self, peer: Peer, now: Instant) -> Option<u16> {
        if let Some(port) = self.ports.get(&peer).copied() {
            self.peers.insert(port, (peer, now));
            return Some(port);
        }
        if self.peers.len() >= MOST {
            let oldest = self.peers.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = oldest.map(|(port, (peer, _))| (*port, *peer));
            if let Some((port, peer)) = oldest {
                self.peers.remove(&port);
                self.ports.remove(&peer);
            }
        }
        // Twice as many as there can be peers.
        let count = MOST.saturating_mul(2);
        let free = (0..count).find_map(|_| {
            self.next = self.next.wrapping_add(1);
            let offset = usize::from(self.next).checked_rem(count)?;
            let port = FIRST_PORT.checked_add(u16::try_from(offset).ok()?)?;
            (!self.peers.contains_key(&port)).then_some(port)
        })?;
        self.ports.insert(peer, free);
        self.peers.insert(free, (peer, now));
        Some(free)
    }

    /// For whom a port stands, to which the guest sends something.
    pub fn peer(&mut self, port: u16, now: Instant) -> Option<Peer> {
        let (peer, used) = self.peers.get_mut(&port)?;
        *used = now;
        Some(*peer)
    }

    /// Forgets those that have been silent, and says when the next one will have been.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        self.peers
            .retain(|_, (_, used)| after(*used, SILENCE) > now);
        self.ports.retain(|_, port| self.peers.contains_key(port));
        let used = self.peers.values().map(|(_, used)| *used).min();
        used.map(|used| after(used, SILENCE))
    }

    /// When one that is known now is forgotten if it is silent.
    pub fn patience(now: Instant) -> Instant {
        after(now, SILENCE)
    }

    pub fn clear(&mut self) {
        self.ports.clear();
        self.peers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u16) -> Peer {
        (0, SocketAddr::from(([127, 0, 0, 1], number)))
    }

    #[test]
    fn a_port_stands_for_one_peer_until_it_was_silent() {
        let mut visitors = Visitors::default();
        let port = visitors.port(peer(1), Instant::ZERO).unwrap();
        let other = visitors.port(peer(2), Instant::ZERO).unwrap();
        assert_ne!(port, other);
        let later = Instant::from_secs(59);
        assert_eq!(visitors.port(peer(1), later), Some(port));
        assert_eq!(visitors.peer(port, later), Some(peer(1)));
        assert_eq!(
            visitors.expire(Instant::from_secs(60)),
            Some(Instant::from_secs(119))
        );
        assert_eq!(visitors.peer(other, later), None);
        assert_eq!(visitors.peer(port, later), Some(peer(1)));
    }

    #[test]
    fn there_are_never_too_many() {
        let mut visitors = Visitors::default();
        for number in 0..10_000 {
            let at = Instant::from_millis(i64::from(number));
            let port = visitors.port(peer(number), at).unwrap();
            assert_eq!(visitors.peer(port, at), Some(peer(number)));
        }
        assert_eq!(visitors.peers.len(), MOST);
        assert_eq!(visitors.ports.len(), MOST);
    }
}
