//! The process's limit on the length of files (`RLIMIT_FSIZE`): a write beyond it, which a guest may ask for, is an error for who asked, and not the end of the
//! process.

use std::ptr;
use std::sync::Once;
use vmm_sys_util::signal::register_signal_handler;

extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

/// Sees to it that such a write fails, unless the process has its own way with the signal that would end it.
pub(crate) fn fail_what_is_beyond() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: it consists of integers and a set of bits, for which zeros are a value.
        let mut present: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: asks what the signal does, and changes nothing.
        let asked = unsafe { libc::sigaction(libc::SIGXFSZ, ptr::null(), &raw mut present) };
        if asked == 0 && present.sa_sigaction == libc::SIG_DFL {
            // A handler that does nothing, and not to ignore it, which the programs that this one starts would inherit. Fails for no such signal.
            let _ = register_signal_handler(libc::SIGXFSZ, on_signal);
        }
    });
}
