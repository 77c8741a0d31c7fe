//! What kind of host this is, and what that means for a VM. Nothing here is needed to run one.
//!
//! [`kind`] is cheap. [`Host::examine`] also opens KVM and measures with a small VM of its own, in well under a second.

#![forbid(unsafe_code)]

mod access;
mod capability;
mod kind;
mod machine;
mod probe;
mod verdict;

pub use access::Refusal;
pub use capability::Capability;
pub use kind::{Evidence, HostKind, kind};
pub use machine::Machine;
pub use probe::{Measured, Ring0};
pub use verdict::{Rating, Verdict};

use serde::Serialize;

/// All that can be said of a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// Why no VM can run here; `None` where one can.
    pub refusal: Option<Refusal>,
    /// What its KVM is made of.
    pub kind: HostKind,
    /// How that is known.
    pub evidence: Evidence,
    /// The machine.
    pub machine: Machine,
    /// What Trapless uses of KVM; empty without KVM.
    pub capabilities: Vec<Capability>,
    /// What a small VM did, if it ran.
    pub measured: Option<Measured>,
    /// What follows from all that; empty where nothing was measured.
    pub verdicts: Vec<Verdict>,
}

impl Host {
    /// Looks, asks and measures.
    #[must_use]
    pub fn examine() -> Host {
        let evidence = Evidence::gather();
        let mut host = Host {
            refusal: None,
            kind: evidence.kind(),
            machine: Machine::look(),
            capabilities: Vec::new(),
            measured: None,
            verdicts: Vec::new(),
            evidence,
        };
        host.refusal = host.try_kvm().err();
        host
    }

    /// The part that needs KVM.
    fn try_kvm(&mut self) -> Result<(), Refusal> {
        let kvm = access::open(&self.evidence)?;
        self.capabilities = capability::all(&kvm);
        capability::check(&self.capabilities)?;
        let measured = probe::measure(&kvm).map_err(|error| Refusal {
            problem: format!("a VM of a few instructions did not run: {error}"),
            remedy: "see the kernel's log: sudo dmesg | grep -i kvm".to_owned(),
        })?;
        self.verdicts = verdict::verdicts(&measured, &self.machine, &self.capabilities);
        self.measured = Some(measured);
        Ok(())
    }
}
