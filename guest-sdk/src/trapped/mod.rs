//! The trapped side: what an unmodified kernel does where a guest of this SDK makes a call.
//!
//! It is here to be measured and to be compared with the calls, in a VM whose configuration says `machine.trapped = true`. Each
//! function drives the device, or executes the instruction, as an ordinary driver does; the host emulates both. A VM
//! without the trapped side ends in a fault at the first of them: ask [`offered`]. In the host flavour they fault as in any process.
//!
//! | work | trapped | called |
//! |---|---|---|
//! | console output | [`uart::write`] | [`calls::console_write`](crate::calls::console_write) |
//! | the time of day | [`rtc::read`] | [`SystemTime::now`](crate::time::SystemTime::now) |
//! | the time that passes | [`pit::read`] | [`Instant::now`](crate::time::Instant::now) |
//! | a timer | [`pit::oneshot`] and [`interrupt::halt`] | [`event::wait`](crate::event::wait) with a deadline |
//! | a disk | [`ata::read`], [`ata::write`] | [`block::Disk`](crate::block::Disk) |
//! | masking | [`interrupt::disable`] and [`interrupt::enable`] | a word of the guest's own |
//! | forgetting translations | [`translation::invlpg`] | [`calls::mmu_flush`](crate::calls::mmu_flush) |
//! | what machine this is | [`msr::read`], [`cpuid`] | [`platform::boot`](crate::platform::boot) |
//!
//! `cpuid` cannot be made to fault at ring 3 on every host, so it is left to the host's KVM, which leaves the guest for it too.
//! The host reads an instruction where RAM is mapped at its own addresses: privileged code elsewhere gets its exception.

pub mod ata;
pub mod interrupt;
pub mod msr;
pub mod pic;
pub mod pit;
mod port;
pub mod rtc;
pub mod translation;
pub mod uart;

use core::arch::x86_64::CpuidResult;
use hypercall_abi::version::feature;

/// Whether this VM has the trapped side.
#[must_use]
pub fn offered() -> bool {
    crate::platform::boot().features & feature::TRAPPED != 0
}

/// A leaf of what the processor says about itself.
#[must_use]
pub fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    core::arch::x86_64::__cpuid_count(leaf, subleaf)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_ordinary_process_has_none_of_it() {
        assert!(!super::offered());
    }
}
