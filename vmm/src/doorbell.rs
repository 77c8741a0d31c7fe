//! Doorbells, on the host's side: who listens to which number.
//!
//! Where KVM has ioeventfds it rings them itself; where it has none, or the guest rings by a call, the number is looked up here.

use crate::platform::gate::DOORBELL_PORT;
use crate::shared::lock;
use kvm_ioctls::{IoEventAddress, VmFd};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

const PORT: IoEventAddress = IoEventAddress::Pio(DOORBELL_PORT as u64);

/// A VM's doorbells that somebody listens to.
pub(crate) struct Doorbells {
    /// Whose port rings them; without one only calls do.
    vm: Option<Arc<VmFd>>,
    heard: Mutex<BTreeMap<u32, Heard>>,
}

struct Heard {
    bell: EventFd,
    /// Whether the kernel rings it.
    by_kernel: bool,
}

impl Doorbells {
    pub fn new(vm: Option<Arc<VmFd>>) -> Doorbells {
        Doorbells {
            vm,
            heard: Mutex::default(),
        }
    }

    /// Begins to listen to a number: the descriptor is readable once it was rung.
    ///
    /// # Errors
    /// The host's, where it has no descriptor to give.
    pub fn listen(&self, number: u32) -> io::Result<EventFd> {
        let bell = EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK)?;
        let ours = bell.try_clone()?;
        let register = |vm: &Arc<VmFd>| vm.register_ioevent(&ours, &PORT, number).is_ok();
        let by_kernel = self.vm.as_ref().is_some_and(register);
        let heard = Heard {
            bell: ours,
            by_kernel,
        };
        lock(&self.heard).insert(number, heard);
        Ok(bell)
    }

    /// Listens no more.
    pub fn forget(&self, number: u32) {
        if let Some(heard) = lock(&self.heard).remove(&number)
            && heard.by_kernel
            && let Some(vm) = &self.vm
        {
            // Fails only for what is not registered.
            let _ = vm.unregister_ioevent(&heard.bell, &PORT, number);
        }
    }

    /// Rings; `false` where nobody listens.
    pub fn ring(&self, number: u32) -> bool {
        match lock(&self.heard).get(&number) {
            // Fails only when the counter is full, and then it is readable all the same.
            Some(heard) => {
                let _ = heard.bell.write(1);
                true
            }
            None => false,
        }
    }
}
