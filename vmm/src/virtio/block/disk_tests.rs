//! Files and what becomes of them while they are disks.

use super::*;
use crate::memory::Memory;
use hypercall_abi::Gpa;
use hypercall_abi::map::RAM_BASE;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::{NamedTempFile, TempDir};

/// A file whose sectors each consist of their number.
fn image(directory: &Path, sectors: u8) -> NamedTempFile {
    let file = NamedTempFile::new_in(directory).unwrap();
    let bytes: Vec<u8> = (0..sectors).flat_map(|sector| [sector; 512]).collect();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn config(path: &Path) -> config::Disk {
    config::Disk::new("d", path.to_owned())
}

/// Guest memory and buffers in it.
struct Guest(Arc<Memory>);

impl Guest {
    fn new() -> Guest {
        Guest(Arc::new(Memory::new(16 << 20).unwrap()))
    }

    fn vectors(&self, at: u64, len: u32) -> Vectors {
        let mut vectors = Vectors::default();
        let buffers = [(Gpa(at), len)].into_iter();
        vectors.gather(&self.0, buffers, 0, len.into()).unwrap();
        vectors
    }

    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read(Gpa(at), &mut bytes).unwrap();
        bytes
    }

    fn read(&self, disk: &Disk, at: u64, len: u32) -> Status {
        let request = Request::Read {
            at,
            len: len.into(),
        };
        disk.perform(request, &mut self.vectors(RAM_BASE, len), false)
    }

    fn write(&self, disk: &Disk, at: u64, len: u32) -> Status {
        let request = Request::Write {
            at,
            len: len.into(),
        };
        disk.perform(request, &mut self.vectors(RAM_BASE, len), true)
    }
}

fn refused(config: &config::Disk) -> String {
    match Disk::open(config) {
        Ok(_) => panic!("{config:?} was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_disk_is_refused_by_name() {
    let directory = TempDir::new().unwrap();
    let missing = refused(&config(&directory.path().join("none.img")));
    assert!(
        missing.starts_with("disk \"d\": ")
            && missing.contains("none.img: it cannot be opened: No such file"),
        "{missing}"
    );
    let folder = refused(&config(directory.path()));
    assert!(folder.contains("Is a directory"), "{folder}");
    let short = image(directory.path(), 0);
    std::fs::write(short.path(), [0; 511]).unwrap();
    let short = refused(&config(short.path()));
    assert!(
        short.contains("it has 511 bytes") && short.contains("truncate -s"),
        "{short}"
    );
    let odd = refused(&config(Path::new("/dev/null")));
    assert!(
        odd.contains("neither a regular file nor a block device"),
        "{odd}"
    );
}

#[test]
fn a_file_that_may_not_be_written_says_what_to_do() {
    let directory = TempDir::new().unwrap();
    let file = image(directory.path(), 1);
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o444)).unwrap();
    // Root may write anything.
    if File::options().write(true).open(file.path()).is_err() {
        let refusal = refused(&config(file.path()));
        assert!(refusal.contains("write read_only = true"), "{refusal}");
    }
    let mut config = config(file.path());
    config.read_only = true;
    assert!(Disk::open(&config).is_ok());
}

#[test]
fn two_disks_cannot_write_one_file() {
    let directory = TempDir::new().unwrap();
    let file = image(directory.path(), 1);
    let mut config = config(file.path());
    let first = Disk::open(&config).unwrap();
    let second = refused(&config);
    assert!(second.contains("another VM of this process"), "{second}");
    drop(first);
    config.read_only = true;
    let _two = (Disk::open(&config).unwrap(), Disk::open(&config).unwrap());
}

#[test]
fn sectors_are_read_and_written() {
    let directory = TempDir::new().unwrap();
    let file = image(directory.path(), 8);
    let (disk, guest) = (Disk::open(&config(file.path())).unwrap(), Guest::new());
    assert_eq!(guest.read(&disk, 3 * 512, 1024), Status::Ok);
    assert_eq!(guest.bytes(RAM_BASE, 1024), [[3; 512], [4; 512]].concat());
    assert_eq!(guest.write(&disk, 0, 1024), Status::Ok);
    assert_eq!(
        std::fs::read(file.path()).unwrap()[..1536],
        [[3; 512], [4; 512], [2; 512]].concat()
    );
    assert_eq!(
        disk.perform(Request::Flush, &mut Vectors::default(), false),
        Status::Ok
    );
}

