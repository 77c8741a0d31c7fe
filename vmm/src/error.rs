//! Why the host could not start a VM or go on with it. What a guest is told is a
//! [`Status`](hypercall_abi::Status); what an operator is told of a guest is a [`Fault`](crate::fault::Fault).

use std::io::ErrorKind;
use std::path::PathBuf;

/// Why the host could not start a VM or go on with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/dev/kvm` is not there or may not be opened.
    #[error("no KVM: {}", no_kvm(.0))]
    NoKvm(std::io::Error),
    /// A KVM request failed.
    #[error("KVM refused {request}: {source}")]
    Kvm {
        /// What was asked, by its ioctl name.
        request: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The image cannot be run.
    #[error("{}: {problem}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The configuration is impossible.
    #[error("{0}")]
    Config(String),
    /// Building the guest failed.
    #[error("building the guest: {0}")]
    Build(String),
    /// A file that was asked for could not be created.
    #[error("{} cannot be created: {problem}", path.display())]
    Create {
        /// The file or directory.
        path: PathBuf,
        /// Why not, and what would be right where that is known.
        problem: String,
    },
    /// A disk cannot be used.
    #[error("disk {name:?}: {}: {problem}", path.display())]
    Disk {
        /// The disk's name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The host's operating system refused something.
    #[error("{what}: {source}")]
    Os {
        /// What was tried, with the path where there is one.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// Why `/dev/kvm` could not be opened, and what to do about it.
fn no_kvm(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "/dev/kvm is not there; enable virtualization in this machine's firmware or with its provider, and \
                                load kvm_intel or kvm_amd (`trapless doctor` says more)"
            .to_owned(),
        ErrorKind::PermissionDenied => "you may not open /dev/kvm; join its group with `sudo usermod -aG kvm $USER` and log in again, or \
                                        run as root (`trapless doctor` says more)"
            .to_owned(),
        _ => format!("/dev/kvm cannot be opened: {error} (`trapless doctor` says more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kvm_is_one_line_that_says_what_to_do() {
        for (kind, what, advice) in [
            (
                ErrorKind::NotFound,
                "is not there",
                "load kvm_intel or kvm_amd",
            ),
            (
                ErrorKind::PermissionDenied,
                "you may not open /dev/kvm",
                "usermod -aG kvm",
            ),
            (
                ErrorKind::ResourceBusy,
                "cannot be opened",
                "trapless doctor",
            ),
        ] {
            let shown = Error::NoKvm(kind.into()).to_string();
            assert!(
                shown.starts_with("no KVM: ") && shown.contains("/dev/kvm"),
                "{shown}"
            );
            assert!(shown.contains(what) && shown.contains(advice), "{shown}");
            assert_eq!(shown.lines().count(), 1);
        }
    }
}
