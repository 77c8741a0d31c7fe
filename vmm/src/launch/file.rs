//! Which file configures a program.
//!
//! Owns the places where one is looked for, and their order. What is in it is [`Config`](crate::Config)'s.

use crate::build::Target;
use std::path::{Path, PathBuf};

/// The configuration file of a target, if it has one: as [`main`](super::main) says.
pub fn of(target: &Target, package: &Path) -> Option<PathBuf> {
    beside(&target.source)
        .into_iter()
        .flat_map(|place| spellings(&target.name).map(|name| place.join(name + ".toml")))
        .chain([package.join("vm.toml")])
        .find(|path| path.is_file())
}

/// The directory that a source is in, and the one around it where the source has a directory of its own.
fn beside(source: &Path) -> Vec<&Path> {
    let has_its_own = source.file_name().is_some_and(|name| name == "main.rs");
    let directories = source.ancestors().skip(1);
    directories.take(1 + usize::from(has_its_own)).collect()
}

/// A name as it is written, and as crates and files are named by habit.
fn spellings(name: &str) -> [String; 3] {
    [name.into(), name.replace('-', "_"), name.replace('_', "-")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{Kind, Workspace};
    use std::collections::BTreeSet;
    use std::fs;

    fn target(name: &str, source: PathBuf) -> Target {
        Target {
            name: name.to_owned(),
            kind: Kind::Bin,
            source,
        }
    }

    #[test]
    fn the_nearest_file_with_the_name_is_taken() {
        let package = tempfile::tempdir().unwrap();
        let package = package.path();
        fs::create_dir_all(package.join("src/web")).unwrap();
        let own = target("web-server", package.join("src/web/main.rs"));
        let shared = target("web-server", package.join("src/web_server.rs"));
        let found = |target| {
            let path = of(target, package)?;
            let path = path.strip_prefix(package).unwrap();
            Some(path.to_str().unwrap().to_owned())
        };
        assert_eq!(found(&own), None);
        // From the last that is looked for to the first.
        for (file, for_its_own, for_shared) in [
            ("web-server.toml", None, None),
            ("vm.toml", Some("vm.toml"), Some("vm.toml")),
            (
                "src/web_server.toml",
                Some("src/web_server.toml"),
                Some("src/web_server.toml"),
            ),
            (
                "src/web-server.toml",
                Some("src/web-server.toml"),
                Some("src/web-server.toml"),
            ),
            (
                "src/web/web_server.toml",
                Some("src/web/web_server.toml"),
                Some("src/web-server.toml"),
            ),
        ] {
            fs::write(package.join(file), "").unwrap();
            assert_eq!(found(&own).as_deref(), for_its_own, "with {file}");
            assert_eq!(found(&shared).as_deref(), for_shared, "with {file}");
        }
    }

    #[test]
    fn the_only_program_of_a_package_may_have_its_file_beside_the_manifest() {
        let package = tempfile::tempdir().unwrap();
        let main = target("my_guest", package.path().join("src/main.rs"));
        let path = package.path().join("my-guest.toml");
        fs::write(&path, "").unwrap();
        assert_eq!(of(&main, package.path()), Some(path));
    }

    #[test]
    fn every_example_is_started_with_the_file_that_names_it() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let examples = examples.canonicalize().unwrap();
        let workspace = Workspace::at(&examples).unwrap();
        let mut left: BTreeSet<PathBuf> = fs::read_dir(&examples)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .filter(|path| !path.ends_with("Cargo.toml"))
            .collect();
        let bins = workspace.bins("examples").unwrap();
        assert!(bins.len() >= 12, "{bins:?}");
        for bin in bins {
            let file = of(&bin, &examples).unwrap();
            assert!(!file.ends_with("vm.toml"), "{} has no file", bin.name);
            left.remove(&file);
            let text = fs::read_to_string(&file).unwrap();
            // The disks that it names need not be there.
            let toml: toml::Table = text.parse().unwrap();
            assert_eq!(
                toml["guest"]["bin"].as_str(),
                Some(bin.name.as_str()),
                "{file:?}"
            );
        }
        let test = workspace
            .crate_target("examples", Kind::Test, "vm")
            .unwrap();
        left.remove(&of(&test, &examples).unwrap());
        assert!(left.is_empty(), "no program is started with {left:?}");
    }
}
