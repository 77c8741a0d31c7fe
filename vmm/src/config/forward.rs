//! Where the host listens for a guest: `[tcp:|udp:]HOST:PORT:GUESTPORT`.

use super::leaf::{Element, Leaf};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What is carried.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// Its name in a forward.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// An address of the host's at which it listens for a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// What is carried.
    pub protocol: Protocol,
    /// Where the host listens; port 0: one that is free.
    pub host: SocketAddr,
    /// The guest's port, not 0.
    pub guest: u16,
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.protocol.name(), self.host, self.guest)
    }
}

const RIGHT: &str =
    "write \"ADDRESS:PORT:GUESTPORT\", such as \"127.0.0.1:8080:80\" or \"udp:127.0.0.1:5353:53\"";

impl Leaf for Forward {
    type Value = Forward;

    const EXPECTED: &'static str = "a forward in quotes, such as \"127.0.0.1:8080:80\"";

    fn read(text: &str) -> Result<Forward, String> {
        let wrong = |problem: String| Err(format!("{problem}; {RIGHT}"));
        let (protocol, ends) = match text.split_once(':') {
            Some(("tcp", ends)) => (Protocol::Tcp, ends),
            Some(("udp", ends)) => (Protocol::Udp, ends),
            _ => (Protocol::Tcp, text),
        };
        let Some((host, guest)) = ends.rsplit_once(':') else {
            return wrong(format!("{text:?} does not name two ports"));
        };
        let Some((address, port)) = host.rsplit_once(':') else {
            return wrong(format!(
                "{text:?} does not say at which of the host's addresses"
            ));
        };
        let bare = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'));
        let ip: Option<IpAddr> = match bare {
            Some(v6) => v6.parse().ok().map(IpAddr::V6),
            None => address.parse().ok().map(IpAddr::V4),
        };
        let Some(ip) = ip else {
            return wrong(format!(
                "{address:?} in {text:?} is not an address of the form 127.0.0.1 or [::1]"
            ));
        };
        let Ok(port) = port.parse() else {
            return wrong(format!("{port:?} in {text:?} is not a port"));
        };
        let guest = match guest.parse() {
            Ok(0) => return wrong(format!("the guest of {text:?} has no port 0")),
            Ok(guest) => guest,
            Err(_) => return wrong(format!("{guest:?} in {text:?} is not a port")),
        };
        Ok(Forward {
            protocol,
            host: SocketAddr::new(ip, port),
            guest,
        })
    }
}

impl Element for Forward {
    const EXPECTED_ARRAY: &'static str = "an array of forwards, such as [\"127.0.0.1:8080:80\"]";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_are_read_as_they_are_written() {
        for (text, shown) in [
            ("127.0.0.1:8080:80", "tcp:127.0.0.1:8080:80"),
            ("tcp:0.0.0.0:1:65535", "tcp:0.0.0.0:1:65535"),
            ("udp:127.0.0.1:5353:53", "udp:127.0.0.1:5353:53"),
            ("[::1]:0:80", "tcp:[::1]:0:80"),
            ("udp:[2001:db8::1]:53:53", "udp:[2001:db8::1]:53:53"),
        ] {
            let forward = Forward::read(text).unwrap();
            assert_eq!(forward.to_string(), shown);
            assert_eq!(Forward::read(shown), Ok(forward));
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_what_would_be_right() {
        for (text, problem) in [
            ("", "does not name two ports"),
            ("80", "does not name two ports"),
            ("8080:80", "at which of the host's addresses"),
            ("udp:8080:80", "at which of the host's addresses"),
            ("localhost:8080:80", "\"localhost\" in"),
            ("::1:8080:80", "\"::1\" in"),
            ("127.0.0.1:x:80", "\"x\" in"),
            ("127.0.0.1:8080:65536", "\"65536\" in"),
            ("127.0.0.1:8080:0", "no port 0"),
            ("sctp:127.0.0.1:8080:80", "\"sctp:127.0.0.1\" in"),
        ] {
            let refused = Forward::read(text).unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
            assert!(refused.contains("127.0.0.1:8080:80"), "{text}: {refused}");
        }
    }
}
