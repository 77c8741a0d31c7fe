//! Doorbells: one-way kicks to the host.
//!
//! Owns the instruction sequence and the choice between the doorbells' gate and a call. Which doorbell belongs to what is the
//! [device table](crate::virtio::device)'s business, and [`abi::doorbell`](hypercall_abi::doorbell)'s.

/// Rings a doorbell: tells whoever listens to look. Nothing comes back; one that nobody listens to does nothing.
///
/// All that was written before is there for who looks.
#[cfg(any(pv_guest, target_os = "none"))]
#[inline]
pub fn ring(number: u32) {
    if offered() {
        // SAFETY: the host fills the hypercall page before boot; what is behind the doorbells' gate preserves every register
        // (`hypercall_abi::doorbell`) and pushes nothing but the return address. Whom it wakes looks only at memory that was promised to be his.
        unsafe {
            core::arch::asm!(
                "call {gate}",
                gate = in(reg) hypercall_abi::doorbell::GATE,
                in("eax") number,
            );
        }
    } else {
        // Refused only where nobody can listen.
        let _ = crate::calls::doorbell(number);
    }
}

/// Rings a doorbell. In the host flavour nobody listens.
#[cfg(not(any(pv_guest, target_os = "none")))]
pub fn ring(number: u32) {
    let _ = crate::calls::doorbell(number);
}

/// Whether the host serves the doorbells' gate, so that ringing is cheaper than a call.
#[must_use]
#[inline]
pub fn offered() -> bool {
    crate::platform::boot().features & hypercall_abi::version::feature::DOORBELL != 0
}
