//! The VM as KVM has it: what making and entering a vCPU takes, beside what its threads [share](crate::shared).
//!
//! Serving calls takes none of this, so that a thread which only serves, and a test, need no KVM.

use crate::kvm::Processor;
use crate::shared::Shared;
use kvm_ioctls::VmFd;
use std::sync::Arc;

/// A VM's machine, which its vCPUs keep.
pub(crate) struct Machine {
    // Before `shared`: the VM's slot points into the memory there, and fields drop in order.
    pub vm: Arc<VmFd>,
    pub processor: &'static Processor,
    pub shared: Arc<Shared>,
}
