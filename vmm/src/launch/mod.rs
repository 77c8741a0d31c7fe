//! The host flavour of a guest crate: what it does when it is run.
//!
//! Owns the way from a running launcher back to its own source: which target of which package it is, its guest
//! flavour, its configuration. Running the VM is [`run`]'s.

mod file;
mod harness;

use crate::build::{self, Kind, Request, Workspace};
use crate::config::{Config, Image};
use crate::error::Error;
use crate::run;
pub use harness::test;
use std::path::{Path, PathBuf};
use std::process;

/// What a launcher knows of itself from when it was compiled.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its package's directory.
    pub directory: &'static str,
    /// Its package's name.
    pub package: &'static str,
    /// Its crate's name.
    pub name: &'static str,
}

/// Builds the program's guest flavour, boots it with this process's arguments, and exits with the code
/// that `trapless run` would.
///
/// The configuration of a program NAME is the first of these that is there:
///
/// 1. `NAME.toml` beside its source, as `hello.toml` is beside `hello.rs`;
/// 2. where its source is a `main.rs`, `NAME.toml` beside the directory of that, as `http.toml` is beside `http/main.rs`;
/// 3. `vm.toml` beside its package's `Cargo.toml`;
/// 4. the default.
///
/// `-` and `_` are alike in the file's name. Arguments on the command line replace the configured ones.
pub fn main(program: &Program) -> ! {
    ignore_broken_pipes();
    let code = configuration(program).and_then(|mut config| {
        let args: Vec<String> = std::env::args_os()
            .skip(1)
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        if !args.is_empty() {
            config.guest.args = args;
        }
        run::run(&config, &run::Options::default())
    });
    process::exit(match code {
        Ok(code) => code.into(),
        Err(error) => complain(&error),
    })
}

/// Says why there is no VM.
fn complain(error: &Error) -> i32 {
    eprintln!("error: {error}");
    error.exit_code().into()
}

/// The VM of a program: its configuration, with its freshly built image in it.
fn configuration(program: &Program) -> Result<Config, Error> {
    let executable = std::env::current_exe().map_err(|source| Error::Os {
        what: "looking for this program's own file".to_owned(),
        source,
    })?;
    let place = Place::of(&executable);
    let workspace = Workspace::at(Path::new(program.directory))?;
    let target = workspace.crate_target(program.package, place.kind, program.name)?;
    let mut config = match file::of(&target, Path::new(program.directory)) {
        Some(path) => Config::load(&path)?,
        None => Config::new(Image::File(PathBuf::new())),
    };
    let request = Request {
        package: program.package.to_owned(),
        target,
        profile: place.profile,
    };
    config.guest.image = Image::File(build::guest(&workspace, &request)?);
    Ok(config)
}

/// What the place of an executable says about it: cargo puts binaries in `target/PROFILE`, examples in
/// `target/PROFILE/examples` and tests in `target/PROFILE/deps`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    kind: Kind,
    profile: String,
}

impl Place {
    fn of(executable: &Path) -> Place {
        let mut directories = executable
            .ancestors()
            .skip(1)
            .filter_map(|path| path.file_name()?.to_str());
        let first = directories.next().unwrap_or_default();
        let (kind, directory) = match first {
            "examples" => (Kind::Example, directories.next().unwrap_or_default()),
            "deps" => (Kind::Test, directories.next().unwrap_or_default()),
            profile => (Kind::Bin, profile),
        };
        let profile = match directory {
            "debug" => "dev",
            "" => build::OWN_PROFILE,
            profile => profile,
        };
        Place {
            kind,
            profile: profile.to_owned(),
        }
    }
}

/// A closed pipe is an error to the write that meets it, not the end of the process. Rust's own start-up code, which a
/// launcher does without, arranges the same.
fn ignore_broken_pipes() {
    // SAFETY: sets a disposition; no handler of ours runs.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> (Kind, String) {
        let place = Place::of(Path::new(path));
        (place.kind, place.profile)
    }

    #[test]
    fn an_executable_is_known_by_its_place() {
        assert_eq!(
            place("/w/target/debug/hello"),
            (Kind::Bin, "dev".to_owned())
        );
        assert_eq!(
            place("/w/target/release/examples/hello"),
            (Kind::Example, "release".to_owned())
        );
        assert_eq!(
            place("/w/target/fast/deps/vm-0123456789abcdef"),
            (Kind::Test, "fast".to_owned())
        );
    }
}
