//! Where the images of the test guests come from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use vmm::config::Image;

/// The binaries of the package `test-guests`.
pub const GUESTS: [&str; 8] = [
    "devices", "disks", "executor", "hostile", "net", "ports", "vsock", "works",
];

/// The binaries of the package `examples` that the tests boot too.
pub const EXAMPLES: [&str; 3] = ["fat", "http", "kv"];

/// The environment variable that names a directory with the images, already built.
pub const GUESTS_VARIABLE: &str = "TRAPLESS_GUESTS";

/// The image of one of [`GUESTS`], which are all built at the first request, or of one of [`EXAMPLES`].
///
/// # Panics
/// Where they cannot be built, or there is no such guest.
#[must_use]
pub fn guest(name: &str) -> &'static Path {
    static IMAGES: OnceLock<HashMap<&str, PathBuf>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| match std::env::var_os(GUESTS_VARIABLE) {
        Some(directory) => GUESTS
            .into_iter()
            .chain(EXAMPLES)
            .map(|name| (name, Path::new(&directory).join(name)))
            .collect(),
        None => GUESTS.map(|name| (name, build(name))).into(),
    });
    static BUILT: [OnceLock<PathBuf>; EXAMPLES.len()] = [const { OnceLock::new() }; EXAMPLES.len()];
    let example = EXAMPLES.iter().position(|example| *example == name);
    match (images.get(name), example.and_then(|index| BUILT.get(index))) {
        (Some(path), _) => path,
        (None, Some(built)) => built.get_or_init(|| build(name)),
        (None, None) => panic!("no test guest is called {name}"),
    }
}

/// Builds all of [`GUESTS`] and [`EXAMPLES`] and copies their images into a directory, which is made if need be.
///
/// # Panics
/// Where that fails.
pub fn build_into(directory: &Path) {
    std::fs::create_dir_all(directory).expect("making the directory for the guests' images");
    for name in GUESTS.into_iter().chain(EXAMPLES) {
        std::fs::copy(build(name), directory.join(name)).expect("copying a guest's image");
    }
}

fn build(name: &str) -> PathBuf {
    let package = match EXAMPLES.contains(&name) {
        true => "examples",
        false => "test-guests",
    };
    let image = Image::Package {
        directory: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        package: package.into(),
        bin: Some(name.into()),
        profile: None,
    };
    match vmm::build::image(&image) {
        Ok(path) => path,
        Err(error) => panic!("{error}"),
    }
}
