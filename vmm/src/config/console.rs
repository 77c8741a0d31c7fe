//! Consoles: the `[console]` table, or the `[[console]]` tables, which are the boot console and the ports of the virtio console.

use super::Console;
use super::claims::{Key, Part, Places};
use super::leaf::{DeviceName, Leaf};
use super::place;
use super::rate::{ByteRate, Rate};
use super::read::{Table, Value};
use super::target::Target;
use super::tree::Wrong;
use hypercall_abi::console::MAX_PORTS;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A port of the virtio console.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The name by which a guest opens it, 1 to 32 bytes.
    pub name: String,
    /// The host's end of it.
    pub to: PortEnd,
    /// The most reads and writes in a second, of up to 64 KiB each.
    pub ops_per_second: Option<u64>,
    /// The most bytes in a second, both ways together.
    pub bytes_per_second: Option<u64>,
}

impl Port {
    /// A port with every default.
    #[must_use]
    pub fn new(name: &str, to: PortEnd) -> Port {
        Port {
            name: name.to_owned(),
            to,
            ops_per_second: None,
            bytes_per_second: None,
        }
    }
}

/// The host's end of a port.
#[derive(Clone, Debug, PartialEq)]
pub enum PortEnd {
    /// The process's standard input and output; for one port, and only if the console does not have them.
    Stdio,
    /// Output appended to a file; no input.
    File(PathBuf),
    /// Output is thrown away; no input.
    None,
    /// A Unix socket that the VMM listens on, for one client at a time, which may go away and come back. Without one, output waits in the port's queue.
    Socket(PathBuf),
}

/// `[console]`, or all `[[console]]`.
pub(super) enum ConsoleTables {
    One(OnlyTable),
    Several(Vec<Spanned<Table<ConsoleTable>>>),
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OnlyTable {
    to: Option<Spanned<Target>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsoleTable {
    name: Option<Value<DeviceName>>,
    to: Option<Spanned<Target>>,
    ops_per_second: Option<Spanned<Rate>>,
    bytes_per_second: Option<Spanned<ByteRate>>,
}

impl Default for ConsoleTables {
    fn default() -> ConsoleTables {
        ConsoleTables::One(OnlyTable::default())
    }
}

impl<'de> Deserialize<'de> for ConsoleTables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ConsoleTables, D::Error> {
        struct TablesVisitor;
        impl<'de> Visitor<'de> for TablesVisitor {
            type Value = ConsoleTables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, or several below [[console]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<ConsoleTables, A::Error> {
                OnlyTable::deserialize(MapAccessDeserializer::new(table)).map(ConsoleTables::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<ConsoleTables, A::Error> {
                let mut tables = Vec::new();
                while let Some(table) = array.next_element()? {
                    tables.push(table);
                }
                Ok(ConsoleTables::Several(tables))
            }
        }
        deserializer.deserialize_any(TablesVisitor)
    }
}

impl ConsoleTables {
    /// The boot console and the ports, with relative paths resolved against `base`; adds the places of what they claim.
    pub(super) fn into_consoles(
        self,
        base: &Path,
        places: &mut Places,
    ) -> Result<(Console, Vec<Port>), Wrong> {
        let tables = match self {
            ConsoleTables::One(table) => return Ok((boot(table.to, base, places)?, Vec::new())),
            ConsoleTables::Several(tables) => tables,
        };
        let (mut console, mut ports) = (None, Vec::new());
        for table in tables {
            let place = table.span();
            let mut table = table.into_inner().0;
            match table.name.take() {
                Some(name) => {
                    if ports.len() >= usize::from(MAX_PORTS) {
                        return Err((name.at, too_many()));
                    }
                    let part = Part::Port(ports.len());
                    ports.push(port(name, table, base, part, places)?);
                }
                None if console.is_none() => {
                    let bytes = table.bytes_per_second.map(|rate| rate.span());
                    if let Some(at) = table.ops_per_second.map(|rate| rate.span()).or(bytes) {
                        let problem = "the console that calls write to has no limits, but a port can; write name = \"NAME\" to make it one, or remove the key";
                        return Err((at, problem.to_owned()));
                    }
                    console = Some(boot(table.to, base, places)?);
                }
                None => {
                    let problem = "there is a console without a name already; write name = \"NAME\" to make this one a port";
                    return Err((place, problem.to_owned()));
                }
            }
        }
        Ok((console.unwrap_or(Console::Stdio), ports))
    }
}

/// The console that calls write to.
fn boot(to: Option<Spanned<Target>>, base: &Path, places: &mut Places) -> Result<Console, Wrong> {
    let Some(to) = to else {
        return Ok(Console::Stdio);
    };
    let at = to.span();
    places.add(Part::Console, Key::End, at.clone());
    match to.into_inner() {
        Target::Stdio => Ok(Console::Stdio),
        Target::None => Ok(Console::None),
        Target::File(path) => Ok(Console::File(place::made(at, "file", base.join(path))?)),
        Target::Socket(_) => Err((
            at,
            "the console that calls write to cannot be a socket, but a port can; write [[console]] with name = \"NAME\"".to_owned(),
        )),
    }
}

fn port(
    name: Value<DeviceName>,
    table: ConsoleTable,
    base: &Path,
    part: Part,
    places: &mut Places,
) -> Result<Port, Wrong> {
    let Some(to) = table.to else {
        let problem = "a port needs an end on the host; write to = \"stdio\", to = \"none\", to = { file = \"PATH\" } or to = { socket = \"PATH\" }";
        return Err((name.at, problem.to_owned()));
    };
    let at = to.span();
    places.add(part, Key::Name, name.at);
    places.add(part, Key::End, at.clone());
    let to = match to.into_inner() {
        Target::Stdio => PortEnd::Stdio,
        Target::None => PortEnd::None,
        Target::File(path) => PortEnd::File(place::made(at, "file", base.join(path))?),
        Target::Socket(path) => PortEnd::Socket(place::listener(at, "socket", base.join(path))?),
    };
    Ok(Port {
        name: name.value,
        to,
        ops_per_second: table.ops_per_second.map(|rate| rate.into_inner().0),
        bytes_per_second: table.bytes_per_second.map(|rate| rate.into_inner().0),
    })
}

fn too_many() -> String {
    format!("a VM has at most {MAX_PORTS} ports; remove some")
}

/// Checks ports that no file describes.
///
/// # Errors
/// A sentence.
pub(super) fn check(ports: &[Port]) -> Result<(), String> {
    if ports.len() > usize::from(MAX_PORTS) {
        return Err(too_many());
    }
    let mut names = ports.iter().map(|port| DeviceName::read(&port.name));
    names.try_for_each(|name| name.map(drop))
}
