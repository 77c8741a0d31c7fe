//! Sockets between guest and host: `[[vsock]]`.

use super::claims::{Key, Part, Places};
use super::leaf::{DeviceName, FilePath};
use super::place::{self, LONGEST_SOCKET};
use super::rate::{ByteRate, Rate};
use super::read::Value;
use super::tree::Wrong;
use hypercall_abi::vsock::FIRST_GUEST_CID;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The most bytes of the path: `_` with a port of ten digits is to fit behind it.
const LONGEST_PATH: usize = LONGEST_SOCKET - 11;

/// The greatest context ID of a guest: the one above it means any.
const LAST_GUEST_CID: u32 = u32::MAX - 1;

/// A device of sockets between guest and host.
#[derive(Clone, Debug, PartialEq)]
pub struct Vsock {
    /// The name by which a guest finds it, 1 to 32 bytes.
    pub name: String,
    /// The guest's context ID, from 3 to 4294967294.
    pub cid: u32,
    /// The Unix socket at which programs on the host reach the guest, at most 96 bytes. It is made, and removed with the VM. With `_` and a port behind it: where the guest reaches them.
    pub path: PathBuf,
    /// The most packets in a second, both ways together.
    pub ops_per_second: Option<u64>,
    /// The most bytes of streams in a second, both ways together.
    pub bytes_per_second: Option<u64>,
}

impl Vsock {
    /// The only device of a VM, with every default.
    #[must_use]
    pub fn new(path: PathBuf) -> Vsock {
        Vsock {
            name: "vsock0".to_owned(),
            cid: FIRST_GUEST_CID,
            path,
            ops_per_second: None,
            bytes_per_second: None,
        }
    }
}

/// One `[[vsock]]`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VsockTable {
    name: Option<Value<DeviceName>>,
    cid: Option<Cid>,
    path: Option<Value<FilePath>>,
    ops_per_second: Option<Rate>,
    bytes_per_second: Option<ByteRate>,
}

impl VsockTable {
    /// The device; `index` counts from 0, and `place` is the table's. Adds the places of what it claims.
    pub(super) fn into_vsock(
        self,
        index: usize,
        place: Range<usize>,
        base: &Path,
        places: &mut Places,
    ) -> Result<Vsock, Wrong> {
        let Some(Value { at, value: path }) = self.path else {
            let problem = "this [[vsock]] does not say where programs on the host reach the guest; write path = \"PATH\"";
            return Err((place, problem.to_owned()));
        };
        let path = base.join(path);
        let what = "a socket's path with a port behind it";
        place::short_enough(at.clone(), &path, what, LONGEST_PATH)?;
        let path = place::made(at.clone(), "path", path)?;
        let part = Part::Vsock(index);
        places.add(part, Key::End, at);
        let name = match self.name {
            Some(name) => {
                places.add(part, Key::Name, name.at);
                name.value
            }
            None => format!("vsock{index}"),
        };
        Ok(Vsock {
            name,
            cid: self.cid.map_or(FIRST_GUEST_CID, |cid| cid.0),
            path,
            ops_per_second: self.ops_per_second.map(|rate| rate.0),
            bytes_per_second: self.bytes_per_second.map(|rate| rate.0),
        })
    }
}

/// `cid`.
struct Cid(u32);

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cid, D::Error> {
        struct CidVisitor;
        impl Visitor<'_> for CidVisitor {
            type Value = Cid;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(
                    f,
                    "a whole number from {FIRST_GUEST_CID} to {LAST_GUEST_CID}"
                )
            }

            fn visit_i64<E: Error>(self, cid: i64) -> Result<Cid, E> {
                let within = u32::try_from(cid)
                    .ok()
                    .filter(|cid| (FIRST_GUEST_CID..=LAST_GUEST_CID).contains(cid));
                within.map(Cid).ok_or_else(|| {
                    E::custom(format!(
                        "a guest's context ID cannot be {cid}; write a number from {FIRST_GUEST_CID} to {LAST_GUEST_CID}"
                    ))
                })
            }
        }
        deserializer.deserialize_i64(CidVisitor)
    }
}
