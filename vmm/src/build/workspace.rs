//! What `cargo metadata` says about a workspace: its packages, their targets, where it builds.

use crate::error::Error;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A cargo workspace.
#[derive(Debug)]
pub struct Workspace {
    directory: PathBuf,
    metadata: Metadata,
    sets_release_debug: bool,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    default_run: Option<String>,
    targets: Vec<RawTarget>,
}

#[derive(Debug, Deserialize)]
struct RawTarget {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

/// An executable target of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its root source file.
    pub source: PathBuf,
}

/// The kinds of target that can be a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A binary.
    Bin,
    /// An example.
    Example,
    /// An integration test without a harness.
    Test,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Bin, Kind::Example, Kind::Test];

    /// Cargo's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bin => "bin",
            Kind::Example => "example",
            Kind::Test => "test",
        }
    }

    /// The option that selects a target of it.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Kind::Bin => "--bin",
            Kind::Example => "--example",
            Kind::Test => "--test",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Workspace {
    /// The workspace that a directory is in.
    ///
    /// # Errors
    /// [`Error::Build`] with what cargo says where there is none.
    pub fn at(directory: &Path) -> Result<Workspace, Error> {
        let mut cargo = super::command(directory);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = cargo
            .stderr(Stdio::piped())
            .output()
            .map_err(super::not_started)?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Build(format!(
                "in {}: {}",
                directory.display(),
                complaint.trim_end()
            )));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Build(format!("cargo metadata: {error}")))?;
        let sets_release_debug = sets_release_debug(&metadata.workspace_root);
        Ok(Workspace {
            directory: directory.to_owned(),
            metadata,
            sets_release_debug,
        })
    }

    /// The directory cargo is run in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where cargo builds.
    #[must_use]
    pub fn target_directory(&self) -> &Path {
        &self.metadata.target_directory
    }

    /// Whether the workspace has its own mind about the release profile's debug information.
    pub(super) fn sets_release_debug(&self) -> bool {
        self.sets_release_debug
    }

    /// A package's binary: the one with a name, or the only or default one.
    ///
    /// # Errors
    /// [`Error::Build`] where there is no such package or binary, or several and none is named.
    pub fn bin(&self, package: &str, name: Option<&str>) -> Result<Target, Error> {
        let found = self.package(package)?;
        let bins = found.bins();
        let names = bins
            .iter()
            .map(|bin| bin.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let wanted = name.or(found.default_run.as_deref());
        match (wanted, bins.as_slice()) {
            (_, []) => Err(Error::Build(format!("package {package} has no binary"))),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Error::Build(format!(
                "package {package} has several binaries: name one of {names} with `bin`"
            ))),
            (Some(wanted), _) => bins
                .iter()
                .find(|bin| bin.name == wanted)
                .cloned()
                .ok_or_else(|| {
                    Error::Build(format!(
                        "package {package} has no binary {wanted}; it has {names}"
                    ))
                }),
        }
    }

    /// All of a package's binaries.
    ///
    /// # Errors
    /// [`Error::Build`] where there is no such package.
    #[cfg(test)]
    pub fn bins(&self, package: &str) -> Result<Vec<Target>, Error> {
        self.package(package).map(Package::bins)
    }

    /// A package's target of a kind, by its crate name, in which cargo replaces `-` by `_`.
    ///
    /// # Errors
    /// [`Error::Build`] where there is no such package or target.
    pub fn crate_target(
        &self,
        package: &str,
        kind: Kind,
        crate_name: &str,
    ) -> Result<Target, Error> {
        let matches =
            |target: &Target| target.kind == kind && target.name.replace('-', "_") == crate_name;
        self.package(package)?
            .executables()
            .find(matches)
            .ok_or_else(|| Error::Build(format!("package {package} has no {kind} {crate_name}")))
    }

    fn package(&self, name: &str) -> Result<&Package, Error> {
        let packages = &self.metadata.packages;
        packages
            .iter()
            .find(|package| package.name == name)
            .ok_or_else(|| {
                let known = packages
                    .iter()
                    .map(|package| package.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                Error::Build(format!(
                    "there is no package {name} in the workspace {}; it has {known}",
                    self.metadata.workspace_root.display()
                ))
            })
    }
}

impl Package {
    fn bins(&self) -> Vec<Target> {
        let executables = self.executables();
        executables
            .filter(|target| target.kind == Kind::Bin)
            .collect()
    }

    fn executables(&self) -> impl Iterator<Item = Target> {
        self.targets.iter().filter_map(|target| {
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| target.kind.iter().any(|name| name == kind.name()))?;
            Some(Target {
                name: target.name.clone(),
                kind,
                source: target.src_path.clone(),
            })
        })
    }
}

fn sets_release_debug(root: &Path) -> bool {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let release = manifest
        .get("profile")
        .and_then(|profile| profile.get("release"));
    release.is_some_and(|release| release.get("debug").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(bins: &[&str], default_run: Option<&str>) -> Workspace {
        let target = |name: &&str| RawTarget {
            name: (*name).to_owned(),
            kind: vec!["bin".to_owned()],
            src_path: PathBuf::from(format!("/w/{name}.rs")),
        };
        Workspace {
            directory: PathBuf::from("/w"),
            sets_release_debug: false,
            metadata: Metadata {
                packages: vec![Package {
                    name: "guests".to_owned(),
                    default_run: default_run.map(str::to_owned),
                    targets: bins.iter().map(target).collect(),
                }],
                target_directory: PathBuf::from("/w/target"),
                workspace_root: PathBuf::from("/w"),
            },
        }
    }

    fn refusal(result: Result<Target, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_only_binary_needs_no_name() {
        assert_eq!(
            workspace(&["hello"], None)
                .bin("guests", None)
                .unwrap()
                .name,
            "hello"
        );
        assert_eq!(
            workspace(&["a", "b"], Some("b"))
                .bin("guests", None)
                .unwrap()
                .name,
            "b"
        );
    }

    #[test]
    fn refusals_say_what_there_is() {
        let two = workspace(&["hello", "echo-back"], None);
        assert_eq!(
            refusal(two.bin("guests", None)),
            "building the guest: package guests has several binaries: name one of hello, echo-back with `bin`"
        );
        assert_eq!(
            refusal(two.bin("guests", Some("helo"))),
            "building the guest: package guests has no binary helo; it has hello, echo-back"
        );
        assert_eq!(
            refusal(two.bin("guest", None)),
            "building the guest: there is no package guest in the workspace /w; it has guests"
        );
        assert_eq!(
            refusal(workspace(&[], None).bin("guests", None)),
            "building the guest: package guests has no binary"
        );
    }

    #[test]
    fn a_crate_name_finds_its_target() {
        let workspace = workspace(&["echo-back"], None);
        assert_eq!(
            workspace
                .crate_target("guests", Kind::Bin, "echo_back")
                .unwrap()
                .name,
            "echo-back"
        );
        assert!(
            workspace
                .crate_target("guests", Kind::Test, "echo_back")
                .is_err()
        );
    }
}
