//! Places on the host at which a VM makes a socket or a file, or finds a socket.

use super::tree::Wrong;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The most bytes of a Unix socket's path.
pub(super) const LONGEST_SOCKET: usize = 107;

/// Where a socket is to be found.
pub(super) fn socket(at: Range<usize>, path: PathBuf) -> Result<PathBuf, Wrong> {
    short_enough(at, &path, "a socket's path", LONGEST_SOCKET)?;
    Ok(path)
}

/// Where `key` says that a socket is to be made.
pub(super) fn listener(at: Range<usize>, key: &str, path: PathBuf) -> Result<PathBuf, Wrong> {
    let path = socket(at.clone(), path)?;
    made(at, key, path)
}

/// Where `key` says that something is to be made: in a directory that is there.
pub(super) fn made(at: Range<usize>, key: &str, path: PathBuf) -> Result<PathBuf, Wrong> {
    let Some(directory) = path.parent() else {
        return Ok(path);
    };
    let problem = match std::fs::metadata(directory) {
        Ok(found) if !found.is_dir() => "is no directory; write another path",
        Err(error) if error.kind() == ErrorKind::NotFound => {
            "is not there; make it, or write another path"
        }
        // Whether it can be made there is seen when it is.
        _ => return Ok(path),
    };
    let problem = format!(
        "{}, where `{key}` is to be made, {problem}",
        directory.display()
    );
    Err((at, problem))
}

/// Refuses a path of more bytes than `what` can have.
pub(super) fn short_enough(
    at: Range<usize>,
    path: &Path,
    what: &str,
    most: usize,
) -> Result<(), Wrong> {
    match path.as_os_str().len() {
        len if len <= most => Ok(()),
        len => Err((
            at,
            format!(
                "{} has {len} bytes, and {what} at most {most}; write a shorter one",
                path.display()
            ),
        )),
    }
}
