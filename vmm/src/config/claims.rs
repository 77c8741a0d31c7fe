//! What only one part of a VM can have: its name, a file, a socket, an address. Each part claims what is its, and the later of two that cannot both
//! have it is refused, with the name and the line of the earlier one.

use super::{Config, Console, Forward, Link, PortEnd, refusal};
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::ops::Range;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf, absolute};

/// A part that claims something; a number is its place among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Disk(usize),
    Net(usize),
    Vsock(usize),
    Console,
    Port(usize),
}

/// Which of its keys says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// None: the whole table stands for a key that is left out.
    Table,
    Name,
    Mac,
    /// Its end on the host: a file, a socket, a tap device.
    End,
    /// One of its forwards.
    Forward(usize),
}

/// Where a file says it.
#[derive(Default)]
pub(super) struct Places(Vec<(Part, Key, Range<usize>)>);

impl Places {
    /// Remembers one.
    pub fn add(&mut self, part: Part, key: Key, at: Range<usize>) {
        self.0.push((part, key, at));
    }

    fn of(&self, part: Part, key: Key) -> Option<Range<usize>> {
        let find = |key| self.0.iter().find(|(p, k, _)| (*p, *k) == (part, key));
        let (_, _, at) = find(key).or_else(|| find(Key::Table))?;
        Some(at.clone())
    }
}

/// What is claimed.
enum What<'c> {
    /// A name among those of the same kind of part.
    Name(&'c str),
    /// Standard input and output.
    Stdio,
    File(&'c Path, Use),
    Tap(&'c str),
    Mac([u8; 6]),
    /// An address of the host's to listen at.
    Host(&'c Forward),
}

/// What for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Disk {
        read_only: bool,
    },
    /// A console's output is appended to it.
    Output,
    /// A socket is made there.
    Socket,
}

struct Claim<'c> {
    part: Part,
    key: Key,
    what: What<'c>,
    /// The part in words.
    who: Who<'c>,
    at: Option<Range<usize>>,
}

#[derive(Clone, Copy)]
enum Who<'c> {
    Console,
    Named(&'static str, &'c str),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Console => f.write_str("the console that calls write to"),
            Who::Named(kind, name) => write!(f, "the {kind} {name:?}"),
        }
    }
}

/// Two parts that cannot both have what they claim.
#[derive(Debug)]
pub(super) struct Clash {
    /// Where the later one says so, if it is written.
    pub at: Range<usize>,
    /// The later one in words.
    pub who: String,
    /// What the earlier one has; what would be right.
    pub problem: String,
}

/// Checks that no two parts clash. `places` are those of `text`; a value that no file describes has none.
///
/// # Errors
/// The first that does, in the order of the file.
pub(super) fn check(config: &Config, places: &Places, text: &str) -> Result<(), Clash> {
    let mut claims = claims(config);
    for claim in &mut claims {
        claim.at = places.of(claim.part, claim.key);
    }
    claims.sort_by_key(|claim| claim.at.as_ref().map(|at| at.start));
    for (index, later) in claims.iter().enumerate() {
        let mut before = claims.iter().take(index);
        let Some(earlier) = before.find(|earlier| earlier.clashes(later)) else {
            continue;
        };
        let line = earlier.at.as_ref().map(|at| refusal::line(text, at.start));
        let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
        return Err(Clash {
            at: later.at.clone().unwrap_or(0..0),
            who: later.who.to_string(),
            problem: later
                .what
                .refused(&earlier.what, &format!("{}{line}", earlier.who)),
        });
    }
    Ok(())
}

/// Everything that is claimed.
fn claims(config: &Config) -> Vec<Claim<'_>> {
    let mut claims = Vec::new();
    let mut claim = |part, key, who, what| {
        claims.push(Claim {
            part,
            key,
            what,
            who,
            at: None,
        });
    };
    for (index, disk) in config.disks.iter().enumerate() {
        let (part, who) = (Part::Disk(index), Who::Named("disk", &disk.name));
        let read_only = disk.read_only;
        claim(part, Key::Name, who, What::Name(&disk.name));
        let file = What::File(&disk.path, Use::Disk { read_only });
        claim(part, Key::End, who, file);
    }
    for (index, net) in config.nets.iter().enumerate() {
        let (part, who) = (Part::Net(index), Who::Named("network card", &net.name));
        claim(part, Key::Name, who, What::Name(&net.name));
        if let Some(mac) = net.mac {
            claim(part, Key::Mac, who, What::Mac(mac));
        }
        match &net.link {
            Link::Tap(tap) => claim(part, Key::End, who, What::Tap(tap)),
            Link::Connect(_) => {}
            Link::Listen(path) => claim(part, Key::End, who, What::File(path, Use::Socket)),
            Link::User(user) => {
                for (index, forward) in user.forward.iter().enumerate() {
                    claim(part, Key::Forward(index), who, What::Host(forward));
                }
            }
        }
    }
    for (index, vsock) in config.vsocks.iter().enumerate() {
        let (part, who) = (Part::Vsock(index), Who::Named("[[vsock]]", &vsock.name));
        claim(part, Key::Name, who, What::Name(&vsock.name));
        let socket = What::File(&vsock.path, Use::Socket);
        claim(part, Key::End, who, socket);
    }
    match &config.console {
        Console::Stdio => claim(Part::Console, Key::End, Who::Console, What::Stdio),
        Console::File(path) => {
            let file = What::File(path, Use::Output);
            claim(Part::Console, Key::End, Who::Console, file);
        }
        Console::None => {}
    }
    for (index, port) in config.ports.iter().enumerate() {
        let (part, who) = (Part::Port(index), Who::Named("port", &port.name));
        claim(part, Key::Name, who, What::Name(&port.name));
        match &port.to {
            PortEnd::Stdio => claim(part, Key::End, who, What::Stdio),
            PortEnd::File(path) => claim(part, Key::End, who, What::File(path, Use::Output)),
            PortEnd::Socket(path) => claim(part, Key::End, who, What::File(path, Use::Socket)),
            PortEnd::None => {}
        }
    }
    claims
}

