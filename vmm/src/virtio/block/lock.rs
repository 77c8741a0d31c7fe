//! The lock on a disk's file: one who writes, or several who read. It is `flock`'s, which every open of the file has its own of, also within a process.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::getpid;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

/// Locks a file for as long as it is open.
///
/// # Errors
/// A sentence that says who has it, as far as that is known, and what would be right.
pub(super) fn lock(file: &File, read_only: bool) -> Result<(), String> {
    let operation = match read_only {
        true => FlockOperation::NonBlockingLockShared,
        false => FlockOperation::NonBlockingLockExclusive,
    };
    match flock(file, operation) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(format!(
            "{} has locked it; two VMs can share it only where both write read_only = true",
            owner(file)
        )),
        Err(error) => Err(format!("it cannot be locked: {error}")),
    }
}

/// Who has locked a file, in words.
fn owner(file: &File) -> String {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let of = file.metadata().ok();
    let Some(pid) = of.and_then(|of| find(&locks, of.dev(), of.ino())) else {
        return "somebody else".into();
    };
    if pid == getpid().as_raw_nonzero().get() {
        return format!("another VM of this process ({pid})");
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({name})"),
    }
}

/// The process that has a lock of `flock`'s on a file, according to `/proc/locks`.
fn find(locks: &str, device: u64, inode: u64) -> Option<i32> {
    let (major, minor) = (libc::major(device), libc::minor(device));
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`; those that wait have an arrow before the kind.
        let mut words = line.split_whitespace().skip(1);
        let (kind, _, _) = (words.next()?, words.next()?, words.next()?);
        let (pid, at) = (words.next()?, words.next()?);
        let pid = pid.parse().ok().filter(|pid: &i32| *pid > 0);
        pid.filter(|_| kind == "FLOCK" && at == place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_found_among_locks() {
        let locks = "1: POSIX  ADVISORY  WRITE 12 fe:00:1234 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 13 fe:00:12345 0 EOF\n\
            3: FLOCK  ADVISORY  READ 14 fe:01:1234 0 EOF\n\
            4: OFDLCK ADVISORY  WRITE -1 fe:00:1234 0 EOF\n\
            5: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF\n\
            5: -> FLOCK  ADVISORY  WRITE 4712 fe:00:1234 0 EOF\n\
            a line of another kind\n";
        assert_eq!(find(locks, libc::makedev(0xfe, 0), 1234), Some(4711));
        assert_eq!(find(locks, libc::makedev(0xfe, 2), 1234), None);
        assert_eq!(find("", 0, 0), None);
    }

    #[test]
    fn one_writes_or_several_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let (one, other) = (open(), open());
        assert_eq!(lock(&one, true), Ok(()));
        assert_eq!(lock(&other, true), Ok(()));
        let refused = lock(&open(), false).unwrap_err();
        assert!(refused.contains("another VM of this process"), "{refused}");
        drop((one, other));
        let one = open();
        assert_eq!(lock(&one, false), Ok(()));
        let refused = lock(&open(), true).unwrap_err();
        assert!(refused.contains("read_only = true"), "{refused}");
    }
}
