//! Who has which address in the guest's network, and what an address is that the guest speaks to. Pure.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, Ipv4Address, Ipv4Cidr};

/// The addresses of a guest's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where all of the following are, at most a /29.
    pub network: Ipv4Cidr,
    /// The router's: this program's, and, where it may be, the host's.
    pub gateway: Ipv4Address,
    /// Where the host's name servers answer.
    pub resolver: Ipv4Address,
    /// The guest's, and the only one it can speak from.
    pub guest: Ipv4Address,
    /// The router's Ethernet address.
    pub router_mac: EthernetAddress,
    /// The card's.
    pub guest_mac: EthernetAddress,
    /// The most bytes of an IP packet.
    pub mtu: u16,
    /// Whether the gateway's address leads to the host's loopback, and the host's own addresses to the host.
    pub host_access: bool,
}

/// What an address is, as the guest sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The router, and the host where it may be.
    Gateway,
    /// The name server.
    Resolver,
    /// Somewhere outside of the guest's network.
    Outside(Ipv4Address),
    /// Nobody has it: of the guest's network but not given out, or not one machine's.
    Nobody,
}

impl Plan {
    /// The addresses of a network: the second is the gateway's, the third the name server's, the fifteenth the guest's, as users of QEMU's
    /// user-mode network know them; in a network smaller than a /27 the guest's is the fourth.
    pub fn new(network: Ipv4Cidr, guest_mac: EthernetAddress, mtu: u16, host_access: bool) -> Plan {
        let base = network.network().address().to_bits();
        let host = |number: u32| Ipv4Address::from_bits(base | number);
        let gateway = host(2);
        let [a, b, c, d] = gateway.octets();
        Plan {
            network,
            gateway,
            resolver: host(3),
            guest: host(if network.prefix_len() <= 27 { 15 } else { 4 }),
            router_mac: EthernetAddress([0x52, 0x55, a, b, c, d]),
            guest_mac,
            mtu,
            host_access,
        }
    }

    /// What an address is.
    pub fn place(&self, address: Ipv4Address) -> Place {
        let [first, ..] = address.octets();
        match address {
            _ if address == self.gateway => Place::Gateway,
            _ if address == self.resolver => Place::Resolver,
            _ if self.network.contains_addr(&address) => Place::Nobody,
            // "This" network, which Linux takes for the host itself; loopback; groups, and what is beyond them.
            _ if matches!(first, 0 | 127 | 224..=255) => Place::Nobody,
            _ => Place::Outside(address),
        }
    }
}

/// The time in a while.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    let wait = i64::try_from(wait.total_micros()).unwrap_or(i64::MAX);
    Instant::from_micros(now.total_micros().saturating_add(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(network: &str) -> Plan {
        Plan::new(
            network.parse().unwrap(),
            EthernetAddress([2; 6]),
            1500,
            false,
        )
    }

    #[test]
    fn the_addresses_are_those_that_users_expect() {
        let plan = plan("10.0.2.0/24");
        assert_eq!(plan.gateway.to_string(), "10.0.2.2");
        assert_eq!(plan.resolver.to_string(), "10.0.2.3");
        assert_eq!(plan.guest.to_string(), "10.0.2.15");
        assert_eq!(plan.router_mac.0, [0x52, 0x55, 10, 0, 2, 2]);
    }

    #[test]
    fn a_small_network_has_room_for_all_of_them() {
        let plan = plan("192.168.7.8/29");
        let all = [plan.gateway, plan.resolver, plan.guest];
        assert_eq!(
            all.map(|address| address.to_string()),
            ["192.168.7.10", "192.168.7.11", "192.168.7.12"]
        );
        assert!(
            all.iter()
                .all(|address| plan.network.contains_addr(address))
        );
    }

    #[test]
    fn what_no_machine_has_is_nobody() {
        let plan = plan("10.0.2.0/24");
        for address in [
            "10.0.2.1",
            "10.0.2.255",
            "10.0.2.15",
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert_eq!(
                plan.place(address.parse().unwrap()),
                Place::Nobody,
                "{address}"
            );
        }
        assert_eq!(plan.place(plan.gateway), Place::Gateway);
        assert_eq!(plan.place(plan.resolver), Place::Resolver);
        let far = Ipv4Address::new(10, 0, 3, 2);
        assert_eq!(plan.place(far), Place::Outside(far));
    }
}
