//! The lock on a disk's file: one who writes, or several who read. It is `flock`'s, which every open of the file has its own of, also within a process.
//!
//! A block device that is written is claimed too, as file systems claim what they are mounted from: `flock` knows nothing of those, nor that a
//! partition is a part of another device.

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::process::getpid;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a lock may be there whose process is not: the kernel takes a killed process's `io_uring` apart behind it, and a file with it.
const LINGER: Duration = Duration::from_secs(2);

/// How often such a lock is looked at.
const AGAIN: Duration = Duration::from_millis(2);

/// Locks a file for as long as it is open. Waits for a lock that a process has left that was killed.
///
/// # Errors
/// A sentence that says who has it, as far as that is known, and what would be right.
pub(super) fn lock(file: &File, read_only: bool) -> Result<(), String> {
    let operation = match read_only {
        true => FlockOperation::NonBlockingLockShared,
        false => FlockOperation::NonBlockingLockExclusive,
    };
    let locked = |owner: &str| {
        format!(
            "{owner} has locked it; two VMs can share it only where both write read_only = true"
        )
    };
    patiently(|| match flock(file, operation) {
        Ok(()) => Some(Ok(())),
        Err(Errno::WOULDBLOCK) => owner(file).map(|owner| Err(locked(&owner))),
        Err(error) => Some(Err(format!("it cannot be locked: {error}"))),
    })
    .unwrap_or_else(|| Err(locked("somebody else")))
}

/// Claims a block device for as long as what is returned is open. Waits for a claim that a killed process has left.
///
/// # Errors
/// A sentence that says what may have it.
pub(super) fn claim(device: &File) -> Result<OwnedFd, String> {
    // Of a block device `O_EXCL` is open(2)'s word for a claim.
    let claim = OFlags::EXCL | OFlags::CLOEXEC;
    patiently(|| match open(again(device), claim, Mode::empty()) {
        Ok(claimed) => Some(Ok(claimed)),
        Err(Errno::BUSY) => None,
        Err(error) => Some(Err(format!("it cannot be claimed: {error}"))),
    })
    .unwrap_or_else(|| {
        let by = "the host uses it, a part of it or what it is a part of, as a mounted file system perhaps (see `lsblk`)";
        Err(format!("{by}; read_only = true takes it all the same"))
    })
}

/// A path at which an open file can be opened once more, with other flags.
pub(super) fn again(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Tries until there is an answer, for as long as a killed process may be what is in the way.
fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        let answer = attempt();
        if answer.is_some() || begin.elapsed() >= LINGER {
            return answer;
        }
        std::thread::sleep(AGAIN);
    }
}

/// The process that has locked a file, in words, if it is there.
fn owner(file: &File) -> Option<String> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let of = file.metadata().ok()?;
    let pid = find(&locks, of.dev(), of.ino())?;
    if pid == getpid().as_raw_nonzero().get() {
        return Some(format!("another VM of this process ({pid})"));
    }
    let process = Path::new("/proc").join(pid.to_string());
    let name = std::fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("process {pid} ({})", name.trim()))
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
