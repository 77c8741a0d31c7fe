//! Storage that is smaller than what is on it: a file system in memory that only the test sees, and block devices over files.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use trapless_tests::skip::skipped;

/// Bytes that such a file system has; half of them are taken at first.
const BYTES: usize = 1 << 20;

/// A file system in a mount namespace of its own. It ends with this value.
pub struct Small {
    holder: Child,
    directory: TempDir,
}

impl Small {
    /// With a file `image` of so many bytes, none of which has a place yet. `None`, and a line that says so, where the host does not allow it.
    pub fn new(len: u64) -> Option<Small> {
        // Who is not root needs a user namespace too.
        let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let Some(small) = ways.into_iter().find_map(Small::mounted) else {
            skipped("`unshare` and `mount` make no file system of a given size here");
            return None;
        };
        let image = File::create(small.image()).expect("a file in it");
        image.set_len(len).expect("a file with holes");
        std::fs::write(small.filler(), vec![0xff; BYTES / 2]).expect("room for half of it");
        Some(small)
    }

    fn mounted(namespaces: &[&str]) -> Option<Small> {
        let directory = TempDir::new().expect("a temporary directory");
        let script = format!("mount -t tmpfs -o size={BYTES} none \"$0\" && echo && read -r _");
        let mut holder = Command::new("unshare")
            .args(namespaces)
            .args(["sh", "-c", &script])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let output = holder.stdout.take().expect("an output pipe");
        let is_there = BufReader::new(output).read_line(&mut line);
        let small = Small { holder, directory };
        // It says a line when the file system is there, and nothing where there is none.
        (is_there.ok()? == 1).then_some(small)
    }

    /// A file's path as everybody can reach it.
    fn at(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.directory.path().strip_prefix("/").expect("absolute");
        root.join(inside).join(name)
    }

    pub fn image(&self) -> PathBuf {
        self.at("image")
    }

    fn filler(&self) -> PathBuf {
        self.at("filler")
    }

    /// Gives back what was taken at first.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("the file that fills it");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It ends with its input, and what was mounted with it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// A block device over a file.
pub struct Loop {
    path: PathBuf,
    file: PathBuf,
}

impl Loop {
    /// `None`, and a line that says so, where the host does not allow it.
    pub fn new(file: &Path) -> Option<Loop> {
        let mut losetup = Command::new("losetup");
        let made = losetup.args(["--find", "--show"]).arg(file).output();
        match made {
            Ok(made) if made.status.success() => Some(Loop {
                path: String::from_utf8_lossy(&made.stdout).trim_end().into(),
                file: file.into(),
            }),
            _ => {
                skipped("`losetup` makes no block device here");
                None
            }
        }
    }

    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Makes the file, and the device with it, shorter.
    pub fn shrink(&self, len: u64) {
        let file = File::options().write(true).open(&self.file);
        file.and_then(|file| file.set_len(len))
            .expect("a shorter file");
        let mut losetup = Command::new("losetup");
        let told = losetup.arg("--set-capacity").arg(&self.path).status();
        assert!(told.is_ok_and(|status| status.success()), "--set-capacity");
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let mut losetup = Command::new("losetup");
        let _ = losetup.arg("--detach").arg(&self.path).status();
    }
}
