//! Address translations: `invlpg` and the page-table root. Both act on this vCPU alone.

use core::arch::asm;

/// `invlpg`: forgets the translation of an address. One exit.
pub fn invlpg(address: u64) {
    // SAFETY: what is looked up anew is what the page tables say; who changed those has promised for it.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// `mov` from CR3: the page-table root. One exit.
#[must_use]
pub fn root() -> u64 {
    let root: u64;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
    root
}

/// `mov` to CR3: sets the page-table root and forgets every translation. One exit.
///
/// # Safety
/// `root` must be the address of page tables that map everything the guest uses, the platform area included, as it is mapped now.
pub unsafe fn load_root(root: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}
