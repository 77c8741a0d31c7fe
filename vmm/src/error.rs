//! Why the host could not start a VM or go on with it. What a guest is told is a
//! [`Status`](hypercall_abi::Status); what an operator is told of a guest is a [`Fault`](crate::fault::Fault).

use std::path::PathBuf;

/// Why the host could not start a VM or go on with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `/dev/kvm` is not there or may not be opened.
    #[error("no KVM on this machine: /dev/kvm: {0}")]
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
    /// The host's operating system refused something.
    #[error("{what}: {source}")]
    Os {
        /// What was tried, with the path where there is one.
        what: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}
