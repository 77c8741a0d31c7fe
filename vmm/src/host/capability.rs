//! What Trapless uses of KVM, and whether this host has it.

use super::access::Refusal;
use kvm_ioctls::{Cap, Kvm};
use serde::Serialize;

/// Something Trapless uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// The kernel's name for it, without `KVM_CAP_`.
    pub name: &'static str,
    /// What it is used for.
    pub purpose: &'static str,
    /// Whether no VM runs without it.
    pub required: bool,
    /// Whether this host has it.
    pub present: bool,
}

/// Capability, kernel's name, purpose, required.
const USED: [(Cap, &str, &str, bool); 14] = [
    (Cap::UserMemory, "USER_MEMORY", "guest memory", true),
    (
        Cap::SyncRegs,
        "SYNC_REGS",
        "registers in a shared page: a call costs one system call",
        true,
    ),
    (
        Cap::ImmediateExit,
        "IMMEDIATE_EXIT",
        "stopping a vCPU without a race",
        true,
    ),
    (
        Cap::ExtCpuid,
        "EXT_CPUID",
        "telling the guest what the processor has",
        true,
    ),
    (
        Cap::Ioeventfd,
        "IOEVENTFD",
        "doorbells that do not leave the kernel",
        false,
    ),
    (
        Cap::Xcrs,
        "XCRS",
        "AVX and wider vectors in the guest",
        false,
    ),
    (
        Cap::Xsave2,
        "XSAVE2",
        "saving the whole vector state",
        false,
    ),
    (
        Cap::TscControl,
        "TSC_CONTROL",
        "a guest clock rate that differs from the host's",
        false,
    ),
    (
        Cap::GetTscKhz,
        "GET_TSC_KHZ",
        "the guest clock's rate",
        false,
    ),
    (
        Cap::SyncMmu,
        "SYNC_MMU",
        "giving memory back while a guest runs",
        false,
    ),
    (
        Cap::ReadonlyMem,
        "READONLY_MEM",
        "memory a guest may not write, whatever its page tables say",
        false,
    ),
    (
        Cap::DirtyLogRing,
        "DIRTY_LOG_RING",
        "finding changed pages by list instead of bitmap",
        false,
    ),
    (
        Cap::SetGuestDebug,
        "SET_GUEST_DEBUG",
        "breakpoints and single steps",
        false,
    ),
    (
        Cap::X86UserSpaceMsr,
        "X86_USER_SPACE_MSR",
        "trapping model-specific registers for comparison",
        false,
    ),
];

/// Asks for each.
#[must_use]
pub fn all(kvm: &Kvm) -> Vec<Capability> {
    USED.iter()
        .map(|&(cap, name, purpose, required)| Capability {
            name,
            purpose,
            required,
            present: kvm.check_extension(cap),
        })
        .collect()
}

/// Checks that those that every VM needs are there.
pub fn check(capabilities: &[Capability]) -> Result<(), Refusal> {
    match capabilities
        .iter()
        .find(|each| each.required && !each.present)
    {
        None => Ok(()),
        Some(missing) => Err(Refusal {
            problem: format!(
                "this KVM has no KVM_CAP_{} ({})",
                missing.name, missing.purpose
            ),
            remedy: "use Linux 5.0 or later with an x86-64 KVM".to_owned(),
        }),
    }
}