#[test]
fn zeros_and_holes_leave_their_neighbours_alone() {
    for place in [TempDir::new(), TempDir::new_in("/dev/shm")] {
        let Ok(directory) = place else { continue };
        for unmap in [false, true] {
            let file = image(directory.path(), 255);
            let disk = Disk::open(&config(file.path())).unwrap();
            let (at, len) = (512, 200 * 512);
            let request = Request::Zero { at, len, unmap };
            assert_eq!(
                disk.perform(request, &mut Vectors::default(), true),
                Status::Ok
            );
            let bytes = std::fs::read(file.path()).unwrap();
            assert_eq!(bytes.len(), 255 * 512);
            assert!(bytes[512..201 * 512].iter().all(|byte| *byte == 0));
            assert!(bytes[..512] == [0; 512] && bytes[201 * 512..202 * 512] == [201; 512]);
        }
        let file = image(directory.path(), 255);
        let disk = Disk::open(&config(file.path())).unwrap();
        for len in [0, 128 * 512] {
            let request = Request::Discard { at: 0, len };
            assert_eq!(
                disk.perform(request, &mut Vectors::default(), true),
                Status::Ok
            );
        }
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes[128 * 512..129 * 512], [128; 512]);
    }
}

#[test]
fn what_a_truncated_file_has_lost_fails_and_stays_lost() {
    let directory = TempDir::new().unwrap();
    let file = image(directory.path(), 64);
    let (disk, guest) = (Disk::open(&config(file.path())).unwrap(), Guest::new());
    file.as_file().set_len(32 * 512).unwrap();
    assert_eq!(guest.read(&disk, 31 * 512, 512), Status::Ok);
    assert_eq!(guest.read(&disk, 31 * 512, 1024), Status::Failed);
    assert_eq!(guest.read(&disk, 40 * 512, 512), Status::Failed);
    assert_eq!(guest.write(&disk, 40 * 512, 512), Status::Failed);
    let zero = Request::Zero {
        at: 40 * 512,
        len: 512,
        unmap: false,
    };
    assert_eq!(
        disk.perform(zero, &mut Vectors::default(), false),
        Status::Failed
    );
    let shorter = "the file is shorter than it was".to_owned();
    assert_eq!(disk.failures(), (4, Some(shorter)));
    assert_eq!(guest.write(&disk, 0, 512), Status::Ok);
    assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 32 * 512);
    assert_eq!(disk.bounds.capacity, 64 * 512, "a driver was told so");
}

#[test]
fn direct_disks_take_what_is_aligned_and_what_is_not() {
    let directory = TempDir::new().unwrap();
    let file = image(directory.path(), 64);
    let mut config = config(file.path());
    config.direct = true;
    let disk = match Disk::open(&config) {
        Ok(disk) => disk,
        Err(error) => {
            assert!(error.to_string().contains("leave `direct` out"), "{error}");
            return;
        }
    };
    let guest = Guest::new();
    assert!(disk.block.is_power_of_two() && disk.block >= 512);
    let direct = disk.direct.as_ref().unwrap();
    let is_direct = |at, gpa, len| {
        disk.way(&guest.vectors(gpa, len), at).as_raw_fd() == direct.file.as_raw_fd()
    };
    assert!(is_direct(0, RAM_BASE, 8192));
    assert!(!is_direct(0, RAM_BASE + 1, 8192) && !is_direct(0, RAM_BASE, 4096 + 1));
    for gpa in [RAM_BASE, RAM_BASE + 1] {
        let request = Request::Read {
            at: 4096,
            len: 8192,
        };
        assert_eq!(
            disk.perform(request, &mut guest.vectors(gpa, 8192), false),
            Status::Ok
        );
        let sectors: Vec<u8> = (8..24).flat_map(|sector| [sector; 512]).collect();
        assert_eq!(guest.bytes(gpa, 8192), sectors);
        let request = Request::Write {
            at: 16384,
            len: 8192,
        };
        assert_eq!(
            disk.perform(request, &mut guest.vectors(gpa, 8192), true),
            Status::Ok
        );
        let request = Request::Read {
            at: 16384,
            len: 512,
        };
        let mut vectors = guest.vectors(RAM_BASE + 16384, 512);
        assert_eq!(disk.perform(request, &mut vectors, false), Status::Ok);
        assert_eq!(guest.bytes(RAM_BASE + 16384, 512), [8; 512]);
    }
}
