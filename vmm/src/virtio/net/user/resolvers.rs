//! The name servers that answer for the resolver's address: those of the host, or one that the configuration names.
//!
//! Questions go to one of them, unread; when that one has been silent for a while, to the next.

use super::plan::after;
use smoltcp::time::{Duration, Instant};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Where the host says who its name servers are.
const HOSTS: &str = "/etc/resolv.conf";
/// How long one of them may be silent before the next question goes to another one.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most of them that count, as with the C library.
const MOST: usize = 3;

/// The name servers.
#[derive(Clone, Debug)]
pub(super) struct Resolvers {
    servers: Vec<SocketAddr>,
    current: usize,
    /// Since when a question to the current one has had no answer.
    unanswered: Option<Instant>,
}

impl Resolvers {
    /// The host's, as its file says now.
    pub fn of_host() -> Resolvers {
        // Without the file there are no name servers, and the guest's questions are refused.
        let text = std::fs::read_to_string(Path::new(HOSTS)).unwrap_or_default();
        Resolvers::new(servers(&text))
    }

    /// These.
    pub fn new(servers: Vec<SocketAddr>) -> Resolvers {
        Resolvers {
            servers,
            current: 0,
            unanswered: None,
        }
    }

    /// Whom to ask.
    pub fn ask(&mut self, now: Instant) -> Option<SocketAddr> {
        let silent = self
            .unanswered
            .is_some_and(|since| after(since, PATIENCE) <= now);
        if silent {
            self.current = self.current.saturating_add(1);
            self.unanswered = None;
        }
        self.unanswered.get_or_insert(now);
        let index = self.current.checked_rem(self.servers.len())?;
        self.servers.get(index).copied()
    }

    /// One of them has answered.
    pub fn answered(&mut self) {
        self.unanswered = None;
    }
}

/// The name servers in a `resolv.conf`.
fn servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words
            .next()
            .filter(|word| *word == "nameserver")
            .and_then(|_| words.next())?;
        // A zone is no part of what the standard library reads; such a server is on a link of the host's own.
        address.parse::<IpAddr>().ok()
    });
    lines
        .map(|address| SocketAddr::new(address, super::site::DNS))
        .take(MOST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_is_read_as_it_is_written() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 # second\nnameserver x\nnameserver 127.0.0.53\nnameserver 192.0.2.9\n";
        let found: Vec<String> = servers(text).iter().map(SocketAddr::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.53:53"]);
        assert!(servers("").is_empty());
    }

    #[test]
    fn a_silent_server_is_followed_by_the_next() {
        let [first, second] = ["192.0.2.1:53", "192.0.2.2:53"].map(|text| text.parse().unwrap());
        let mut resolvers = Resolvers::new(vec![first, second]);
        let at = |seconds: i64| Instant::from_secs(seconds);
        assert_eq!(resolvers.ask(at(0)), Some(first));
        assert_eq!(resolvers.ask(at(1)), Some(first));
        assert_eq!(resolvers.ask(at(2)), Some(second));
        resolvers.answered();
        assert_eq!(resolvers.ask(at(9)), Some(second));
        assert_eq!(resolvers.ask(at(11)), Some(first));
        assert_eq!(Resolvers::new(Vec::new()).ask(at(0)), None);
    }
}
