//! What every part of the network uses: the addresses, what is watched, frames that wait, and the time.

use super::host::is_own;
use super::plan::{Place, Plan};
use super::replies::Replies;
use super::resolvers::Resolvers;
use super::watch::Watch;
use smoltcp::time::Instant;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// The port of name servers.
pub(super) const DNS: u16 = 53;

/// It.
pub(super) struct Site {
    pub plan: Plan,
    pub watch: Watch,
    pub replies: Replies,
    pub resolvers: Resolvers,
    /// Since the network was made; read once each time something happens.
    pub now: Instant,
    start: std::time::Instant,
}

/// Where something goes that the guest sends to an address and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    To(SocketAddr),
    /// There is somebody, and nothing there for the guest.
    Refused,
    /// There is nobody.
    Nowhere,
}

impl Site {
    pub fn new(plan: Plan, watch: Watch, resolvers: Resolvers) -> Site {
        Site {
            plan,
            watch,
            replies: Replies::default(),
            resolvers,
            now: Instant::ZERO,
            start: std::time::Instant::now(),
        }
    }

    /// Looks at the clock.
    pub fn tick(&mut self) {
        let micros = self.start.elapsed().as_micros();
        self.now = Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
    }

    /// Time passes.
    #[cfg(test)]
    pub fn pass(&mut self, time: std::time::Duration) {
        self.start = self.start.checked_sub(time).unwrap();
        self.tick();
    }

    /// Has the timer go off at a time, or before it.
    pub fn wake_by(&mut self, at: Instant) {
        self.watch.by(at, self.now);
    }

    /// Where something goes.
    pub fn way(&mut self, to: SocketAddrV4) -> Way {
        let port = to.port();
        match self.plan.place(*to.ip()) {
            Place::Gateway if self.plan.host_access => {
                Way::To(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))
            }
            Place::Resolver if port == DNS => match self.resolvers.ask(self.now) {
                Some(server) => Way::To(server),
                None => Way::Refused,
            },
            Place::Gateway | Place::Resolver => Way::Refused,
            Place::Outside(address) => {
                let to = SocketAddr::new(address.into(), port);
                match !self.plan.host_access && is_own(to) {
                    true => Way::Refused,
                    false => Way::To(to),
                }
            }
            Place::Nobody => Way::Nowhere,
        }
    }
}
