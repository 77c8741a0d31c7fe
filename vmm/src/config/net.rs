//! Network cards: `[[net]]`.

use super::claims::{Key, Part, Places};
use super::leaf::{DeviceName, FilePath, Leaf};
use super::mtu::Mtu;
use super::place;
use super::rate::{ByteRate, Rate};
use super::read::Value;
use super::tree::Wrong;
use super::user::{LEAST_MTU, User, UserNetwork};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A network card.
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    /// Its name, at most 32 bytes, in the guest's device table and in statistics.
    pub name: String,
    /// Its Ethernet address; `None`: one made from the guest's name and this one's, the same each time.
    pub mac: Option<[u8; 6]>,
    /// The most bytes of a packet on it, without the Ethernet header, from 68; `None`: the tap device's, else 1500.
    pub mtu: Option<u16>,
    /// What it is connected to.
    pub link: Link,
    /// The most packets in a second, both ways together.
    pub ops_per_second: Option<u64>,
    /// The most bytes in a second, both ways together.
    pub bytes_per_second: Option<u64>,
}

impl Net {
    /// A card with every default.
    #[must_use]
    pub fn new(name: &str, link: Link) -> Net {
        Net {
            name: name.to_owned(),
            mac: None,
            mtu: None,
            link,
            ops_per_second: None,
            bytes_per_second: None,
        }
    }
}

/// What a network card is connected to.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// A tap device of the host's by its name, which is made if it is not there.
    Tap(String),
    /// A program that listens at a Unix stream socket: frames, each after its length in 32 bits, the most significant byte first.
    Connect(PathBuf),
    /// A program that connects to a Unix stream socket, which is made; frames as with [`Connect`](Link::Connect).
    Listen(PathBuf),
    /// A network of its own, made of the sockets that any program may have.
    User(UserNetwork),
}

/// One `[[net]]`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetTable {
    name: Option<Value<DeviceName>>,
    mac: Option<Value<MacAddress>>,
    mtu: Option<toml::Spanned<Mtu>>,
    tap: Option<Value<TapName>>,
    stream: Option<toml::Spanned<Stream>>,
    user: Option<toml::Spanned<User>>,
    ops_per_second: Option<Rate>,
    bytes_per_second: Option<ByteRate>,
}

impl NetTable {
    /// The card; `index` counts from 0, and `place` is the table's. Adds the places of what it claims.
    pub(super) fn into_net(
        self,
        index: usize,
        place: Range<usize>,
        base: &Path,
        places: &mut Places,
    ) -> Result<Net, Wrong> {
        let user = self.user.map(|user| (user.span(), user.into_inner()));
        let (user_place, user) = match user {
            Some((at, User::Yes(table))) => (at, Some(table)),
            Some((at, User::No)) => (at, None),
            None => (0..0, None),
        };
        let part = Part::Net(index);
        let link = match (self.tap, self.stream, user) {
            (Some(tap), None, None) => {
                places.add(part, Key::End, tap.at);
                Link::Tap(tap.value)
            }
            (None, Some(stream), None) => {
                let at = stream.span();
                places.add(part, Key::End, at.clone());
                match stream.into_inner() {
                    Stream::Connect(path) => Link::Connect(place::socket(at, base.join(path))?),
                    Stream::Listen(path) => {
                        Link::Listen(place::listener(at, "listen", base.join(path))?)
                    }
                }
            }
            (None, None, Some(user)) => Link::User(user.into_network(part, places)),
            (None, None, None) => {
                let problem = "this [[net]] does not say what it is connected to; write tap = \"NAME\", stream = \"PATH\" or user = true";
                return Err((place, problem.to_owned()));
            }
            (Some(_), Some(stream), _) => return Err(one_thing(stream.span(), "tap", "stream")),
            (Some(_), None, Some(_)) => return Err(one_thing(user_place, "tap", "user")),
            (None, Some(_), Some(_)) => return Err(one_thing(user_place, "stream", "user")),
        };
        let mtu = self.mtu.map(|mtu| (mtu.span(), mtu.into_inner().0));
        if let (Link::User(_), Some((at, ..LEAST_MTU))) = (&link, &mtu) {
            let problem = format!(
                "with user-mode networking a card's packets have at least {LEAST_MTU} bytes; write mtu = {LEAST_MTU} or more, or remove `mtu`"
            );
            return Err((at.clone(), problem));
        }
        let name = match self.name {
            Some(name) => {
                places.add(part, Key::Name, name.at);
                name.value
            }
            None => format!("net{index}"),
        };
        let mac = self.mac.map(|mac| {
            places.add(part, Key::Mac, mac.at);
            mac.value
        });
        Ok(Net {
            mac,
            mtu: mtu.map(|(_, mtu)| mtu),
            ops_per_second: self.ops_per_second.map(|rate| rate.0),
            bytes_per_second: self.bytes_per_second.map(|rate| rate.0),
            ..Net::new(&name, link)
        })
    }
}

/// A card with two keys for what it is connected to.
fn one_thing(at: Range<usize>, first: &str, second: &str) -> Wrong {
    let problem = format!(
        "`{first}` is there too, and a card is connected to one thing; remove `{first}` or `{second}`"
    );
    (at, problem)
}

/// `stream`.
enum Stream {
    Connect(PathBuf),
    Listen(PathBuf),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    listen: Option<Value<FilePath>>,
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Stream, D::Error> {
        struct StreamVisitor;
        impl<'de> Visitor<'de> for StreamVisitor {
            type Value = Stream;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path in quotes or { listen = \"PATH\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Stream, E> {
                FilePath::read(text).map(Stream::Connect).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Stream, A::Error> {
                let listener = Listener::deserialize(MapAccessDeserializer::new(table))?;
                let path = listener.listen.ok_or_else(|| {
                    A::Error::custom("a socket needs its path; write { listen = \"PATH\" }")
                })?;
                Ok(Stream::Listen(path.value))
            }
        }
        deserializer.deserialize_any(StreamVisitor)
    }
}

/// The name of a tap device.
enum TapName {}

impl Leaf for TapName {
    type Value = String;

    const EXPECTED: &'static str = "the name of a tap device in quotes";

    fn read(text: &str) -> Result<String, String> {
        let fits = |c: char| c.is_ascii_graphic() && !"/:%".contains(c);
        match text.len() {
            1..=15 if text.chars().all(fits) && text != "." && text != ".." => Ok(text.to_owned()),
            _ => Err(format!(
                "{text:?} cannot be a network device's name; write 1 to 15 letters and digits, such as \"tap0\""
            )),
        }
    }
}

/// The Ethernet address of a network card.
enum MacAddress {}

impl Leaf for MacAddress {
    type Value = [u8; 6];

    const EXPECTED: &'static str = "an Ethernet address in quotes, such as \"02:00:00:00:00:01\"";

    fn read(text: &str) -> Result<[u8; 6], String> {
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut mac {
            let part = parts.next().filter(|part| part.len() == 2);
            *byte = part
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| no_address(text))?;
        }
        match mac {
            _ if parts.next().is_some() => Err(no_address(text)),
            [first, ..] if first & 1 != 0 => Err(format!(
                "{text:?} is the address of a group; a card's first byte is even, such as in \"02:00:00:00:00:01\""
            )),
            [0, 0, 0, 0, 0, 0] => Err(format!(
                "{text:?} is no card's address; write one such as \"02:00:00:00:00:01\""
            )),
            mac => Ok(mac),
        }
    }
}

fn no_address(text: &str) -> String {
    format!(
        "{text:?} is not an Ethernet address; write six bytes in hexadecimal, such as \"02:00:00:00:00:01\""
    )
}
