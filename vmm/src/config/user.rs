//! User-mode networking: `user` of a network card.

use super::claims::{Key, Part, Places};
use super::forward::Forward;
use super::leaf::Leaf;
use super::read::{List, Value};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// The least MTU in a network that gives addresses (RFC 2131, 2).
pub(crate) const LEAST_MTU: u16 = 576;

/// A network for one guest, which needs no privileges of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct UserNetwork {
    /// Where the host listens for the guest.
    pub forward: Vec<Forward>,
    /// Whether the guest reaches the host: its loopback at the gateway's address, and its own addresses. Without it a guest reaches what is
    /// beyond the host only, so that programs that listen for their own machine are not the guest's.
    pub host_access: bool,
    /// The guest's network.
    pub network: Ipv4Network,
    /// Who answers for the name server's address.
    pub dns: NameServer,
}

impl Default for UserNetwork {
    /// Without forwards or access to the host, in 10.0.2.0/24.
    fn default() -> UserNetwork {
        UserNetwork {
            forward: Vec::new(),
            host_access: false,
            network: Ipv4Network {
                address: Ipv4Addr::new(10, 0, 2, 0),
                prefix: 24,
            },
            dns: NameServer::Host,
        }
    }
}

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Network {
    /// Its first address.
    pub address: Ipv4Addr,
    /// How many bits of an address are the network's, from 8 to 29.
    pub prefix: u8,
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Who answers for the name server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameServer {
    /// The host's name servers.
    Host,
    /// The one at this address.
    At(IpAddr),
}

/// `user`.
pub(super) enum User {
    Yes(Box<UserTable>),
    No,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserTable {
    forward: Option<List<Forward>>,
    host_access: Option<bool>,
    network: Option<Value<Ipv4Network>>,
    dns: Option<Value<NameServer>>,
}

impl UserTable {
    /// The network of a card; adds the places of its forwards.
    pub fn into_network(self, card: Part, places: &mut Places) -> UserNetwork {
        let mut user = UserNetwork::default();
        let forwards = self.forward.map_or_else(Vec::new, |list| list.0);
        for (index, Value { at, value: forward }) in forwards.into_iter().enumerate() {
            places.add(card, Key::Forward(index), at);
            user.forward.push(forward);
        }
        if let Some(host_access) = self.host_access {
            user.host_access = host_access;
        }
        if let Some(network) = self.network {
            user.network = network.value;
        }
        if let Some(dns) = self.dns {
            user.dns = dns.value;
        }
        user
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<User, D::Error> {
        struct UserVisitor;
        impl<'de> Visitor<'de> for UserVisitor {
            type Value = User;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, or a table such as { forward = [\"127.0.0.1:8080:80\"] }")
            }

            fn visit_bool<E: Error>(self, user: bool) -> Result<User, E> {
                Ok(match user {
                    true => User::Yes(Box::default()),
                    false => User::No,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<User, A::Error> {
                let table = UserTable::deserialize(MapAccessDeserializer::new(table))?;
                Ok(User::Yes(Box::new(table)))
            }
        }
        deserializer.deserialize_any(UserVisitor)
    }
}

impl Leaf for Ipv4Network {
    type Value = Ipv4Network;

    const EXPECTED: &'static str = "a network in quotes, such as \"10.0.2.0/24\"";

    fn read(text: &str) -> Result<Ipv4Network, String> {
        let parts = text.split_once('/');
        let network = parts.and_then(|(address, prefix)| {
            Some((
                address.parse::<Ipv4Addr>().ok()?,
                prefix.parse::<u8>().ok()?,
            ))
        });
        let Some((address, prefix)) = network else {
            return Err(format!(
                "{text:?} is not an IPv4 network; write one such as \"10.0.2.0/24\""
            ));
        };
        if !(8..=29).contains(&prefix) {
            return Err(format!(
                "a network of /{prefix} cannot be the guest's; write one from /8 to /29, such as \"10.0.2.0/24\""
            ));
        }
        let first = Ipv4Addr::from_bits(address.to_bits() & !(u32::MAX >> prefix));
        if matches!(first.octets(), [0 | 127 | 224..=255, ..]) {
            return Err(format!(
                "{text:?} is no network that machines are in; write one such as \"10.0.2.0/24\""
            ));
        }
        if first != address {
            return Err(format!(
                "{address} is not the first address of its network; write \"{first}/{prefix}\""
            ));
        }
        Ok(Ipv4Network { address, prefix })
    }
}

impl Leaf for NameServer {
    type Value = NameServer;

    const EXPECTED: &'static str = "\"host\" or the address of a name server in quotes";

    fn read(text: &str) -> Result<NameServer, String> {
        match (text, text.parse()) {
            ("host", _) => Ok(NameServer::Host),
            (_, Ok(address)) => Ok(NameServer::At(address)),
            (_, Err(_)) => Err(format!(
                "{text:?} is not the address of a name server; write one such as \"192.0.2.53\", or \"host\" for the host's"
            )),
        }
    }
}
