//! The `--outcome` file: where the [summary](super::summary) of a run is written, whole or not at all.

use super::Ended;
use super::summary::Summary;
use crate::Error;
use rustix::fs::{Access, access};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A place for the file, looked at before the VM runs so that a long run is not lost to a wrong path.
pub(super) struct Record {
    path: PathBuf,
    /// A pipe or a device, which is written as it is. Everything else is replaced when its successor is complete.
    special: Option<File>,
}

impl Record {
    /// Finds out whether the file can be written.
    pub fn at(path: &Path) -> Result<Record, Error> {
        Record::look(path).map_err(|error| cannot(path, &error))
    }

    fn look(path: &Path) -> io::Result<Record> {
        // The name of an open file, as /dev/stdout is, must not be given to a new one.
        let alias = ["/dev", "/proc"].iter().any(|tree| path.starts_with(tree));
        let there = fs::metadata(path).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if alias || there.as_ref().is_some_and(|there| !there.is_file()) {
            return Ok(Record {
                special: Some(File::options().append(true).open(path)?),
                path: path.to_owned(),
            });
        }
        if there.is_some() && !may_be_replaced(path) {
            let problem = "there is something else in it than an earlier outcome; name another file, or remove it";
            return Err(io::Error::other(problem));
        }
        // A link stays one: it is the file it leads to that is replaced.
        let path = match there {
            Some(_) => path.canonicalize()?,
            None => path.to_owned(),
        };
        let directory = path.parent().filter(|parent| *parent != Path::new(""));
        access(
            directory.unwrap_or(Path::new(".")),
            Access::WRITE_OK | Access::EXEC_OK,
        )?;
        Ok(Record {
            path,
            special: None,
        })
    }

    /// Writes it.
    pub fn write(mut self, ended: &Result<Ended, Error>) -> Result<(), Error> {
        self.put(&Summary::of(ended))
            .map_err(|error| cannot(&self.path, &error))
    }

    fn put(&mut self, summary: &Summary) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(summary)?;
        text.push('\n');
        if let Some(file) = &mut self.special {
            return file.write_all(text.as_bytes());
        }
        let mut draft = self.path.clone().into_os_string();
        draft.push(format!(".{}.tmp", std::process::id()));
        let done = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &self.path));
        if done.is_err() {
            // Half a file is of no use; where it cannot be removed, its name says what it is.
            let _ = fs::remove_file(&draft);
        }
        done
    }
}

/// Whether a file is an earlier outcome, or empty. A disk's image, a guest's or a configuration is neither.
fn may_be_replaced(path: &Path) -> bool {
    let mut first = [0];
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    match read {
        // What cannot be read is nobody's image.
        Err(_) | Ok(0) => true,
        Ok(_) => first == *b"{",
    }
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    Error::Create {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}
