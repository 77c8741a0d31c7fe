//! Disks: the `[[disk]]` tables.

use super::claims::{Key, Part, Places};
use super::leaf::{BackendName, CacheName, DeviceName, FilePath, SerialNumber};
use super::rate::{ByteRate, Rate};
use super::read::Value;
use super::tree::Wrong;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// A disk: a file of the host's, sector for sector, or one of its block devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// The name by which a guest finds it, 1 to 32 bytes.
    pub name: String,
    /// Whether nobody writes it: then several VMs may use it at once.
    pub read_only: bool,
    /// Whether the host's page cache is passed by, for requests that the host's disk can take as they are.
    pub direct: bool,
    /// When a write is durable.
    pub cache: Cache,
    /// What the guest is told when it asks for the serial number, at most 20 bytes.
    pub serial: String,
    /// How the host's kernel is asked.
    pub backend: Backend,
    /// The most requests in a second.
    pub ops_per_second: Option<u64>,
    /// The most bytes in a second, read and written.
    pub bytes_per_second: Option<u64>,
}

/// When a write is durable: when it survives a failure of the host's power. A kill of the VMM, by any signal, loses nothing that was answered either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// After a flush.
    Writeback,
    /// When it is answered.
    Writethrough,
}

/// How the host's kernel is asked to read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `io_uring`, except where it is not available, and for files that are in memory anyway.
    Auto,
    /// Requests are in flight together.
    IoUring,
    /// One request after the other.
    Plain,
}

impl Cache {
    /// All of them.
    pub const ALL: [Cache; 2] = [Cache::Writeback, Cache::Writethrough];

    /// Its name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cache::Writeback => "writeback",
            Cache::Writethrough => "writethrough",
        }
    }
}

impl Backend {
    /// All of them.
    pub const ALL: [Backend; 3] = [Backend::Auto, Backend::IoUring, Backend::Plain];

    /// Its name in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Auto => "auto",
            Backend::IoUring => "io_uring",
            Backend::Plain => "plain",
        }
    }
}

impl Disk {
    /// A disk with every default.
    #[must_use]
    pub fn new(name: &str, path: PathBuf) -> Disk {
        Disk {
            path,
            name: name.to_owned(),
            read_only: false,
            direct: false,
            cache: Cache::Writeback,
            serial: String::new(),
            backend: Backend::Auto,
            ops_per_second: None,
            bytes_per_second: None,
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiskTable {
    path: Option<Value<FilePath>>,
    name: Option<Value<DeviceName>>,
    read_only: Option<bool>,
    direct: Option<bool>,
    cache: Option<Value<CacheName>>,
    serial: Option<Value<SerialNumber>>,
    backend: Option<Value<BackendName>>,
    ops_per_second: Option<Rate>,
    bytes_per_second: Option<ByteRate>,
}

impl DiskTable {
    /// The disk of the table at `place`, which has an index among the disks; adds the places of what it claims.
    pub(super) fn into_disk(
        self,
        index: usize,
        place: Range<usize>,
        base: &Path,
        places: &mut Places,
    ) -> Result<Disk, Wrong> {
        let Some(path) = self.path else {
            let problem = "a disk needs a file; write path = \"PATH\"";
            return Err((place, problem.to_owned()));
        };
        let part = Part::Disk(index);
        places.add(part, Key::End, path.at.clone());
        let mut disk = Disk::new(&format!("disk{index}"), file(path, base)?);
        if let Some(name) = self.name {
            places.add(part, Key::Name, name.at);
            disk.name = name.value;
        }
        disk.read_only = self.read_only.unwrap_or(disk.read_only);
        disk.direct = self.direct.unwrap_or(disk.direct);
        disk.cache = self.cache.map_or(disk.cache, |cache| cache.value);
        disk.serial = self.serial.map_or(disk.serial, |serial| serial.value);
        disk.backend = self.backend.map_or(disk.backend, |backend| backend.value);
        disk.ops_per_second = self.ops_per_second.map(|rate| rate.0);
        disk.bytes_per_second = self.bytes_per_second.map(|rate| rate.0);
        Ok(disk)
    }
}

/// The file or block device, which must be there.
fn file(written: Value<FilePath>, base: &Path) -> Result<PathBuf, Wrong> {
    let path = base.join(written.value);
    let problem = match std::fs::metadata(&path) {
        Ok(found) if found.is_file() || found.file_type().is_block_device() => return Ok(path),
        Ok(found) if found.is_dir() => {
            "is a directory; write the path of a file or block device".to_owned()
        }
        Ok(_) => "is neither a regular file nor a block device; write the path of one".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => format!(
            "is not there; `truncate -s 64M {}` makes an empty disk",
            path.display()
        ),
        Err(error) => format!("cannot be used: {error}"),
    };
    Err((written.at, format!("{} {problem}", path.display())))
}