impl Claim<'_> {
    fn clashes(&self, later: &Claim<'_>) -> bool {
        match (&self.what, &later.what) {
            (What::Name(one), What::Name(other)) => {
                let alike =
                    std::mem::discriminant(&self.part) == std::mem::discriminant(&later.part);
                alike && one == other
            }
            (What::Stdio, What::Stdio) => true,
            (What::Tap(one), What::Tap(other)) => one == other,
            (What::Mac(one), What::Mac(other)) => one == other,
            (What::Host(one), What::Host(other)) => one_address(one, other),
            (What::File(one, first), What::File(other, second)) => {
                !first.can_share(*second) && one_file(one, other)
            }
            _ => false,
        }
    }
}

impl Use {
    fn can_share(self, other: Use) -> bool {
        let read_only = Use::Disk { read_only: true };
        self == other && (self == read_only || self == Use::Output)
    }
}

impl What<'_> {
    /// A sentence about who has it already, and what would be right.
    fn refused(&self, earlier: &What<'_>, who: &str) -> String {
        match (self, earlier) {
            (What::Name(_), _) => format!("{who} has this name too; write another name"),
            (What::Stdio, _) => format!(
                "{who} has standard input and output already; send one of the two elsewhere, such as the console by a [[console]] with to = \"none\""
            ),
            (What::Tap(_), _) => {
                format!("{who} has this tap device already; write another name")
            }
            (What::Mac(_), _) => {
                format!("{who} has this address already; write another one, or remove `mac`")
            }
            (What::Host(_), What::Host(earlier)) => format!(
                "the host listens at {} for \"{earlier}\" of {who} already; remove one, or write another port",
                earlier.host
            ),
            (What::File(_, Use::Socket), What::File(_, Use::Socket)) => {
                format!("{who} listens at this path already; write another path")
            }
            (What::File(_, Use::Disk { .. }), What::File(_, Use::Disk { .. })) => format!(
                "{who} has this file already; write another path, or read_only = true for both"
            ),
            (What::File(_, Use::Output), What::File(_, Use::Disk { .. })) => format!(
                "{who} has this file already, and what is printed would go into it; write another path"
            ),
            _ => format!("{who} has this file already; write another path"),
        }
    }
}

/// Whether the host cannot listen at both: a wildcard is every address of its kind. Port 0 is one that is free.
fn one_address(one: &Forward, other: &Forward) -> bool {
    let (first, second) = (one.host.ip(), other.host.ip());
    let covers = |all: IpAddr, one: IpAddr| all.is_unspecified() && all.is_ipv4() == one.is_ipv4();
    one.protocol == other.protocol
        && one.host.port() == other.host.port()
        && one.host.port() != 0
        && (first == second || covers(first, second) || covers(second, first))
}

/// Whether two paths lead to one file, or will when it is made.
fn one_file(one: &Path, other: &Path) -> bool {
    one == other || Identity::of(one) == Identity::of(other)
}

#[derive(PartialEq, Eq)]
enum Identity {
    /// The file system's device and the file's number there.
    File(u64, u64),
    /// A block device, by whatever file.
    Device(u64),
    /// Nothing is there yet.
    Name(PathBuf),
}

impl Identity {
    fn of(path: &Path) -> Identity {
        match fs::metadata(path) {
            Ok(found) if found.file_type().is_block_device() => Identity::Device(found.rdev()),
            Ok(found) => Identity::File(found.dev(), found.ino()),
            Err(_) => {
                let path = absolute(path).unwrap_or_else(|_| path.to_owned());
                let directory = path.parent().and_then(|above| above.canonicalize().ok());
                let place = directory.zip(path.file_name());
                Identity::Name(match place {
                    Some((directory, name)) => directory.join(name),
                    None => path,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Disk, Image, Net, UserNetwork};

    #[test]
    fn a_value_is_refused_as_a_file_is() {
        let mut config = Config::new(Image::File("guest.elf".into()));
        config.disks.push(Disk::new("one", "a.img".into()));
        assert!(config.check().is_ok());
        config.disks.push(Disk::new("two", "./a.img".into()));
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "the disk \"two\": the disk \"one\" has this file already; write another path, or read_only = true for both"
        );
        for disk in &mut config.disks {
            disk.read_only = true;
        }
        assert!(config.check().is_ok());
    }

    #[test]
    fn a_card_and_a_disk_may_have_one_name() {
        let mut config = Config::new(Image::File("guest.elf".into()));
        config.disks.push(Disk::new("data", "a.img".into()));
        let link = Link::User(UserNetwork::default());
        config.nets.push(Net::new("data", link));
        assert!(config.check().is_ok());
    }
}
