//! Making a thread leave the guest at once.
//!
//! A kick is a signal. Its handler sets `immediate_exit` in the `kvm_run` page of the vCPU that its thread is seated on, so a kick
//! that comes just before `KVM_RUN` counts as well as one that comes during it.

use crate::Error;
use kvm_ioctls::VcpuFd;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::ptr::{self, addr_of_mut};
use std::sync::{Mutex, OnceLock, PoisonError};
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

thread_local! {
    /// The `immediate_exit` byte of the vCPU this thread runs; null for none. No destructor, constant initial value: safe to
    /// read in a signal handler.
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// The signal: the first real-time one. A program that embeds VMs leaves it to them.
fn signal() -> libc::c_int {
    SIGRTMIN()
}

extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let byte = IMMEDIATE_EXIT.get();
    if !byte.is_null() {
        // SAFETY: non-null only while a `Seated` of this very thread lives, and the vCPU whose page this is outlives that.
        // The kernel reads the byte when it enters the guest; nobody else writes it meanwhile but this thread.
        unsafe { byte.write_volatile(1) };
    }
}

/// The thread that runs a vCPU, if one does at the moment.
#[derive(Default)]
pub(crate) struct Seat(Mutex<Option<libc::pthread_t>>);

impl Seat {
    /// Seats the calling thread on a vCPU until the guard is dropped.
    ///
    /// # Safety
    /// The guard is dropped before the vCPU is.
    pub unsafe fn take<'s>(&'s self, vcpu: &mut VcpuFd) -> Result<Seated<'s>, Error> {
        static HANDLER: OnceLock<Result<(), i32>> = OnceLock::new();
        HANDLER
            .get_or_init(|| {
                register_signal_handler(signal(), on_signal).map_err(|errno| errno.errno())
            })
            .map_err(|errno| Error::Os {
                what: "installing the signal handler that stops vCPUs".into(),
                source: io::Error::from_raw_os_error(errno),
            })?;
        IMMEDIATE_EXIT.set(addr_of_mut!(vcpu.get_kvm_run().immediate_exit));
        // SAFETY: no precondition.
        let thread = unsafe { libc::pthread_self() };
        *self.lock() = Some(thread);
        Ok(Seated {
            seat: self,
            here: PhantomData,
        })
    }

    /// Kicks the seated thread, if there is one.
    pub fn kick(&self) {
        let seated = self.lock();
        if let Some(thread) = *seated {
            // SAFETY: the thread is alive: it cannot leave its seat, and so not end, while the lock is held.
            unsafe { libc::pthread_kill(thread, signal()) };
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<libc::pthread_t>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread's time on a seat.
pub(crate) struct Seated<'s> {
    seat: &'s Seat,
    /// Not `Send`: it must end on the thread it began on.
    here: PhantomData<*const ()>,
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        *self.seat.lock() = None;
        IMMEDIATE_EXIT.set(ptr::null_mut());
    }
}
