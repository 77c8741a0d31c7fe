//! Ending cleanly: hooks that run at exit, and the operator's request to end.
//!
//! Owns the list of hooks and the one request handler. That a request is announced at all, and for how long it is waited for, is the host's
//! configuration (`[limits] grace`).
//!
//! ```
//! use guest_sdk::shutdown;
//! shutdown::at_exit(|| guest_sdk::println!("bye"));
//! shutdown::on_request(|| shutdown::exit(0));
//! ```

use crate::platform::Vcpu;
use crate::sync::Mutex;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use hypercall_abi::vcpu::event::SHUTDOWN;

type Hook = Box<dyn FnOnce() + Send>;

static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());
static ON_REQUEST: Mutex<Option<Hook>> = Mutex::new(None);
/// The vCPUs on which the request handler may run: the one that registered it, as long as it has not run.
static SERVING: AtomicU64 = AtomicU64::new(0);
/// Whether a request has been served.
static SERVED: AtomicBool = AtomicBool::new(false);

/// Runs `hook` when the program ends by returning from `main` or by [`exit`]: the last one registered runs first.
/// None runs after a panic or a fault.
pub fn at_exit(hook: impl FnOnce() + Send + 'static) {
    HOOKS.lock().push(Box::new(hook));
}

/// Ends the VM: runs the hooks, writes what is left in the console's buffer, and exits with a code.
pub fn exit(code: u8) -> ! {
    // A hook may register another; the lock is not held while one runs.
    while let Some(hook) = pop() {
        hook();
    }
    crate::console::flush();
    crate::calls::exit(code)
}

fn pop() -> Option<Hook> {
    HOOKS.lock().pop()
}

/// Runs `handler` once on this vCPU when the operator asks the guest to end.
///
/// It runs when this vCPU sleeps, waits for an event or a [`Condvar`](crate::sync::Condvar), uses a channel, reads input, parks or joins a
/// thread; not while it waits for a lock. It must not need a lock that its thread may be holding then. It usually ends in
/// [`exit`]; where it returns, the program goes on.
///
/// Without a handler and without [`requested`], the VM is stopped at once instead.
pub fn on_request(handler: impl FnOnce() + Send + 'static) {
    let vcpu = Vcpu::current();
    *ON_REQUEST.lock() = Some(Box::new(handler));
    SERVING.store(vcpu.bit(), Ordering::Release);
    vcpu.subscribed().fetch_or(SHUTDOWN, Ordering::SeqCst);
}

/// Whether the operator has asked the guest to end; for programs that compute without ever waiting. The first look is also what tells the host
/// that this program can be asked.
#[must_use]
pub fn requested() -> bool {
    let vcpu = Vcpu::current();
    if vcpu.subscribed().load(Ordering::Relaxed) & SHUTDOWN == 0 {
        vcpu.subscribed().fetch_or(SHUTDOWN, Ordering::SeqCst);
    }
    SERVED.load(Ordering::Acquire) || vcpu.pending().load(Ordering::Acquire) & SHUTDOWN != 0
}

/// The event a wait on this vCPU must include for [`serve`]'s sake.
pub(crate) fn interest() -> u64 {
    if SERVING.load(Ordering::Acquire) & Vcpu::current().bit() == 0 {
        0
    } else {
        SHUTDOWN
    }
}

/// Runs the request handler, if it is due here, and says whether it did.
pub(crate) fn serve() -> bool {
    if interest() == 0 || crate::event::take(SHUTDOWN) == 0 {
        return false;
    }
    SERVING.store(0, Ordering::Release);
    SERVED.store(true, Ordering::Release);
    let handler = ON_REQUEST.lock().take();
    if let Some(handler) = handler {
        handler();
    }
    true
}
