//! Building a guest: a cargo package becomes an ELF image for a VM.
//!
//! Owns the nested cargo command: the flags of the guest flavour, its own target directory, and how the image is found in
//! what cargo says. What a guest's two flavours are is the SDK's documentation.

mod environment;
mod workspace;

use crate::config::Image;
use crate::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
pub use workspace::{Kind, Target, Workspace};

/// The target guests are built for: the host's own, so that nothing has to be installed.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// What makes a crate of this target a guest image: no C library, no start files, static, at fixed addresses from the first
/// mebibyte on, with frame pointers for backtraces. The two symbols are references of the precompiled core library
/// to unwinding, which a guest that aborts never uses.
const RUSTFLAGS: &[&str] = &[
    "--cfg=pv_guest",
    "--cfg=getrandom_backend=\"custom\"",
    "-Cpanic=abort",
    "-Crelocation-model=static",
    "-Cforce-frame-pointers=yes",
    "-Clink-args=-nostartfiles -nostdlib -static -no-pie -Wl,--image-base=0x100000 -Wl,-z,norelro \
     -Wl,--defsym=rust_eh_personality=0 -Wl,--defsym=_Unwind_Resume=0",
];

/// What is to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The package's name.
    pub package: String,
    /// The target within it.
    pub target: Target,
    /// The cargo profile, such as `dev` or `release`.
    pub profile: String,
}

/// The image of a configuration: a file as it is, a package after building it.
///
/// # Errors
/// [`Error::Build`]: cargo is not there or refuses, or the package or its target does not exist or is ambiguous.
pub fn image(image: &Image) -> Result<PathBuf, Error> {
    match image {
        Image::File(path) => Ok(path.clone()),
        Image::Package {
            directory,
            package,
            bin,
            profile,
        } => {
            let workspace = Workspace::at(directory)?;
            let target = workspace.bin(package, bin.as_deref())?.clone();
            let profile = profile.as_deref().unwrap_or(OWN_PROFILE);
            guest(
                &workspace,
                &Request {
                    package: package.clone(),
                    target,
                    profile: profile.to_owned(),
                },
            )
        }
    }
}

/// The profile this program was built with, as far as it can tell.
pub const OWN_PROFILE: &str = if cfg!(debug_assertions) {
    "dev"
} else {
    "release"
};

/// Builds a guest and returns the path of its image. What cargo has to say goes to standard error.
///
/// # Errors
/// [`Error::Build`]: cargo is not there or refuses.
pub fn guest(workspace: &Workspace, request: &Request) -> Result<PathBuf, Error> {
    let mut cargo = command(workspace.directory());
    cargo.args([
        "build",
        "--message-format=json-render-diagnostics",
        "--target",
        TRIPLE,
        "--target-dir",
    ]);
    cargo.arg(workspace.target_directory().join("guest"));
    cargo.args(["--package", &request.package, "--profile", &request.profile]);
    cargo.args([request.target.kind.flag(), &request.target.name]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f"));
    if !workspace.sets_release_debug() && std::env::var_os(RELEASE_DEBUG).is_none() {
        cargo.env(RELEASE_DEBUG, "line-tables-only");
    }
    let mut running = cargo.stdout(Stdio::piped()).spawn().map_err(not_started)?;
    let mut executable = None;
    if let Some(messages) = running.stdout.take() {
        for line in BufReader::new(messages).lines() {
            let line = line.map_err(|error| Error::Build(format!("cargo's output: {error}")))?;
            executable = artifact(&line, &request.target).or(executable);
        }
    }
    let status = running
        .wait()
        .map_err(|error| Error::Build(format!("waiting for cargo: {error}")))?;
    match executable {
        Some(path) if status.success() => Ok(path),
        _ if !status.success() => Err(Error::Build(format!("cargo build of {request}: {status}"))),
        _ => Err(Error::Build(format!(
            "cargo build of {request} made no executable"
        ))),
    }
}

/// The line tables that fault reports get their lines from, which the release profile leaves out by default.
const RELEASE_DEBUG: &str = "CARGO_PROFILE_RELEASE_DEBUG";

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} of package {}",
            self.target.kind, self.target.name, self.package
        )
    }
}

/// The executable that one of cargo's messages announces, if it is the target's.
fn artifact(message: &str, target: &Target) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let built = message.get("target")?;
    let kinds = built.get("kind")?.as_array()?;
    let ours = message.get("reason")? == "compiler-artifact"
        && built.get("name")? == target.name.as_str()
        && kinds.iter().any(|kind| kind == target.kind.name());
    if !ours {
        return None;
    }
    message.get("executable")?.as_str().map(PathBuf::from)
}

/// A cargo that knows nothing of the cargo that may have started this program.
fn command(directory: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(directory).stdin(Stdio::null());
    for name in std::env::vars_os().map(|(name, _)| name) {
        if name.to_str().is_some_and(environment::is_foreign) {
            command.env_remove(name);
        }
    }
    command
}

fn not_started(error: std::io::Error) -> Error {
    Error::Build(format!(
        "cargo cannot be started: {error}; is it installed and in PATH?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_matched_by_name_and_kind() {
        let target = Target {
            name: "hello".to_owned(),
            kind: Kind::Bin,
            source: PathBuf::new(),
        };
        let message = |name: &str, kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"{name}","kind":["{kind}"]}},"executable":"/t/{name}"}}"#
            )
        };
        assert_eq!(
            artifact(&message("hello", "bin"), &target),
            Some(PathBuf::from("/t/hello"))
        );
        assert_eq!(artifact(&message("hello", "test"), &target), None);
        assert_eq!(artifact(&message("other", "bin"), &target), None);
        assert_eq!(
            artifact(r#"{"reason":"build-finished","success":true}"#, &target),
            None
        );
        assert_eq!(artifact("not json", &target), None);
    }
}
