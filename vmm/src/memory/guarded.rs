//! A copy out of memory that may not be there: pages of a mapped file that somebody cuts off.
//!
//! Who touches such a page is sent a signal, SIGBUS. Here it ends the copy; whatever else gets one ends as it did before. A program that has a handler of its
//! own for SIGBUS installs it before the first disk is opened, and is handed what is not for this module; one that comes later has to do the same in turn.

use std::arch::global_asm;
use std::ptr;
use std::sync::OnceLock;

// System V: to rdi, from rsi, rdx bytes; returns in rax how many are left. A fault leaves the registers as they are between two bytes.
global_asm!(
    ".pushsection .text.trapless_copy, \"ax\", @progbits",
    ".globl trapless_copy, trapless_copy_bytes, trapless_copy_end",
    ".hidden trapless_copy, trapless_copy_bytes, trapless_copy_end",
    ".type trapless_copy, @function",
    "trapless_copy:",
    "mov rcx, rdx",
    "trapless_copy_bytes:",
    "rep movsb",
    "trapless_copy_end:",
    "mov rax, rcx",
    "ret",
    ".size trapless_copy, . - trapless_copy",
    ".popsection",
);

unsafe extern "C" {
    fn trapless_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    /// The only instruction that may fault, and where it goes on then.
    static trapless_copy_bytes: u8;
    static trapless_copy_end: u8;
}

/// What was done about the signal before.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

/// Sees to it that copies may fail; says whether they may.
pub(super) fn prepare() -> bool {
    let before = BEFORE.get_or_init(|| {
        // SAFETY: it consists of integers and a set of bits, for which zeros are a value.
        let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: asks what the signal does, and changes nothing.
        let asked = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) };
        (asked == 0).then_some(before)
    });
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    before.is_some()
        && *INSTALLED.get_or_init(|| {
            // SAFETY: as above.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            let handler: extern "C" fn(_, _, _) = on_signal;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: the handler takes what `SA_SIGINFO` hands it, and does only what a handler may.
            unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) == 0 }
        })
}

/// Copies bytes, up to the first that is not there; says how many.
///
/// # Safety
/// [`prepare`] said yes. `from` is `len` bytes of a mapping that may lose its pages and nothing else, `to` as many that may be written at any time.
#[inline]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> usize {
    // SAFETY: the caller's promise, and for pages that are gone the handler's.
    let left = unsafe { trapless_copy(to, from, len) };
    len.saturating_sub(left)
}

extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let (site, end) = (&raw const trapless_copy_bytes, &raw const trapless_copy_end);
    // SAFETY: with `SA_SIGINFO` that is what `context` points to, and the kernel takes back what is changed there.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    if let Some(rip) = registers.get_mut(libc::REG_RIP as usize)
        && *rip == site as i64
    {
        *rip = end as i64;
        return;
    }
    match BEFORE.get() {
        Some(Some(before)) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) => {
            pass_on(before, signal, info, context);
        }
        // SAFETY: may be called in a handler. The same access then ends the process, as it would have.
        _ => drop(unsafe { libc::signal(signal, libc::SIG_DFL) }),
    }
}

/// Has another handler see to it.
fn pass_on(
    handler: &libc::sigaction,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    type Plain = extern "C" fn(libc::c_int);
    type Informed = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    let address = ptr::without_provenance::<()>(handler.sa_sigaction);
    if handler.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: it was installed as a handler of this kind, and is neither of the two that are none.
        let handler: Informed = unsafe { std::mem::transmute(address) };
        handler(signal, info, context);
    } else {
        // SAFETY: as above.
        let handler: Plain = unsafe { std::mem::transmute(address) };
        handler(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::super::MappedFile;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const CHILD: &str = "TRAPLESS_TEST_TOUCHES_WHAT_IS_GONE";

    /// A mapped file of two pages, of which the second is cut off.
    fn half() -> (File, MappedFile) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let mapped = MappedFile::new(file.as_fd(), 8192).unwrap();
        file.set_len(4096).unwrap();
        (file, mapped)
    }

    #[test]
    fn a_copy_ends_where_the_file_does() {
        let (_file, mapped) = half();
        assert_eq!(mapped.byte(4095), Some(0));
        assert_eq!(mapped.byte(4096), None);
        assert_eq!(mapped.byte(8192), None, "outside of the mapping");
    }

    #[test]
    fn who_else_touches_what_is_gone_ends_as_before() {
        if std::env::var_os(CHILD).is_some() {
            let (_file, mapped) = half();
            mapped.touch(4096);
            unreachable!("the second page is not there");
        }
        let name = "memory::guarded::tests::who_else_touches_what_is_gone_ends_as_before";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{child:?}");
    }
}
