//! Which environment variables a nested cargo must not inherit.
//!
//! A program under `cargo run` or `cargo test` finds in its environment what that cargo told it about its own package and build.
//! Another cargo would take some of it for the user's wishes, and rebuild what it need not because of the rest.

/// Variables that describe the outer build.
const NAMES: &[&str] = &[
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_CRATE_NAME",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "LD_LIBRARY_PATH",
    "MAKEFLAGS",
    "MFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

/// Families of such variables.
const PREFIXES: &[&str] = &[
    "CARGO_BIN_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
    "CARGO_PKG_",
    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
];

/// Whether a variable is the outer build's.
pub(super) fn is_foreign(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_foreign;

    #[test]
    fn the_users_own_settings_stay() {
        for own in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_RELEASE_DEBUG",
            "RUSTUP_TOOLCHAIN",
            "PATH",
        ] {
            assert!(!is_foreign(own), "{own}");
        }
        for foreign in [
            "CARGO_PKG_NAME",
            "RUSTFLAGS",
            "CARGO_BIN_NAME",
            "CARGO_MANIFEST_DIR",
        ] {
            assert!(is_foreign(foreign), "{foreign}");
        }
    }
}
