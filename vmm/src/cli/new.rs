//! `trapless new`: a guest crate that runs at once.

use std::fs;
use std::path::{Path, PathBuf};
use vmm::Error;

/// Create a guest crate that `cargo run`s at once
#[derive(clap::Args)]
pub struct New {
    /// The crate's directory, whose last part is its name
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// Where the guest-sdk crate is [default: where this trapless was built, else crates.io]
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// The SDK's directory in the checkout that this program was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk");

/// The crate's files. `{{name}}` stands for its name, `{{sdk}}` for its dependency on the SDK.
const TEMPLATE: &[(&str, &str)] = &[
    (".gitignore", include_str!("template/gitignore")),
    ("Cargo.toml", include_str!("template/Cargo.toml")),
    ("src/main.rs", include_str!("template/src/main.rs")),
    ("tests/vm.rs", include_str!("template/tests/vm.rs")),
    ("vm.toml", include_str!("template/vm.toml")),
];

impl New {
    pub fn execute(self) -> Result<u8, Error> {
        let cannot = |problem: String| Error::Create {
            path: self.path.clone(),
            problem,
        };
        let name = crate_name(&self.path).map_err(cannot)?;
        let sdk = dependency(self.sdk.as_deref()).map_err(cannot)?;
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot(error.to_string()))?;
        }
        fs::create_dir(&self.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                cannot("it is already there; choose another name, or remove it".to_owned())
            }
            _ => cannot(error.to_string()),
        })?;
        for (file, text) in TEMPLATE {
            let path = self.path.join(file);
            let text = text.replace("{{name}}", name).replace("{{sdk}}", &sdk);
            write(&path, &text).map_err(|error| Error::Create {
                path,
                problem: error.to_string(),
            })?;
        }
        let path = self.path.display();
        super::say(&format!(
            "Created {path}. Run it:\n\n    cd {path}\n    cargo run\n\nIts code is in src/main.rs, its VM in vm.toml.\n"
        ));
        Ok(0)
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}

/// The crate's name: the path's last part, where cargo and Rust accept it as one.
fn crate_name(path: &Path) -> Result<&str, String> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.starts_with(starts) || !name.chars().all(goes_on) {
        return Err(format!(
            "{name:?} is no name for a crate; write ASCII letters, digits, - and _, beginning with a letter"
        ));
    }
    if RESERVED.split_whitespace().any(|reserved| reserved == name) {
        return Err(format!(
            "{name:?} means something else in Rust; choose another name"
        ));
    }
    Ok(name)
}

/// Rust's keywords, and crates that a crate of the same name would hide.
const RESERVED: &str = "
    _ Self abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if impl in let
    loop macro match mod move mut override priv pub ref return self static struct super trait true try type typeof unsafe unsized
    use virtual where while yield
    alloc core proc-macro proc_macro std test guest-sdk guest_sdk hypercall-abi hypercall_abi vmm";

/// What follows `guest-sdk =` in the crate's manifest.
fn dependency(given: Option<&Path>) -> Result<String, String> {
    let is_sdk = |path: &Path| path.join("Cargo.toml").is_file();
    let path = match given {
        Some(path) if !is_sdk(path) => {
            return Err(format!(
                "there is no Cargo.toml in the SDK's directory {}",
                path.display()
            ));
        }
        Some(path) => Some(path),
        None => Some(Path::new(BUILT_FROM)).filter(|path| is_sdk(path)),
    };
    let Some(path) = path else {
        return Ok(toml::Value::from(env!("CARGO_PKG_VERSION")).to_string());
    };
    let path = path
        .canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let path = toml::Value::from(path.to_string_lossy().into_owned());
    Ok(format!("{{ path = {path} }}"))
}
