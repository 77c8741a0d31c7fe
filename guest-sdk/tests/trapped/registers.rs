//! What the machine says of itself, and instructions that are refused.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use guest_sdk::abi::version::feature;
use guest_sdk::fault::{self, Frame, Verdict, vector};
use guest_sdk::trapped::{self, msr};
use guest_sdk::{calls, platform};

pub fn it_is_offered() {
    assert!(trapped::offered());
    assert_eq!(calls::features(feature::TRAPPED), Ok(feature::TRAPPED));
}

pub fn both_sides_know_the_machine() {
    let here = platform::Vcpu::current().index();
    assert_eq!(trapped::cpuid(1, 0).ebx >> 24, here);
    assert_eq!(
        msr::read(msr::GS_BASE),
        guest_sdk::abi::map::vcpu_page(here),
        "the page of this vCPU"
    );
    assert_eq!(msr::read(msr::EFER) & 0x500, 0x500, "64-bit mode");
    // SAFETY: nothing here uses `fs`.
    unsafe { msr::write(msr::FS_BASE, 0x1234_5678_9abc) };
    assert_eq!(msr::read(msr::FS_BASE), 0x1234_5678_9abc);
    // SAFETY: reading the counter has no effect.
    let tsc = || unsafe { core::arch::x86_64::_rdtsc() };
    let before = tsc();
    let read = msr::read(msr::TIME_STAMP_COUNTER);
    let after = tsc();
    assert!((before..=after).contains(&read), "{before} {read} {after}");
    let cr4: u64;
    // SAFETY: reading has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) cr4) };
    assert_ne!(cr4 & 1 << 5, 0, "physical address extension");
    let table = [0x7f_u8, 0, 0, 0x10, 0, 0, 0, 0, 0, 0];
    // SAFETY: the host only keeps the value.
    unsafe { asm!("lidt [{0}]", "lgdt [{0}]", in(reg) &table) };
}

pub fn a_refused_register_is_a_fault_to_handle() {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    fn skip(frame: &mut Frame) -> Verdict {
        if frame.vector != vector::PROTECTION {
            return Verdict::Die;
        }
        SEEN.fetch_add(1, Ordering::Relaxed);
        frame.rip += 2; // past `rdmsr`
        Verdict::Resume
    }
    fault::handle(skip).expect("fault handlers are granted");
    let _ = msr::read(0x4b56_4d00);
    assert_eq!(SEEN.load(Ordering::Relaxed), 1);
    let _ = msr::read(msr::EFER);
    assert_eq!(SEEN.load(Ordering::Relaxed), 1);
}

pub fn ports_without_a_device_float() {
    let mut value = 0x1234_5678_9abc_def0_u64;
    // SAFETY: no device is there: the write that delays goes nowhere, the read leaves ones.
    unsafe {
        asm!("out 0x80, al", "in al, 0x80", inout("rax") value);
    };
    assert_eq!(value, 0x1234_5678_9abc_deff);
}
