//! What Trapless needs of KVM, what it uses or is designed to use beside that, and whether this host has it.

use super::access::Refusal;
use crate::kvm::NEEDED;
use kvm_ioctls::{Cap, Kvm};
use serde::Serialize;

/// Something that KVM may or may not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Its name in the kernel.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether no VM runs without it.
    pub needed: bool,
    /// Whether this host has it.
    pub present: bool,
}

/// What a VM runs without.
const WANTED: [(Cap, &str, &str); 7] = [
    (Cap::Xcrs, "KVM_CAP_XCRS", "AVX and wider vectors"),
    (
        Cap::Xsave2,
        "KVM_CAP_XSAVE2",
        "saving the whole vector state",
    ),
    (
        Cap::Ioeventfd,
        "KVM_CAP_IOEVENTFD",
        "doorbells that do not leave the kernel",
    ),
    (
        Cap::TscControl,
        "KVM_CAP_TSC_CONTROL",
        "a TSC rate other than the host's",
    ),
    (
        Cap::SyncMmu,
        "KVM_CAP_SYNC_MMU",
        "giving memory back while a guest runs",
    ),
    (
        Cap::DirtyLogRing,
        "KVM_CAP_DIRTY_LOG_RING",
        "changed pages as a list",
    ),
    (
        Cap::X86UserSpaceMsr,
        "KVM_CAP_X86_USER_SPACE_MSR",
        "trapped MSRs, for comparison",
    ),
];

/// Asks for each.
#[must_use]
pub fn all(kvm: &Kvm) -> Vec<Capability> {
    let needed = NEEDED.iter().map(|row| (row, true));
    let wanted = WANTED.iter().map(|row| (row, false));
    needed
        .chain(wanted)
        .map(|(&(cap, name, purpose), needed)| Capability {
            name,
            purpose,
            needed,
            present: kvm.check_extension(cap),
        })
        .collect()
}

/// Checks that those that every VM needs are there.
pub fn check(capabilities: &[Capability]) -> Result<(), Refusal> {
    match capabilities
        .iter()
        .find(|each| each.needed && !each.present)
    {
        None => Ok(()),
        Some(missing) => Err(Refusal {
            problem: format!("this KVM has no {} ({})", missing.name, missing.purpose),
            remedy: "use Linux 5.0 or later on x86-64".to_owned(),
        }),
    }
}
